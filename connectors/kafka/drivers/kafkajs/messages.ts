/** Messages as kafkajs wants them: an object for each, over the batch's own bytes. */
import type { IHeaders, Message } from 'kafkajs';
import { type MessageBatch, SPAN, SPAN_SIZE } from '#plugin';
import type { RecordSet } from '../driver.ts';

export const ID_HEADER = 'sluice.id';

export function messagesOf({ runs, partition, timestampMs }: RecordSet): Message[] {
  const timestamp = String(timestampMs);
  const messages: Message[] = [];
  for (const { batch, indexes } of runs) {
    // Many messages share their headers.
    let headersStart = -2;
    let headers: IHeaders = {};
    for (let index = 0; index < indexes.length; index++) {
      const at = (indexes[index] as number) * SPAN_SIZE;
      if (batch.spans[at + SPAN.headersStart] !== headersStart) {
        headersStart = batch.spans[at + SPAN.headersStart] as number;
        headers = headersOf(batch, headersStart, batch.spans[at + SPAN.headersEnd] as number);
      }
      messages.push({
        key: part(batch, at + SPAN.keyStart),
        value: part(batch, at + SPAN.valueStart),
        headers: { ...headers, [ID_HEADER]: part(batch, at + SPAN.idStart) as Buffer },
        partition,
        timestamp,
      });
    }
  }
  return messages;
}

function part({ bytes, spans }: MessageBatch, at: number): Buffer | null {
  const start = spans[at] as number;
  return start < 0 ? null : bytes.subarray(start, spans[at + 1]);
}

/** In their order. (Those of one name are written one behind the other: the library keeps them in an object.) */
function headersOf({ bytes }: MessageBatch, start: number, end: number): IHeaders {
  const headers = Object.create(null) as IHeaders;
  for (let at = start; at >= 0 && at < end; ) {
    const nameEnd = at + 2 + bytes.readUInt16BE(at);
    const valueEnd = nameEnd + 4 + bytes.readUInt32BE(nameEnd);
    const name = bytes.toString('utf8', at + 2, nameEnd);
    const value = bytes.subarray(nameEnd + 4, valueEnd);
    const others = headers[name];
    headers[name] = others === undefined ? value : [...(Array.isArray(others) ? others : [others]), value];
    at = valueEnd;
  }
  return headers;
}
