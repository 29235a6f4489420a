import { eachHeader, type MessageBatch, SPAN, SPAN_SIZE } from '#plugin';

/** What surrounds the parts of a line; the parts are JSON already and are copied as they are. */
const PIECE = { topic: Buffer.from('{"topic":'), key: Buffer.from(',"key":'), value: Buffer.from(',"value":'), headers: Buffer.from(',"headers":') };
const NULL = Buffer.from('null');
const END = Buffer.from('}\n');

/** One JSON line per message: `{"topic","key","value","headers"}`. A tombstone's value is null, and so is the key of a table without one. */
export function linesOf(batch: MessageBatch): Buffer[] {
  const topics = batch.destinations.map((name) => Buffer.from(JSON.stringify(name)));
  const parts: Buffer[] = [];
  for (let message = 0; message < batch.count; message++) {
    const at = message * SPAN_SIZE;
    const part = (start: number, end: number): Buffer => {
      const from = batch.spans[at + start] as number;
      return from < 0 ? NULL : batch.bytes.subarray(from, batch.spans[at + end] as number);
    };
    const headers: Record<string, string> = { 'sluice.id': part(SPAN.idStart, SPAN.idEnd).toString() };
    eachHeader(batch, message, (name, value) => {
      headers[name] = value;
    });
    const topic = topics[batch.spans[at + SPAN.destination] as number] as Buffer;
    parts.push(PIECE.topic, topic, PIECE.key, part(SPAN.keyStart, SPAN.keyEnd), PIECE.value, part(SPAN.valueStart, SPAN.valueEnd));
    parts.push(PIECE.headers, Buffer.from(JSON.stringify(headers)), END);
  }
  return parts;
}
