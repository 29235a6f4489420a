/** What a statement in the log is. No parser of SQL: its first words, behind comments. */

/** `rows`: it changes rows, which then are not in the log as rows. `savepoint`: part of one was rolled back. */
export type StatementKind = 'begin' | 'commit' | 'rollback' | 'rollbackTo' | 'plain' | 'truncate' | 'rows' | 'xa' | 'unknown';

/** First words of statements that leave rows as they are, or change them only along with a table's definition. */
const PLAIN = new Set([
  'ALTER',
  'BINLOG',
  'CHANGE',
  'CHECK',
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

/** Between two words. */
const GAP = '(?:\\s|/\\*[\\s\\S]*?\\*/)+';

interface Syntax {
  /** MariaDB's `SET STATEMENT variable = value FOR` before the statement that it is about. */
  readonly prefix: RegExp;
  readonly notCode: RegExp;
}

function syntaxOf(singleQuoted: string, doubleQuoted: string): Syntax {
  const quoted = `${singleQuoted}|${doubleQuoted}|\`[^\`]*\``;
  return {
    prefix: new RegExp(`^SET${GAP}STATEMENT\\b(?:${quoted}|[^'"\`])*?\\bFOR\\b`, 'i'),
    notCode: new RegExp(`${quoted}|--\\s[^\\n]*|#[^\\n]*|/\\*M?!\\d*|\\*/|/\\*[\\s\\S]*?\\*/`, 'g'),
  };
}

const WITH_ESCAPES = syntaxOf(`'(?:[^'\\\\]|\\\\[\\s\\S]|'')*'`, `"(?:[^"\\\\]|\\\\[\\s\\S]|"")*"`);
/** `sql_mode = NO_BACKSLASH_ESCAPES`. */
const WITHOUT_ESCAPES = syntaxOf(`'(?:[^']|'')*'`, `"(?:[^"]|"")*"`);

/** From the first word of what is carried out. `hasEscapes`: as `QueryEvent` has it. */
export function statementText(sql: string, hasEscapes: boolean): string {
  return textOf(sql, syntaxFor(hasEscapes));
}

function textOf(sql: string, { prefix }: Syntax): string {
  let text = withoutComments(sql);
  for (;;) {
    const shorter = withoutComments(text.replace(prefix, ''));
    if (shorter === text) return text;
    text = shorter;
  }
}

/** `hasEscapes`: as `QueryEvent` has it. */
function syntaxFor(hasEscapes: boolean): Syntax {
  return hasEscapes ? WITH_ESCAPES : WITHOUT_ESCAPES;
}

/** The words alone, in upper case: no comment, no literal, no quoted name. */
function codeOf(text: string, { notCode }: Syntax): string {
  return text.replace(notCode, ' ').trim().toUpperCase();
}

export function kindOfStatement(sql: string, hasEscapes: boolean): StatementKind {
  // One stands before every transaction.
  if (sql === 'BEGIN') return 'begin';
  const syntax = syntaxFor(hasEscapes);
  const text = textOf(sql, syntax);
  // MariaDB sends a comment in place of an event that the reader would not understand.
  if (text === '') return 'plain';
  const code = codeOf(text, syntax);
  const [first = '', second = ''] = code.split(/[\s;(]+/, 2);
  switch (first) {
    case 'BEGIN':
    case 'START':
      return 'begin';
    case 'COMMIT':
      return 'commit';
    case 'ROLLBACK':
      return /^ROLLBACK\s+(WORK\s+)?TO\b/.test(code) ? 'rollbackTo' : 'rollback';
    case 'XA':
      return 'xa';
    case 'TRUNCATE':
      return 'truncate';
    case 'CREATE':
      return fillsTable(code) ? 'rows' : 'plain';
    case 'ANALYZE':
      // MariaDB carries out what it analyzes.
      return ['TABLE', 'TABLES', 'LOCAL', 'NO_WRITE_TO_BINLOG'].includes(second) ? 'plain' : 'rows';
    case 'SET':
      // A prefix that was not recognised: what it is about is not known.
      return second === 'STATEMENT' ? 'unknown' : 'plain';
  }
  if (PLAIN.has(first)) return 'plain';
  return ROWS.has(first) ? 'rows' : 'unknown';
}

/**
 * `CREATE TABLE … SELECT` (or `TABLE`, or `VALUES` that are no partition's), as a session writes it whose `binlog_format` is not ROW. Temporary tables
 * are nobody else's.
 */
function fillsTable(code: string): boolean {
  const table = /^CREATE\s+(?:OR\s+REPLACE\s+)?TABLE\b/.exec(code);
  return table !== null && /\b(?:SELECT|TABLE)\b|\bVALUES\b(?!\s*(?:LESS|IN)\b)/.test(code.slice(table[0].length));
}

/**
 * Whether a definition may give a table what the log does not show and the catalogue does: a foreign key that changes rows by itself, or a type whose text is
 * not there; by name, or from another table.
 */
export function needsCatalogue(sql: string, hasEscapes: boolean): boolean {
  const syntax = syntaxFor(hasEscapes);
  return /\b(?:REFERENCES|UUID|INET4|INET6|VECTOR|XMLTYPE|LIKE|RENAME)\b/.test(codeOf(textOf(sql, syntax), syntax));
}

/** MySQL writes `CREATE TABLE … SELECT` as a definition that begins a transaction, whose rows follow. */
export function beginsTransaction(sql: string): boolean {
  return /\bSTART\s+TRANSACTION\s*$/i.test(sql);
}

/** For a message: the word alone, no values (I12). */
export function firstWord(sql: string): string {
  return /[A-Za-z]+/.exec(sql)?.[0].toUpperCase() ?? '?';
}
