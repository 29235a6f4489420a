import { type MessageBatch, MessageWriter, SPAN, SPAN_SIZE } from './messages.ts';

/**
 * Messages as bytes that need nothing else to be read: version · count · length of the JSON (u32, little endian), the JSON (names that the spans index), the
 * spans (i32, little endian) with ranges counted from the end of them, the bytes.
 */
const VERSION = 2;
const FIXED_BYTES = 12;

/** Ranges of a message in its batch. */
const RANGES = [
  [SPAN.keyStart, SPAN.keyEnd],
  [SPAN.valueStart, SPAN.valueEnd],
  [SPAN.headersStart, SPAN.headersEnd],
  [SPAN.idStart, SPAN.idEnd],
] as const;

/** Some messages of a batch, in order, with all their bytes: the batch may be recycled afterwards. */
export function messagesToBytes({ bytes, spans, destinations, tables }: MessageBatch, indexes: readonly number[]): Buffer {
  const packed = new Int32Array(indexes.length * SPAN_SIZE);
  const taken: [start: number, end: number][] = [];
  let length = 0;
  let headersAt = -1;
  let headersTo = -1;
  for (let message = 0; message < indexes.length; message++) {
    const from = (indexes[message] as number) * SPAN_SIZE;
    const to = message * SPAN_SIZE;
    for (let field = 0; field < SPAN_SIZE; field++) packed[to + field] = spans[from + field] as number;
    for (const [startAt, endAt] of RANGES) {
      const start = spans[from + startAt] as number;
      if (start < 0) continue;
      const end = spans[from + endAt] as number;
      // Messages of one record share their headers.
      const isShared = startAt === SPAN.headersStart && start === headersAt;
      if (startAt === SPAN.headersStart && !isShared) [headersAt, headersTo] = [start, length];
      packed[to + startAt] = isShared ? headersTo : length;
      packed[to + endAt] = (packed[to + startAt] as number) + end - start;
      if (isShared) continue;
      taken.push([start, end]);
      length += end - start;
    }
  }
  const json = Buffer.from(JSON.stringify({ destinations, tables }));
  const spansAt = FIXED_BYTES + json.length;
  const out = Buffer.allocUnsafeSlow(spansAt + packed.length * 4 + length);
  out.writeUInt32LE(VERSION, 0);
  out.writeUInt32LE(indexes.length, 4);
  out.writeUInt32LE(json.length, 8);
  json.copy(out, FIXED_BYTES);
  for (let index = 0; index < packed.length; index++) out.writeInt32LE(packed[index] as number, spansAt + index * 4);
  let at = spansAt + packed.length * 4;
  for (const [start, end] of taken) at += bytes.copy(out, at, start, end);
  return out;
}

/** What `messagesToBytes` made; `packed` stays unchanged while it is used. Throws an Error for another version. */
export function messagesFromBytes(packed: Buffer): MessageWriter {
  const version = packed.readUInt32LE(0);
  if (version !== VERSION) throw new Error(`messages of version ${version}, known is ${VERSION}`);
  const count = packed.readUInt32LE(4);
  const spansAt = FIXED_BYTES + packed.readUInt32LE(8);
  const { destinations, tables } = JSON.parse(packed.toString('utf8', FIXED_BYTES, spansAt)) as Pick<MessageBatch, 'destinations' | 'tables'>;
  const spans = new Int32Array(Math.max(1, count) * SPAN_SIZE);
  for (let index = 0; index < count * SPAN_SIZE; index++) spans[index] = packed.readInt32LE(spansAt + index * 4);
  const writer = new MessageWriter(0);
  writer.bytes = packed.subarray(spansAt + count * SPAN_SIZE * 4);
  writer.bytesLength = writer.bytes.length;
  writer.spans = spans;
  writer.count = count;
  writer.destinations = destinations;
  writer.tables = tables;
  return writer;
}
