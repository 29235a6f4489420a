/** A message that could not be delivered, with all that is needed to look at it, to send it again, or to let it go. */
import { OP } from '../record/batch.ts';
import { DEAD_LETTER } from '../record/message-id.ts';
import { type MessageBatch, MessageWriter, SPAN, SPAN_SIZE } from '../record/messages.ts';
import type { Address } from '../segments/segment-log.ts';

/** What is known of a letter without its bytes. */
export interface LetterHead {
  /** Id of the message: connector, transaction, ordinal, part. */
  readonly id: string;
  /** Topic or subject that it was meant for. */
  readonly destination: string;
  /** Label of its table. */
  readonly table: string;
  /** As `OP`. */
  readonly op: number;
  readonly code: string;
  readonly error: string;
  readonly remedy: string;
  /** Wall clock when it was put here, microseconds since the epoch. */
  readonly timeMicros: number;
  readonly spread: number;
  /** Bytes; −1: there is none. */
  readonly key: number;
  readonly value: number;
  readonly headers: number;
}

/** A letter that nobody has dealt with yet. */
export interface OpenLetter {
  readonly head: LetterHead;
  address: Address;
  readonly key: Buffer | null;
  readonly keyHash: number;
  /** Newer messages of its key or table came since (`LetterIndex`): sending it now would overwrite what is newer. */
  superseded: boolean;
  /** It stands in the dead-letter topic as well. */
  published: boolean;
}

/** What happened to a letter later. `superseded`: newer messages of its key or table came since. `published`: it stands in the dead-letter topic as well. */
export interface LetterEvent {
  readonly event: 'replayed' | 'discarded' | 'superseded' | 'published';
  readonly id: string;
  readonly timeMicros: number;
}

export interface LetterParts {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Buffer | null;
}

const LENGTH_BYTES = 4;

/** Parts of a message of a batch, as views of its bytes. */
export function partsOf({ bytes, spans }: MessageBatch, index: number): LetterParts {
  const part = (start: number, end: number): Buffer | null => {
    const from = spans[index * SPAN_SIZE + start] as number;
    return from < 0 ? null : bytes.subarray(from, spans[index * SPAN_SIZE + end]);
  };
  return {
    key: part(SPAN.keyStart, SPAN.keyEnd),
    value: part(SPAN.valueStart, SPAN.valueEnd),
    headers: part(SPAN.headersStart, SPAN.headersEnd),
  };
}

/** A view of the batch's bytes. */
export function keyAt({ bytes, spans }: MessageBatch, index: number): Buffer | null {
  const at = index * SPAN_SIZE;
  const start = spans[at + SPAN.keyStart] as number;
  return start < 0 ? null : bytes.subarray(start, spans[at + SPAN.keyEnd]);
}

/** As an entry of the file: u32 length of the JSON, the JSON, key, value, headers. */
export function letterBytes(head: LetterHead, { key, value, headers }: LetterParts): Buffer {
  return Buffer.concat([jsonBytes(head), ...[key, value, headers].filter((part) => part !== null)]);
}

export function eventBytes(event: LetterEvent): Buffer {
  return jsonBytes(event);
}

export function parseEntry(entry: Buffer): LetterHead | LetterEvent {
  return JSON.parse(entry.toString('utf8', LENGTH_BYTES, LENGTH_BYTES + entry.readUInt32LE(0))) as LetterHead | LetterEvent;
}

/** The bytes of a letter's entry. */
export function partsOfEntry(entry: Buffer, head: LetterHead): LetterParts {
  let at = LENGTH_BYTES + entry.readUInt32LE(0);
  const take = (length: number): Buffer | null => {
    if (length < 0) return null;
    at += length;
    return entry.subarray(at - length, at);
  };
  return { key: take(head.key), value: take(head.value), headers: take(head.headers) };
}

/** Under which a letter stands in the dead-letter topic: not under its own id, or where it is sent again it would be taken for a double. */
function idInTopic(id: string): string {
  const at = id.indexOf('/') + 1;
  return id.slice(0, at) + DEAD_LETTER + id.slice(at);
}

/** What a message is of, beside its bytes. */
export type MessageAbout = Pick<LetterHead, 'id' | 'destination' | 'table' | 'spread' | 'op'>;

/** What stands in a dead-letter topic is of no table. */
export function aboutInTopic({ head }: OpenLetter, topic: string): MessageAbout {
  return { id: idInTopic(head.id), destination: topic, table: '', spread: 0, op: OP.message };
}

/** One message for a destination, under an id by which it is recognised where it stands already (I4). */
export function messageOf({ id, destination, table, spread, op }: MessageAbout, { key, value, headers }: LetterParts): MessageBatch {
  const writer = new MessageWriter((key?.length ?? 0) + (value?.length ?? 0) + (headers?.length ?? 0) + id.length * 3 + 16);
  writer.destinations = [destination];
  writer.tables = [table];
  writer.spread = spread;
  writer.op = op;
  const put = (part: Uint8Array | null): [number, number] => {
    if (part === null) return [-1, -1];
    const start = writer.bytesLength;
    writer.bytes.set(part, start);
    writer.bytesLength = start + part.length;
    return [start, writer.bytesLength];
  };
  writer.message(...put(key), ...put(value), ...put(headers), ...put(Buffer.from(id, 'utf8')));
  return writer;
}

function jsonBytes(value: unknown): Buffer {
  const json = Buffer.from(JSON.stringify(value));
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32LE(json.length, 0);
  return Buffer.concat([length, json]);
}
