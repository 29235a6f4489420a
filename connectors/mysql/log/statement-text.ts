/** The text of a statement in the log, which is in the character set of the session that sent it. */
import { TEXT, textBytes, writeText } from './charsets.ts';
import type { QueryEvent } from './events.ts';
import { type CharsetOf, UnknownCollation } from './table-map.ts';

/** With the names in it as they are, for whoever needs them. Throws UnknownCollation. */
export function statementText({ sql, raw, collation }: Pick<QueryEvent, 'sql' | 'raw' | 'collation'>, charsetOf: CharsetOf): string {
  // ASCII is the same in every character set that a session may have.
  if (collation < 0 || !raw.some((byte) => byte > 0x7f)) return sql;
  const charset = charsetOf(collation);
  if (charset === undefined) throw new UnknownCollation(collation);
  if (charset === null || charset.text === TEXT.utf8) return sql;
  const text = Buffer.alloc(textBytes(charset, raw.length));
  const length = writeText(text, 0, raw, 0, raw.length, charset);
  return length < 0 ? sql : text.toString('utf8', 0, length);
}
