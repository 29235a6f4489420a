import { piece } from '../json-text.ts';
import { clockTexts } from './source-block.ts';

/** Debezium's `op`, by `OP`. */
export const LETTERS = ['c', 'u', 'd', 'r', 't', 'm'] as const;

/** What all tables of a connector share within one batch. */
export class BatchClock {
  /** Counts batches: what was prepared for an earlier one is stale. */
  batch = 0;
  #nowMicros = 0;
  readonly #tails: (Uint8Array | null)[] = LETTERS.map(() => null);
  readonly #rests: (Uint8Array | null)[] = LETTERS.map(() => null);
  #messageHead: Uint8Array | null = null;

  begin(nowMicros: number): void {
    this.batch++;
    this.#nowMicros = nowMicros;
    this.#tails.fill(null);
    this.#rests.fill(null);
    this.#messageHead = null;
  }

  /** Everything behind the source block, its closing brace first, without a transaction. */
  tail(op: number): Uint8Array {
    return this.#tails[op] ?? this.#makeTail(op);
  }

  /** The same behind the transaction. */
  rest(op: number): Uint8Array {
    return this.#rests[op] ?? this.#makeRest(op);
  }

  #makeTail(op: number): Uint8Array {
    const tail = piece(`},"transaction":null${this.#restText(op)}`);
    this.#tails[op] = tail;
    return tail;
  }

  #makeRest(op: number): Uint8Array {
    const rest = piece(this.#restText(op));
    this.#rests[op] = rest;
    return rest;
  }

  #restText(op: number): string {
    const { millis, micros, nanos } = clockTexts(this.#nowMicros);
    return `,"op":"${LETTERS[op]}","ts_ms":${millis},"ts_us":${micros},"ts_ns":${nanos}}`;
  }

  /** What a logical decoding message begins with. */
  messageHead(): Uint8Array {
    this.#messageHead ??= piece(`{"op":"m","ts_ms":${clockTexts(this.#nowMicros).millis}`);
    return this.#messageHead;
  }
}
