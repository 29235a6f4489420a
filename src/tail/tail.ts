/** Changes as they pass, for whoever looks on: nobody who looks holds a connector up. */
import type { Tap } from '../pipeline/options.ts';
import type { RecordBatch } from '../record/batch.ts';
import { RecordCursor } from '../record/cursor.ts';
import { type MessageBatch, SPAN, SPAN_SIZE, tableAt } from '../record/messages.ts';
import { type Stage, TailFilter, type TailWish } from './filter.ts';
import { messageLine, recordLine, type TailLine } from './render.ts';

/** What waits for one who looks; beyond it lines are counted, not kept (I9). */
const WAITING_CHARACTERS = 2 * 1024 * 1024;

/** One who looks: gives lines of JSON, several at once, each ended by a line feed. Ends by `return`, or when the connector is gone. */
export class TailWatch implements AsyncIterableIterator<string> {
  readonly filter: TailFilter;
  readonly #left: (watch: TailWatch) => void;
  #waiting: string[] = [];
  #characters = 0;
  #missed = 0;
  /** Lines that are still to be shown. */
  #rest: number;
  #isEnded = false;
  #wake: (() => void) | null = null;

  /** `limit`: how many lines are shown; null: no end. Throws SLUICE_TAIL_FILTER. */
  constructor(wish: TailWish, limit: number | null, left: (watch: TailWatch) => void) {
    this.filter = new TailFilter(wish);
    this.#rest = limit ?? Number.POSITIVE_INFINITY;
    this.#left = left;
  }

  /** `line` is made only if there is room for it. */
  show(line: () => TailLine): void {
    if (this.#rest <= 0) return;
    if (this.#characters >= WAITING_CHARACTERS) this.#missed++;
    else {
      this.#tellMissed();
      this.#push(line());
      if (--this.#rest <= 0) this.end();
    }
    this.#wake?.();
  }

  /** Shows what waits, then ends. */
  end(): void {
    this.#isEnded = true;
    this.#left(this);
    this.#wake?.();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<string>> {
    while (this.#waiting.length === 0 && !this.#isEnded) {
      await new Promise<void>((wake) => {
        this.#wake = wake;
      });
    }
    this.#wake = null;
    if (this.#isEnded) this.#tellMissed();
    if (this.#waiting.length === 0) return { done: true, value: undefined };
    const value = this.#waiting.join('');
    this.#waiting = [];
    this.#characters = 0;
    return { done: false, value };
  }

  return(): Promise<IteratorResult<string>> {
    this.#waiting = [];
    this.#missed = 0;
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  #tellMissed(): void {
    if (this.#missed > 0) this.#push({ missed: this.#missed });
    this.#missed = 0;
  }

  #push(line: TailLine): void {
    const json = `${JSON.stringify(line)}\n`;
    this.#waiting.push(json);
    this.#characters += json.length;
  }
}

/** Where one looks on at a connector, over all its lives. Costs nothing while nobody does. */
export class TailPoint implements Tap {
  readonly #watches = new Set<TailWatch>();
  readonly #cursor = new RecordCursor();
  /** Keys and values of its messages are no text. */
  isBinary = false;

  /** Throws SLUICE_TAIL_FILTER. */
  watch(wish: TailWish, limit: number | null): TailWatch {
    const watch = new TailWatch(wish, limit, (left) => this.#watches.delete(left));
    this.#watches.add(watch);
    return watch;
  }

  /** The connector is gone. */
  end(): void {
    for (const watch of this.#watches) watch.end();
  }

  read(batch: RecordBatch): void {
    this.#records('read', batch);
  }

  mapped(batch: RecordBatch): void {
    this.#records('mapped', batch);
  }

  encoded(messages: MessageBatch): void {
    this.#messages('encoded', messages);
  }

  durable(messages: MessageBatch): void {
    this.#messages('durable', messages);
  }

  #records(stage: Stage, batch: RecordBatch): void {
    for (const watch of this.#at(stage)) {
      const cursor = this.#cursor;
      cursor.open(batch);
      for (let index = 0; index < batch.count; index++) {
        cursor.move(index);
        if (watch.filter.takes(cursor.table.label, cursor.op) && watch.filter.takesValues(cursor)) watch.show(() => recordLine(stage, cursor));
      }
    }
  }

  #messages(stage: Stage, messages: MessageBatch): void {
    for (const watch of this.#at(stage)) {
      for (let index = 0; index < messages.count; index++) {
        const op = messages.spans[index * SPAN_SIZE + SPAN.op] as number;
        if (watch.filter.takes(tableAt(messages, index), op)) watch.show(() => messageLine(stage, messages, index, this.isBinary));
      }
    }
  }

  #at(stage: Stage): readonly TailWatch[] {
    return this.#watches.size === 0 ? NOBODY : [...this.#watches].filter(({ filter }) => filter.stages.has(stage));
  }
}

const NOBODY: readonly TailWatch[] = [];

/** The points of all connectors of a daemon, by name. */
export class TailPoints {
  readonly #points = new Map<string, TailPoint>();

  of(connector: string): TailPoint {
    const point = this.#points.get(connector) ?? new TailPoint();
    this.#points.set(connector, point);
    return point;
  }

  /** Whoever looks at another one has seen all. */
  keep(connectors: readonly string[]): void {
    for (const [name, point] of this.#points) {
      if (connectors.includes(name)) continue;
      this.#points.delete(name);
      point.end();
    }
  }
}
