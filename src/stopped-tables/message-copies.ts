/** What a message becomes that is not sent as it was read: under another id, or to one of its places alone. */
import { RESUMED } from '../record/message-id.ts';
import { idAt, type MessageWriter, SPAN, SPAN_SIZE } from '../record/messages.ts';

/**
 * A message that is sent late stands under an id of its own: under its first one it would say of the others of its transaction, which may still be on their way, that
 * they stand (I1).
 */
export function renameResumed(messages: MessageWriter, connector: string, table: string): void {
  for (let index = 0; index < messages.count; index++) {
    const id = `${connector}/${RESUMED}${encodeURIComponent(table)}/${idAt(messages, index).slice(connector.length + 1)}`;
    messages.reserve(id.length);
    const at = index * SPAN_SIZE;
    messages.spans[at + SPAN.idStart] = messages.bytesLength;
    messages.bytesLength += messages.bytes.write(id, messages.bytesLength, 'latin1');
    messages.spans[at + SPAN.idEnd] = messages.bytesLength;
  }
}

/** Numbers of a record's messages end below it. */
const FIRST_COPY = 8;

/** Adds a copy of a message that goes to one of its places alone, under an id that no other one has. Answers with its index. */
export function copyTo(messages: MessageWriter, index: number, spread: number): number {
  const id = idAt(messages, index);
  const copied = Buffer.from(`${id.slice(0, id.lastIndexOf('/') + 1)}${FIRST_COPY + spread}`, 'utf8');
  messages.reserve(copied.length);
  const idStart = messages.bytesLength;
  messages.bytes.set(copied, idStart);
  messages.bytesLength += copied.length;
  const from = index * SPAN_SIZE;
  const span = (of: number): number => messages.spans[from + of] as number;
  messages.destination = span(SPAN.destination);
  messages.table = span(SPAN.table);
  messages.spread = spread;
  messages.op = span(SPAN.op);
  const [keyStart, keyEnd] = [span(SPAN.keyStart), span(SPAN.keyEnd)];
  messages.message(
    keyStart,
    keyEnd,
    span(SPAN.valueStart),
    span(SPAN.valueEnd),
    span(SPAN.headersStart),
    span(SPAN.headersEnd),
    idStart,
    messages.bytesLength,
  );
  return messages.count - 1;
}
