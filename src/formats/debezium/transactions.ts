import type { FormatContext, TransactionMessages } from '../../plugin/format.ts';
import type { Transaction } from '../../record/batch.ts';
import { encodeHeaders, type MessageWriter } from '../../record/messages.ts';
import { writeWhole } from '../envelope.ts';
import { type EventSchemas, transactionSchemas } from './event-schema.ts';
import { framed } from './frame.ts';
import { inJavaOrder } from './java-order.ts';
import { jsonText } from './schema.ts';
import { clockTexts } from './source-block.ts';

/** How many events of one table the transaction had so far. */
export interface TableCount {
  readonly name: string;
  events: number;
}

/**
 * `provide.transaction.metadata`: numbers the events of each transaction, and writes its BEGIN and END. It holds a number for each table, whatever the size of the
 * transaction (I9). A transaction that is read again is read from its first record, so that its events get the same numbers (I4).
 */
export class Transactions implements TransactionMessages {
  readonly destination: string;
  /** Events of the transaction so far. */
  events = 0;
  readonly #prefix: string;
  readonly #headers: Uint8Array;
  readonly #schemas: EventSchemas | null;
  readonly #counts = new Map<string, TableCount>();
  /** Of this transaction, in the order in which the tables came. */
  #counted: TableCount[] = [];

  constructor({ connector, capture }: FormatContext, schemasEnable: boolean) {
    this.destination = transactionTopic(connector);
    this.#prefix = `${connector}/`;
    this.#headers = encodeHeaders([['sluice.capture', capture]]);
    this.#schemas = schemasEnable ? transactionSchemas() : null;
  }

  /** The count of a table, by Debezium's name for it; versions of a table share it. */
  countOf(name: string): TableCount {
    let count = this.#counts.get(name);
    if (count === undefined) {
      count = { name, events: 0 };
      this.#counts.set(name, count);
    }
    return count;
  }

  /** One more event of the table. */
  count(table: TableCount): void {
    if (table.events === 0) this.#counted.push(table);
    table.events++;
    this.events++;
  }

  begin(transaction: Transaction, out: MessageWriter): void {
    this.#reset();
    this.#write('begin', transaction, transaction.beginId as string, '"event_count":null,"data_collections":null', out);
  }

  end(transaction: Transaction, out: MessageWriter): void {
    const collections = inJavaOrder(this.#counted, ({ name }) => name).map(
      ({ name, events }) => `{"data_collection":${jsonText(name)},"event_count":${events}}`,
    );
    const counts = `"event_count":${this.events},"data_collections":[${collections.join(',')}]`;
    this.#write('end', transaction, transaction.endId as string, counts, out);
    this.#reset();
  }

  #reset(): void {
    for (const count of this.#counted) count.events = 0;
    this.#counted = [];
    this.events = 0;
  }

  #write(which: 'begin' | 'end', { id, commitMicros }: Transaction, name: string, counts: string, out: MessageWriter): void {
    const text = jsonText(name);
    const millis = clockTexts(commitMicros).millis;
    writeWhole(out, {
      key: framed(this.#schemas?.key, `{"id":${text}}`),
      value: framed(this.#schemas?.value, `{"status":"${which.toUpperCase()}","id":${text},${counts},"ts_ms":${millis}}`),
      headers: this.#headers,
      id: `${this.#prefix}${id}/${which}/0`,
    });
  }
}

/** Debezium's `<prefix>.transaction`. */
export function transactionTopic(connector: string): string {
  return `${connector}.transaction`;
}
