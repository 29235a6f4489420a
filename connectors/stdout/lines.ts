import { eachHeader, type MessageBatch, SPAN, SPAN_SIZE } from '#plugin';

const TOPIC = '{"topic":';
const KEY = Buffer.from(',"key":');
const VALUE = Buffer.from(',"value":');
const HEADERS = Buffer.from(',"headers":{"sluice.id":');
const END = Buffer.from('}}\n');
const NULL = Buffer.from('null');

/** From so many bytes on a key or value is not copied: it is written from where it stands. */
const LARGE_BYTES = 256 * 1024;

/**
 * One JSON line per message: `{"topic","key","value","headers"}`. Key and value are JSON text already and are copied as they are, or, where they are
 * large, are pieces of their own that still belong to the batch. `isBinary`: they are no text, and strings of base64 here.
 */
export function toLines(batch: MessageBatch, isBinary = false): readonly Uint8Array[] {
  const pieces: Uint8Array[] = [];
  const topics = batch.destinations.map((name) => Buffer.from(TOPIC + JSON.stringify(name)));
  const headers = new Map<number, Buffer>();
  let parts: Uint8Array[] = [];
  const cut = (): void => {
    if (parts.length > 0) pieces.push(Buffer.concat(parts));
    parts = [];
  };
  const range = (start: number, end: number): void => {
    if (start < 0) parts.push(NULL);
    else if (isBinary) parts.push(Buffer.from(`"${batch.bytes.toString('base64', start, end)}"`, 'latin1'));
    else if (end - start < LARGE_BYTES) parts.push(batch.bytes.subarray(start, end));
    else {
      cut();
      pieces.push(batch.bytes.subarray(start, end));
    }
  };
  for (let message = 0; message < batch.count; message++) {
    const at = message * SPAN_SIZE;
    const span = (which: number): number => batch.spans[at + which] as number;
    parts.push(topics[span(SPAN.destination)] as Buffer, KEY);
    range(span(SPAN.keyStart), span(SPAN.keyEnd));
    parts.push(VALUE);
    range(span(SPAN.valueStart), span(SPAN.valueEnd));
    const id = JSON.stringify(batch.bytes.toString('utf8', span(SPAN.idStart), span(SPAN.idEnd)));
    // Messages share ranges of headers.
    const start = span(SPAN.headersStart);
    let own = headers.get(start);
    if (own === undefined) {
      own = ownHeaders(batch, message);
      headers.set(start, own);
    }
    parts.push(HEADERS, Buffer.from(id), own, END);
  }
  cut();
  return pieces;
}

function ownHeaders(batch: MessageBatch, message: number): Buffer {
  let text = '';
  eachHeader(batch, message, (name, value) => {
    text += `,${JSON.stringify(name)}:${JSON.stringify(value)}`;
  });
  return Buffer.from(text);
}
