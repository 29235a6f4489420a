/** Messages that must be durable before the records behind them go: that of a table's new shape, and that of a statement which changed definitions. */
import type { Format } from '../plugin/format.ts';
import { HEAD, HEAD_SIZE, type RecordBatch } from '../record/batch.ts';
import { RecordCursor } from '../record/cursor.ts';
import { DEFINITION } from '../record/definition.ts';
import type { MessageWriter } from '../record/messages.ts';
import type { AnnouncedShapes, SchemaAnnouncements } from '../schema-history/announcements.ts';
import type { BatchEncoder } from './encode.ts';
import type { Refusals } from './refusals.ts';

interface Told {
  readonly messages: MessageWriter;
  /** Shapes that are announced by it. */
  readonly shapes: AnnouncedShapes;
  /** The first record that is yet to go. */
  readonly next: number;
}

export class News {
  readonly #announcements: SchemaAnnouncements | null;
  readonly #definitions: Format['definitions'];
  readonly #encoder: BatchEncoder;
  readonly #cursor = new RecordCursor();

  constructor(announcements: SchemaAnnouncements | null, { definitions }: Format, encoder: BatchEncoder) {
    this.#announcements = announcements;
    this.#definitions = definitions;
    this.#encoder = encoder;
  }

  /** The first record at `from` or behind it that there is news of; −1: there is none. `refused` as in `SchemaAnnouncements.next`. */
  next(batch: RecordBatch, from: number, refused: Refusals | null): number {
    const shape = this.#announcements?.next(batch, from, refused) ?? -1;
    const statement = nextDefinition(batch, from);
    return shape < 0 || (statement >= 0 && statement < shape) ? statement : shape;
  }

  /** What stands in front of a record that `next` gave. */
  tell(batch: RecordBatch, index: number, nowMicros: number): Told {
    const { tables, heads } = batch;
    const table = tables[heads[index * HEAD_SIZE + HEAD.table] as number] as RecordBatch['tables'][number];
    if (table.kind === 'definition') return this.#tellDefinition(batch, index, nowMicros);
    const announcements = this.#announcements as SchemaAnnouncements;
    let shapes: AnnouncedShapes = {};
    const messages = this.#encoder.announcement(announcements.destination, table.label, (out) => {
      shapes = announcements.write(batch, index, out);
    });
    return { messages, shapes, next: index };
  }

  #tellDefinition(batch: RecordBatch, index: number, nowMicros: number): Told {
    const record = this.#cursor;
    record.open(batch);
    record.move(index);
    const label = batch.arena.toString('utf8', record.start(record.after, DEFINITION.label), record.end(record.after, DEFINITION.label));
    const definitions = this.#definitions;
    const messages = this.#encoder.announcement(definitions?.destination ?? '', label, (out) => definitions?.write(record, nowMicros, out));
    return { messages, shapes: {}, next: index + 1 };
  }
}

function nextDefinition({ tables, heads, count }: RecordBatch, from: number): number {
  if (!tables.some(({ kind }) => kind === 'definition')) return -1;
  for (let index = from; index < count; index++) if (tables[heads[index * HEAD_SIZE + HEAD.table] as number]?.kind === 'definition') return index;
  return -1;
}
