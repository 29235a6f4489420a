/** Events that stop the reading. */
import type { ErrorKind } from '#plugin';
import { compressedTransaction, incident, partialRows, statementChanges, unknownEvent } from './errors.ts';
import { EVENT, FLAG_IGNORABLE, HARMLESS } from './events.ts';

interface RefusedEvent {
  readonly kind: ErrorKind;
  readonly parameters: Readonly<Record<string, string>>;
}

/** Of an event that holds no rows as they are read here; null: it holds no changes, and is passed over. */
export function refusedEvent(type: number, flags: number): RefusedEvent | null {
  if (HARMLESS.has(type)) return null;
  switch (type) {
    case EVENT.incident:
      return { kind: incident, parameters: {} };
    case EVENT.transactionPayload:
      return { kind: compressedTransaction, parameters: {} };
    case EVENT.partialUpdateRows:
      return { kind: partialRows, parameters: { table: 'a table', why: 'JSON columns are there in part (binlog_row_value_options)' } };
    case EVENT.beginLoadQuery:
    case EVENT.executeLoadQuery:
      return { kind: statementChanges, parameters: { word: 'LOAD DATA' } };
  }
  if (type >= EVENT.queryCompressed && type <= EVENT.lastCompressedRows) return { kind: compressedTransaction, parameters: {} };
  return (flags & FLAG_IGNORABLE) !== 0 ? null : { kind: unknownEvent, parameters: {} };
}
