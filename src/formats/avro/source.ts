import type { FormatContext } from '../../plugin/format.ts';
import { SNAPSHOT_MARKS, type SnapshotMark, type Transaction } from '../../record/batch.ts';
import type { TableVersion } from '../../record/table.ts';
import { clockTexts, type SourceNotation } from '../debezium/source-block.ts';
import { joined, longPiece, stringPiece, writeLongText, writeSized } from './binary.ts';
import { NULL_PIECE, SOME } from './clock.ts';

/** A value of `snapshot`, whose default makes null the second of its union. */
const SNAPSHOT_VALUE = Uint8Array.of(0);
const NOTHING = new Uint8Array(0);

/** Debezium's source block as a record. */
export class AvroSource implements SourceNotation {
  readonly #beforeMillis: Uint8Array;
  readonly #afterMillis: Uint8Array;
  readonly #table: Uint8Array;
  readonly #isText: readonly boolean[];
  readonly #isRequired: readonly boolean[];
  readonly names: readonly Uint8Array[];
  readonly nulls: readonly Uint8Array[];
  readonly noSequence = NULL_PIECE;

  constructor(context: FormatContext, version: string, table: TableVersion, mark: SnapshotMark) {
    const { system, columns } = context.origin;
    this.#beforeMillis = joined(stringPiece(version), stringPiece(system), stringPiece(context.connector));
    this.#afterMillis = joined(SNAPSHOT_VALUE, stringPiece(SNAPSHOT_MARKS[mark] as string), stringPiece(table.catalog));
    this.#table = tablePiece(table);
    this.#isText = columns.map(({ type }) => type === 'text');
    this.#isRequired = columns.map(({ required }) => required === true);
    this.names = columns.map(() => NOTHING);
    this.nulls = columns.map(({ type, required }) => (required !== true ? NULL_PIECE : type === 'text' ? stringPiece('') : longPiece('0')));
  }

  head({ commitMicros }: Transaction): Uint8Array {
    return joined(this.#beforeMillis, longPiece(clockTexts(commitMicros).millis), this.#afterMillis);
  }

  times({ commitMicros }: Transaction): Uint8Array {
    const { micros, nanos } = clockTexts(commitMicros);
    return joined(SOME, longPiece(micros), SOME, longPiece(nanos), this.#table);
  }

  writeColumn(column: number, to: Buffer, at: number, from: Buffer, start: number, end: number): number {
    if (this.#isRequired[column] !== true) to[at++] = 2;
    return this.#isText[column] === true ? writeSized(to, at, from, start, end) : writeLongText(to, at, from, start, end);
  }
}

/** Messages belong to no table; only systems with schemas have them. */
function tablePiece(table: TableVersion): Uint8Array {
  if (table.kind === 'message') return joined(stringPiece(''), stringPiece(''));
  return table.schema === '' ? joined(SOME, stringPiece(table.name)) : joined(stringPiece(table.schema), stringPiece(table.name));
}
