/** What a statement in the log is. No parser of SQL: its first words, behind comments. */

/** `rows`: it changes rows, which then are not in the log as rows. `savepoint`: part of one was rolled back. */
export type StatementKind = 'begin' | 'commit' | 'rollback' | 'rollbackTo' | 'plain' | 'truncate' | 'rows' | 'xa' | 'unknown';

/** First words of statements that leave rows as they are, or change them only along with a table's definition. */
const PLAIN = new Set([
  'ALTER',
  'ANALYZE',
  'BINLOG',
  'CHANGE',
  'CHECK',
  'CREATE',
  'DROP',
  'FLUSH',
  'GRANT',
  'INSTALL',
  'OPTIMIZE',
  'PURGE',
  'RELEASE',
  'RENAME',
  'REPAIR',
  'RESET',
  'REVOKE',
  'SAVEPOINT',
  'SET',
  'UNINSTALL',
]);
const ROWS = new Set(['INSERT', 'UPDATE', 'DELETE', 'REPLACE', 'LOAD', 'WITH', 'CALL', 'DO', 'SELECT', 'VALUES', 'TABLE', 'IMPORT']);

/** The text without what stands in comments before its first word; what is between `/*!` and its end is read. */
function withoutComments(sql: string): string {
  let text = sql;
  for (;;) {
    const shorter = text.replace(/^(?:[\s;(]+|--\s[^\n]*(?:\n|$)|#[^\n]*(?:\n|$)|\/\*M?!\d*|\*\/|\/\*(?!M?!)[\s\S]*?\*\/)/, '');
    if (shorter === text) return text;
    text = shorter;
  }
}

export function kindOfStatement(sql: string): StatementKind {
  const text = withoutComments(sql);
  // MariaDB sends a comment in place of an event that the reader would not understand.
  if (text === '') return 'plain';
  const [first = '', second = ''] = text
    .slice(0, 200)
    .toUpperCase()
    .split(/[\s;(]+/);
  switch (first) {
    case 'BEGIN':
    case 'START':
      return 'begin';
    case 'COMMIT':
      return 'commit';
    case 'ROLLBACK':
      return second === 'TO' || /^ROLLBACK\s+(WORK\s+)?TO\b/i.test(text) ? 'rollbackTo' : 'rollback';
    case 'XA':
      return 'xa';
    case 'TRUNCATE':
      return 'truncate';
  }
  if (first === 'CREATE' && createsRows(text)) return 'rows';
  if (PLAIN.has(first)) return 'plain';
  return ROWS.has(first) ? 'rows' : 'unknown';
}

/** `CREATE TABLE … SELECT`: in the log as rows the definition is written out, and has no SELECT. A view has one, and no rows. */
function createsRows(sql: string): boolean {
  if (!/^CREATE\s+(?:OR\s+REPLACE\s+)?TABLE\b/i.test(sql)) return false;
  const unquoted = sql.replace(/'(?:[^'\\]|\\[\s\S]|'')*'|"(?:[^"\\]|\\[\s\S]|"")*"|`(?:[^`]|``)*`/g, '');
  return /\b(?:SELECT|VALUES\s+ROW)\b/i.test(unquoted);
}

/** MySQL writes `CREATE TABLE … SELECT` as a definition that begins a transaction, whose rows follow. */
export function beginsTransaction(sql: string): boolean {
  return /\bSTART\s+TRANSACTION\s*$/i.test(sql);
}

/** A name, quoted or not. */
const NAME = '(`(?:[^`]|``)+`|"(?:[^"]|"")+"|[^\\s.`";,/]+)';
const TRUNCATED = new RegExp(`^TRUNCATE\\s+(?:TABLE\\s+)?${NAME}(?:\\s*\\.\\s*${NAME})?`, 'i');

/** The table that a TRUNCATE names, in `database` if it names none; null where the name cannot be read. */
export function truncatedTable(sql: string, database: string): { readonly database: string; readonly name: string } | null {
  // Comments between the words are no part of a name; one inside quotes is left alone by cutting only where spaces stand.
  const parts = TRUNCATED.exec(withoutComments(sql).replace(/^(TRUNCATE|TRUNCATE\s+TABLE)\s*\/\*[\s\S]*?\*\//i, '$1 '));
  if (parts === null) return null;
  const [, first, second] = parts;
  return second === undefined ? { database, name: unquoted(first as string) } : { database: unquoted(first as string), name: unquoted(second) };
}

function unquoted(name: string): string {
  const quote = name[0] as string;
  return quote === '`' || quote === '"' ? name.slice(1, -1).replaceAll(quote + quote, quote) : name;
}
