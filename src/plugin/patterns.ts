/** A pattern of captured tables, parsed. */
export interface TablePattern {
  /** As the user wrote it. */
  readonly text: string;
  /** `schema.table` without wildcards: then the table must exist. */
  readonly exact: boolean;
  matches(schema: string, name: string): boolean;
  /** Whether tables of the schema may match; of a regular expression it is known only by a name that it is tried with. */
  mayMatchIn(schema: string): boolean;
}

export interface PatternError {
  readonly message: string;
  readonly remedy: string;
}

export function isPatternError(pattern: TablePattern | PatternError): pattern is PatternError {
  return 'message' in pattern;
}

const ANY_TABLE = 'any_table';

/**
 * Reads a table pattern: `schema.table`, `*` standing for any characters within its part, a part in double quotes being literal; or `/regex/`,
 * which must match the whole of `schema.table`. Names are compared as the catalog has them: nothing is folded to lower case.
 */
export function parsePattern(text: string): TablePattern | PatternError {
  if (text.startsWith('/')) return parseRegex(text);
  const parts = /^("(?:[^"]|"")+"|[^".]+)\.("(?:[^"]|"")+"|[^"]+)$/.exec(text);
  if (parts === null) {
    return { message: `"${text}" is no table pattern`, remedy: 'write schema.table, with * for any characters, or /regular expression/' };
  }
  const schema = part(parts[1] as string);
  const name = part(parts[2] as string);
  return {
    text,
    exact: schema.literal && name.literal,
    mayMatchIn: (tableSchema) => schema.expression.test(tableSchema),
    matches: (tableSchema, tableName) => schema.expression.test(tableSchema) && name.expression.test(tableName),
  };
}

/** Parses patterns that were validated. */
export function parsePatterns(texts: readonly string[]): readonly TablePattern[] {
  return texts.map((text) => {
    const pattern = parsePattern(text);
    if (isPatternError(pattern)) throw new TypeError(pattern.message);
    return pattern;
  });
}

/** A pattern of columns of captured tables, parsed. */
export interface ColumnPattern {
  readonly table: TablePattern;
  /** Without wildcards; null: it has some. */
  readonly name: string | null;
  matches(column: string): boolean;
}

/** Reads `schema.table.column`, each part as in a table pattern; null: it is none. */
export function parseColumnPattern(text: string): ColumnPattern | null {
  const parts = /^(.+)\.("(?:[^"]|"")+"|[^".]+)$/s.exec(text);
  const table = parts === null ? null : parsePattern(parts[1] as string);
  if (parts === null || table === null || isPatternError(table)) return null;
  const column = part(parts[2] as string);
  return { table, name: column.literal ? column.text : null, matches: (name) => column.expression.test(name) };
}

function parseRegex(text: string): TablePattern | PatternError {
  if (text.length < 3 || !text.endsWith('/'))
    return { message: `"${text}" begins like a regular expression but does not end with a slash`, remedy: 'write /expression/' };
  try {
    const expression = new RegExp(`^(?:${text.slice(1, -1)})$`, 'su');
    const matches = (schema: string, name: string): boolean => expression.test(`${schema}.${name}`);
    return { text, exact: false, matches, mayMatchIn: (schema) => matches(schema, ANY_TABLE) };
  } catch (error) {
    return {
      message: `"${text}" is no regular expression: ${(error as Error).message}`,
      remedy: 'mend the expression; it is written as in JavaScript',
    };
  }
}

function part(text: string): { text: string; literal: boolean; expression: RegExp } {
  const quoted = text.startsWith('"');
  const name = quoted ? text.slice(1, -1).replaceAll('""', '"') : text;
  const escaped = name.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');
  const source = quoted ? escaped : escaped.replaceAll('\\*', '.*');
  return { text: name, literal: quoted || !text.includes('*'), expression: new RegExp(`^${source}$`, 'su') };
}
