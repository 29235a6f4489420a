import { LETTERS } from '../debezium/batch-clock.ts';
import type { Clock } from '../debezium/parts.ts';
import { clockTexts } from '../debezium/source-block.ts';
import { joined, longPiece, stringPiece } from './binary.ts';

/** The bytes in front of a value, and of null, of what may be null and has no default. */
export const SOME = Uint8Array.of(2);
export const NULL_PIECE = Uint8Array.of(0);

/** What all tables of a connector share within one batch. */
export class AvroClock implements Clock {
  batch = 0;
  #nowMicros = 0;
  readonly #rests: (Uint8Array | null)[] = LETTERS.map(() => null);
  readonly #tails: (Uint8Array | null)[] = LETTERS.map(() => null);
  #messageHead: Uint8Array | null = null;

  begin(nowMicros: number): void {
    this.batch++;
    this.#nowMicros = nowMicros;
    this.#rests.fill(null);
    this.#tails.fill(null);
    this.#messageHead = null;
  }

  tail(op: number): Uint8Array {
    return this.#tails[op] ?? this.#makeTail(op);
  }

  #makeTail(op: number): Uint8Array {
    const tail = joined(NULL_PIECE, this.rest(op));
    this.#tails[op] = tail;
    return tail;
  }

  /** The same behind the transaction. */
  rest(op: number): Uint8Array {
    return this.#rests[op] ?? this.#makeRest(op);
  }

  #makeRest(op: number): Uint8Array {
    const { millis, micros, nanos } = clockTexts(this.#nowMicros);
    const rest = joined(stringPiece(LETTERS[op] as string), SOME, longPiece(millis), SOME, longPiece(micros), SOME, longPiece(nanos));
    this.#rests[op] = rest;
    return rest;
  }

  /** What a logical decoding message begins with. */
  messageHead(): Uint8Array {
    this.#messageHead ??= joined(stringPiece('m'), SOME, longPiece(clockTexts(this.#nowMicros).millis));
    return this.#messageHead;
  }
}
