/**
 * Which tables a statement of the log defines anew, or empties. No parser of SQL: the words that stand in front of the names, and the names. What the tables are by it is not read from
 * the text, and no row is read by it: a statement that is not recognised is not told, nothing more.
 */
import type { QueryEvent } from './events.ts';
import { statementText } from './statements.ts';

/** What is asked of one. */
export type Statement = Pick<QueryEvent, 'sql' | 'database' | 'hasEscapes'>;

export interface TableName {
  readonly database: string;
  readonly name: string;
}

/** What one statement says of one table, or of a database: `RENAME TABLE` and `DROP TABLE` may name several. */
export interface DefinitionPart {
  /** As if it stood by itself. */
  readonly text: string;
  readonly database: string;
  /** The tables that it is about; none: a database. */
  readonly tables: readonly TableName[];
  /** Null: it changes nothing of a table that is told. */
  readonly change: (TableName & { readonly kind: 'CREATE' | 'ALTER' | 'DROP' }) | null;
}

interface Token {
  readonly text: string;
  /** In upper case; empty: it is quoted. */
  readonly word: string;
  readonly start: number;
  readonly end: number;
}

/** Behind each other: what is skipped; marks around what only some servers read; quoted names and texts; words; anything else. */
const TOKEN =
  /(\s+|--\s[^\n]*|#[^\n]*|\/\*(?!M?!)[\s\S]*?\*\/)|(\/\*M?!\d*|\*\/)|(`(?:[^`]|``)*`|"(?:[^"\\]|\\[\s\S]|"")*"|'(?:[^'\\]|\\[\s\S]|'')*')|([\p{L}\p{N}_$\u0080-\uffff]+)|([\s\S])/uy;
/** `sql_mode = NO_BACKSLASH_ESCAPES`. */
const TOKEN_WITHOUT_ESCAPES =
  /(\s+|--\s[^\n]*|#[^\n]*|\/\*(?!M?!)[\s\S]*?\*\/)|(\/\*M?!\d*|\*\/)|(`(?:[^`]|``)*`|"(?:[^"]|"")*"|'(?:[^']|'')*')|([\p{L}\p{N}_$\u0080-\uffff]+)|([\s\S])/uy;

class Tokens {
  readonly sql: string;
  /** Where the statement ends, without what is skipped behind it. */
  end = 0;
  readonly #tokens: Token[] = [];
  #at = 0;

  constructor(sql: string, token: RegExp) {
    this.sql = sql;
    token.lastIndex = 0;
    for (let found = token.exec(sql); found !== null; found = token.exec(sql)) {
      const [text, skipped, mark, quoted] = found;
      if (skipped !== undefined || text === ';') continue;
      this.end = token.lastIndex;
      if (mark === undefined)
        this.#tokens.push({ text, word: quoted === undefined ? text.toUpperCase() : '', start: found.index, end: token.lastIndex });
    }
  }

  /** What is next. */
  get token(): Token | undefined {
    return this.#tokens[this.#at];
  }

  get isOver(): boolean {
    return this.#at >= this.#tokens.length;
  }

  skip(): void {
    this.#at++;
  }

  /** Takes the words if they are all there. */
  take(...words: readonly string[]): boolean {
    if (!words.every((word, index) => this.#tokens[this.#at + index]?.word === word)) return false;
    this.#at += words.length;
    return true;
  }

  /** Takes any of these words, as many as there are. */
  takeAny(words: ReadonlySet<string>): void {
    while (words.has(this.token?.word ?? '')) this.#at++;
  }

  /** Takes a name, of `database` unless it says another; null: there is none. */
  name(database: string): TableName | null {
    const first = this.#identifier();
    if (first === null) return null;
    if (!this.take('.')) return { database, name: first };
    const second = this.#identifier();
    return second === null ? null : { database: first, name: second };
  }

  #identifier(): string | null {
    const { text = '', word = '' } = this.token ?? {};
    const isQuoted = text.startsWith('`') || text.startsWith('"');
    if (!isQuoted && !/^[\p{L}\p{N}_$\u0080-\uffff]+$/u.test(word)) return null;
    this.#at++;
    if (!isQuoted) return text;
    const quote = text[0] as string;
    return text.slice(1, -1).replaceAll(quote + quote, quote);
  }
}

const BEFORE_TABLE = new Set(['ONLINE', 'IGNORE', 'OFFLINE']);
const BEFORE_INDEX = new Set(['ONLINE', 'OFFLINE', 'UNIQUE', 'FULLTEXT', 'SPATIAL', 'VECTOR']);
/** Words behind RENAME in an ALTER TABLE that rename something else. */
const RENAMED = new Set(['COLUMN', 'INDEX', 'KEY']);
const NOTHING: readonly DefinitionPart[] = [];

/** `database` is the session's, `hasEscapes` as `QueryEvent` has it. Empty: it defines no table, index or database. */
export function definitionParts({ sql, database, hasEscapes }: Statement): readonly DefinitionPart[] {
  const text = statementText(sql, hasEscapes);
  if (!/^(?:RENAME|ALTER|CREATE|DROP)\b/i.test(text)) return NOTHING;
  const tokens = new Tokens(text, hasEscapes ? TOKEN : TOKEN_WITHOUT_ESCAPES);
  if (tokens.take('RENAME')) return renameTables(tokens, database);
  if (tokens.take('ALTER')) return alter(tokens, database);
  if (tokens.take('CREATE')) return create(tokens, database);
  return tokens.take('DROP') ? drop(tokens, database) : NOTHING;
}

/** The table that a TRUNCATE names, in `database` if it names none; null where the name cannot be read. */
export function truncatedTable({ sql, database, hasEscapes }: Statement): TableName | null {
  const tokens = new Tokens(statementText(sql, hasEscapes), hasEscapes ? TOKEN : TOKEN_WITHOUT_ESCAPES);
  if (!tokens.take('TRUNCATE')) return null;
  tokens.take('TABLE');
  tokens.take('IF', 'EXISTS');
  return tokens.name(database);
}

function whole({ sql, end }: Tokens, about: Omit<DefinitionPart, 'text'>): readonly DefinitionPart[] {
  return [{ text: sql.slice(0, end), ...about }];
}

function ofDatabase(tokens: Tokens, database: string): readonly DefinitionPart[] {
  tokens.take('IF', 'NOT', 'EXISTS') || tokens.take('IF', 'EXISTS');
  return whole(tokens, { database: tokens.name('')?.name ?? database, tables: [], change: null });
}

/** An index is none of what is told of its table. */
function ofIndex(tokens: Tokens, database: string): readonly DefinitionPart[] {
  while (!tokens.isOver && !tokens.take('ON')) tokens.skip();
  const table = tokens.name(database);
  return table === null ? NOTHING : whole(tokens, { database: table.database, tables: [table], change: null });
}

function ofTable(tokens: Tokens, table: TableName | null, kind: 'CREATE' | 'ALTER', before: readonly TableName[] = []): readonly DefinitionPart[] {
  return table === null ? NOTHING : whole(tokens, { database: table.database, tables: [table, ...before], change: { kind, ...table } });
}

function create(tokens: Tokens, database: string): readonly DefinitionPart[] {
  tokens.take('OR', 'REPLACE');
  if (tokens.take('TABLE')) {
    tokens.take('IF', 'NOT', 'EXISTS');
    return ofTable(tokens, tokens.name(database), 'CREATE');
  }
  if (tokens.take('DATABASE') || tokens.take('SCHEMA')) return ofDatabase(tokens, database);
  tokens.takeAny(BEFORE_INDEX);
  return tokens.take('INDEX') ? ofIndex(tokens, database) : NOTHING;
}

function alter(tokens: Tokens, database: string): readonly DefinitionPart[] {
  if (tokens.take('DATABASE') || tokens.take('SCHEMA')) return whole(tokens, alteredDatabase(tokens, database));
  tokens.takeAny(BEFORE_TABLE);
  if (!tokens.take('TABLE')) return NOTHING;
  tokens.take('IF', 'EXISTS');
  const table = tokens.name(database);
  if (table === null) return NOTHING;
  const renamed = newName(tokens, database);
  return renamed === null ? ofTable(tokens, table, 'ALTER') : ofTable(tokens, renamed, 'ALTER', [table]);
}

/** `ALTER DATABASE` without a name is of the session's. */
function alteredDatabase(tokens: Tokens, database: string): Omit<DefinitionPart, 'text'> {
  const isNamed = !['CHARACTER', 'CHARSET', 'DEFAULT', 'COLLATE', 'ENCRYPTION', 'READ', 'COMMENT'].includes(tokens.token?.word ?? '');
  return { database: isNamed ? (tokens.name('')?.name ?? database) : database, tables: [], change: null };
}

/** Of a table that its ALTER renames; null: it does not. */
function newName(tokens: Tokens, database: string): TableName | null {
  for (let depth = 0; !tokens.isOver; ) {
    if (depth === 0 && tokens.take('RENAME')) {
      if (RENAMED.has(tokens.token?.word ?? '')) continue;
      tokens.take('TO') || tokens.take('AS') || tokens.take('=');
      return tokens.name(database);
    }
    if (tokens.token?.word === '(') depth++;
    if (tokens.token?.word === ')') depth--;
    tokens.skip();
  }
  return null;
}

function drop(tokens: Tokens, database: string): readonly DefinitionPart[] {
  if (tokens.take('DATABASE') || tokens.take('SCHEMA')) return ofDatabase(tokens, database);
  if (tokens.take('INDEX')) return ofIndex(tokens, database);
  if (!tokens.take('TABLE') && !tokens.take('TABLES')) return NOTHING;
  tokens.take('IF', 'EXISTS');
  const head = tokens.sql.slice(0, tokens.token?.start ?? 0);
  const tables = namesOf(() => tokens.name(database), tokens);
  const behaviour = ['RESTRICT', 'CASCADE'].includes(tokens.token?.word ?? '') ? ` ${tokens.token?.text}` : '';
  return tables.map((table) => ({
    text: `${head}${quoted(table.database)}.${quoted(table.name)}${behaviour}`,
    database: table.database,
    tables: [table],
    change: { kind: 'DROP', ...table },
  }));
}

function renameTables(tokens: Tokens, database: string): readonly DefinitionPart[] {
  if (!tokens.take('TABLE') && !tokens.take('TABLES')) return NOTHING;
  tokens.take('IF', 'EXISTS');
  const head = tokens.sql.slice(0, tokens.token?.start ?? 0);
  const pairs = namesOf(() => {
    const start = tokens.token?.start ?? 0;
    const from = tokens.name(database);
    const to = from !== null && tokens.take('TO') ? tokens.name(database) : null;
    if (from === null || to === null) return null;
    return { from, to, text: tokens.sql.slice(start, tokens.token?.start ?? tokens.end).trimEnd() };
  }, tokens);
  return pairs.map(({ from, to, text }) => ({
    text: `${head}${text}`,
    database: to.database,
    tables: [to, from],
    change: { kind: 'ALTER', ...to },
  }));
}

/** What stands between commas. */
function namesOf<T>(next: () => T | null, tokens: Tokens): readonly T[] {
  const found: T[] = [];
  do {
    const one = next();
    if (one === null) break;
    found.push(one);
  } while (tokens.take(','));
  return found;
}

function quoted(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}
