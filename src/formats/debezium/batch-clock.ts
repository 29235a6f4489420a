import { piece } from '../json-text.ts';
import { clockTexts } from './source-block.ts';

/** Debezium's `op`, by `OP`. */
const LETTERS = ['c', 'u', 'd', 'r', 't', 'm'] as const;

/** What all tables of a connector share within one batch. */
export class BatchClock {
  /** Counts batches: what was prepared for an earlier one is stale. */
  batch = 0;
  #nowMicros = 0;
  readonly #tails: (Uint8Array | null)[] = LETTERS.map(() => null);
  #messageHead: Uint8Array | null = null;

  begin(nowMicros: number): void {
    this.batch++;
    this.#nowMicros = nowMicros;
    this.#tails.fill(null);
    this.#messageHead = null;
  }

  /** Everything behind the source block, its closing brace first. */
  tail(op: number): Uint8Array {
    return this.#tails[op] ?? this.#makeTail(op);
  }

  #makeTail(op: number): Uint8Array {
    const { millis, micros, nanos } = clockTexts(this.#nowMicros);
    const tail = piece(`},"transaction":null,"op":"${LETTERS[op]}","ts_ms":${millis},"ts_us":${micros},"ts_ns":${nanos}}`);
    this.#tails[op] = tail;
    return tail;
  }

  /** What a logical decoding message begins with. */
  messageHead(): Uint8Array {
    this.#messageHead ??= piece(`{"op":"m","ts_ms":${clockTexts(this.#nowMicros).millis}`);
    return this.#messageHead;
  }
}
