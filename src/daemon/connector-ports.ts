import type { MemoryShare } from '../pipeline/memory.ts';
import type { Logger } from '../plugin/context.ts';
import type { Runtime } from '../plugin/runtime.ts';
import type { SourceHealth } from '../plugin/source.ts';
import type { StateStore } from '../state/state-store.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { ConnectorState } from './lifecycle.ts';

export interface ConnectorPorts {
  readonly store: StateStore;
  readonly runtime: Runtime;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly memory: MemoryShare;
  readonly once: boolean;
  /** Where dead letters are kept. */
  readonly dataDir: string;
  /** People see how far copies are by other means than the log. */
  readonly showsCopies: boolean;
}

/** What `status` shows. */
export interface ConnectorStatus {
  readonly name: string;
  readonly state: ConnectorState;
  readonly error?: { readonly code: string; readonly message: string; readonly remedy: string };
  readonly attempts: number;
  readonly health: SourceHealth | null;
}
