import type { Runtime } from '../plugin/runtime.ts';
import type { TableRegistry } from '../record/table.ts';
import type { ChunkLimits } from './beside-log.ts';
import type { CopyEvents } from './events.ts';
import type { Pace } from './pace.ts';
import type { SignalReader } from './signal-reader.ts';

/** What copies are made with. */
export interface CopyPorts {
  readonly runtime: Runtime;
  readonly tables: TableRegistry;
  readonly events: CopyEvents;
  readonly limits: ChunkLimits;
  readonly pace: Pace;
  /** Null: there is no signal table. */
  readonly signals: SignalReader | null;
  /** Ends this life of the connector in order, for another one. */
  readonly renew: () => void;
}
