import type { MemoryShare } from '../pipeline/memory.ts';
import type { Tap } from '../pipeline/options.ts';
import type { Logger } from '../plugin/context.ts';
import type { Runtime } from '../plugin/runtime.ts';
import type { SourceHealth } from '../plugin/source.ts';
import type { StateStore } from '../state/state-store.ts';
import type { TableFreshness } from '../telemetry/freshness.ts';
import type { ConnectorFigures, Metrics } from '../telemetry/metrics.ts';
import type { ConnectorState } from './lifecycle.ts';
import type { Pressure } from './protection.ts';

export interface ConnectorPorts {
  readonly store: StateStore;
  readonly runtime: Runtime;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly memory: MemoryShare;
  /** Whoever looks at changes as they pass. */
  readonly tap: Tap;
  readonly once: boolean;
  /** It begins paused. */
  readonly isPaused: boolean;
  /** Where dead letters are kept. */
  readonly dataDir: string;
  /** People see how far copies are by other means than the log. */
  readonly showsCopies: boolean;
}

/** What `status` shows. */
export interface ConnectorStatus {
  readonly name: string;
  readonly state: ConnectorState;
  /** When it came to be so, ISO 8601. */
  readonly since: string;
  /** Types of the plug-ins. */
  readonly source: string;
  readonly sink: string;
  /** Why it has failed, or what it waits out. */
  readonly error?: { readonly code: string; readonly message: string; readonly remedy: string };
  readonly attempts: number;
  /** Captured tables; null: not known yet. */
  readonly tables: number | null;
  /** Since the process began. */
  readonly figures: ConnectorFigures;
  readonly health: SourceHealth | null;
  /** What `protect` has come to, and why; null: nothing. */
  readonly pressure: Pressure | null;
  /** Tables of which changes came since the process began, by their objective; null: there is none. */
  readonly freshness: readonly TableFreshness[] | null;
  /** It neither reads nor notices that it does not: only another process helps. */
  readonly isStalled: boolean;
  /** Where it is configured; left out: not asked for. */
  readonly file?: string;
  /** It was created through the API or a command. */
  readonly isStored?: boolean;
  /** What is to be known of its configuration. */
  readonly warnings?: readonly { readonly code: string; readonly message: string; readonly remedy: string }[];
}
