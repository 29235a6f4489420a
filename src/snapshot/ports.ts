import type { Runtime } from '../plugin/runtime.ts';
import type { TableRegistry } from '../record/table.ts';
import type { ChunkLimits } from './beside-log.ts';
import type { CopyEvents } from './events.ts';

/** What copies are made with. */
export interface CopyPorts {
  readonly runtime: Runtime;
  readonly tables: TableRegistry;
  readonly events: CopyEvents;
  readonly limits: ChunkLimits;
  /** Ends this life of the connector in order, for another one. */
  readonly renew: () => void;
}
