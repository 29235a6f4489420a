import type { Address } from '../segments/segment-log.ts';
import type { Spool } from './spool.ts';

/** What is stored of a table that is not live. A table without it is live. */
export interface TableState {
  /** `resuming`: what waits is being sent, and goes on being sent after a restart. */
  readonly state: 'stopped' | 'resuming';
  /** Why it stopped. */
  readonly code: string;
  readonly error: string;
  readonly remedy: string;
  /** Of the message that could not be delivered; '' where that was lost. */
  readonly messageId: string;
  /** Microseconds since the epoch. */
  readonly sinceMicros: number;
  /** The last entry of the spool that was sent; null: none was. */
  readonly sent: Address | null;
  /** Ids of messages behind it that stand in the sink all the same: a run before this one could not note the whole. */
  readonly already: readonly string[];
}

/** A stopped table as commands show it. */
export interface StoppedTableView {
  readonly connector: string;
  readonly table: string;
  readonly state: TableState['state'];
  readonly code: string;
  readonly error: string;
  readonly remedy: string;
  /** ISO 8601. */
  readonly since: string;
  /** That wait. Null: the connector is between two lives, and they are not counted. */
  readonly messages: number | null;
  /** On the disk; null: not known. */
  readonly bytes: number | null;
  /** The connector has stopped, and why: nothing is sent. */
  readonly stopped?: { readonly code: string; readonly message: string; readonly remedy: string };
}

export function viewOf(connector: string, table: string, state: TableState, spool: Spool | null): StoppedTableView {
  const { code, error, remedy } = state;
  const since = isoOf(state);
  return { connector, table, state: state.state, code, error, remedy, since, messages: spool?.messages ?? null, bytes: spool?.bytes ?? null };
}

/** ISO 8601. */
export function isoOf({ sinceMicros }: TableState): string {
  return new Date(sinceMicros / 1000).toISOString();
}
