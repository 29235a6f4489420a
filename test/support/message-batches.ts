import { encodeHeaders, MessageWriter } from '../../src/record/messages.ts';

/** One message as a test writes it down. */
export interface TestMessage {
  readonly id: string;
  readonly destination: string;
  /** Left out: no key. */
  readonly key?: string;
  /** Null: a tombstone. */
  readonly value: string | null;
  readonly headers?: readonly (readonly [name: string, value: string])[];
  /** Without a key: −1 = every partition. */
  readonly spread?: number;
  /** Label of its table. Left out: of none. */
  readonly table?: string;
  /** As `OP`. Left out: create. */
  readonly op?: number;
}

const destinations: string[] = [];
const tables: string[] = [''];

/** A batch of these messages, as an encoder fills it. All batches share the list of destinations, as they do in the pipeline. */
export function messageBatch(messages: readonly TestMessage[]): MessageWriter {
  const writer = new MessageWriter(1024);
  writer.destinations = destinations;
  writer.tables = tables;
  const put = (bytes: Buffer): [number, number] => {
    writer.reserve(bytes.length);
    const start = writer.bytesLength;
    bytes.copy(writer.bytes, start);
    writer.bytesLength += bytes.length;
    return [start, writer.bytesLength];
  };
  for (const { id, destination, key, value, headers, spread, table = '', op = 0 } of messages) {
    writer.spread = spread ?? 0;
    writer.op = op;
    writer.table = tables.includes(table) ? tables.indexOf(table) : tables.push(table) - 1;
    writer.destination = destinations.includes(destination) ? destinations.indexOf(destination) : destinations.push(destination) - 1;
    const spans = [
      key === undefined ? [-1, -1] : put(Buffer.from(key)),
      value === null ? [-1, -1] : put(Buffer.from(value)),
      headers === undefined ? [-1, -1] : put(encodeHeaders(headers)),
      put(Buffer.from(id)),
    ].flat() as [number, number, number, number, number, number, number, number];
    writer.message(...spans);
  }
  return writer;
}

export interface SeriesOptions {
  readonly connector: string;
  /** In turn. */
  readonly destinations: readonly string[];
  /** Messages of one transaction; ordinals begin at 0 in each. */
  readonly perTransaction?: number;
  readonly valueBytes?: number;
}

/** The messages from number `from` to before `to` of an endless series, the same ones whenever they are asked for. */
export function series(options: SeriesOptions, from: number, to: number): TestMessage[] {
  const perTransaction = options.perTransaction ?? 7;
  const messages: TestMessage[] = [];
  for (let number = from; number < to; number++) {
    const transaction = Math.floor(number / perTransaction);
    messages.push({
      id: `${options.connector}/7301/${transaction.toString(16).toUpperCase().padStart(16, '0')}.${900 + transaction}/${number % perTransaction}/0`,
      destination: options.destinations[number % options.destinations.length] as string,
      key: `{"id":${number % 50}}`,
      value: JSON.stringify({ number, filler: 'x'.repeat(options.valueBytes ?? 20) }),
      headers: [['sluice.capture', 'log']],
    });
  }
  return messages;
}
