/** Statements of the log as text: each is written in the character set of its session. */
import { textBytes, writeText } from './charsets.ts';
import type { QueryEvent } from './events.ts';
import { type CharsetOf, charsetFor } from './table-map.ts';

/** The event with its statement in the session's characters. Throws UnknownCollation. */
export function inSessionCharset(event: QueryEvent, bytes: Buffer, end: number, charsetOf: CharsetOf): QueryEvent {
  const { collation, sqlAt, sql } = event;
  if (collation === null || isAscii(sql)) return event;
  const charset = charsetFor(charsetOf, collation);
  if (charset === null) return event;
  const to = Buffer.alloc(textBytes(charset, end - sqlAt));
  const length = writeText(to, 0, bytes, sqlAt, end, charset);
  return length < 0 ? event : { ...event, sql: to.toString('utf8', 0, length) };
}

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 0x7f) return false;
  return true;
}
