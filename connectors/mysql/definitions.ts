/** Definitions of tables as the catalogue has them now, in Debezium's words: for messages of schema changes. */
import type { ColumnDefinition, TableDefinition } from '#plugin';
import type { Client } from './client.ts';
import { jdbcTypeOf, labelledLength } from './log/definition-columns.ts';
import { DefinitionsWanted } from './log/definitions.ts';
import type { System } from './log/position.ts';

interface ColumnRow {
  readonly name: string;
  readonly type: string;
  /** With lengths, labels and attributes. */
  readonly declared: string;
  readonly nullable: string;
  readonly byDefault: string | null;
  readonly extra: string;
  readonly charset: string | null;
}

const TABLE = `SELECT TABLE_COLLATION AS collation FROM information_schema.TABLES
  WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')`;
const COLUMNS = `SELECT COLUMN_NAME AS name, DATA_TYPE AS type, COLUMN_TYPE AS declared, IS_NULLABLE AS nullable, COLUMN_DEFAULT AS byDefault, EXTRA AS extra,
    CHARACTER_SET_NAME AS charset
  FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION`;
const KEY = `SELECT COLUMN_NAME AS name FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND INDEX_NAME = 'PRIMARY' ORDER BY SEQ_IN_INDEX`;

/** Answers the question. Throws a SluiceError. */
export async function readDefinitions(client: Client, system: System, question: DefinitionsWanted): Promise<void> {
  for (const table of question.tables) {
    const ask = <T extends object>(sql: string): Promise<T[]> =>
      client.rows<T>(`the definition of ${table.database}.${table.name}`, sql, [table.database, table.name]);
    const [found] = await ask<{ collation: string | null }>(TABLE);
    const definition: TableDefinition | null =
      found === undefined
        ? null
        : {
            // A collation's name begins with its character set's.
            charset: found.collation?.split('_')[0] ?? null,
            key: (await ask<{ name: string }>(KEY)).map(({ name }) => name),
            columns: (await ask<ColumnRow>(COLUMNS)).map((row) => columnOf(row, system)),
          };
    question.answers.set(DefinitionsWanted.key(table), definition);
  }
}

/** MariaDB says how many digits an integer is shown with even where nobody has: these, with a sign and without. */
const SHOWN_DIGITS: Readonly<Record<string, readonly [signed: number, unsigned: number]>> = {
  tinyint: [4, 3],
  smallint: [6, 5],
  mediumint: [9, 8],
  int: [11, 10],
  bigint: [20, 20],
  year: [4, 4],
};

function columnOf(row: ColumnRow, system: System): ColumnDefinition {
  const type = row.type.toLowerCase();
  const words = /\b(?:unsigned|zerofill)\b/gi;
  const attributes = row.declared.replace(/'(?:[^']|'')*'/g, '').match(words) ?? [];
  const labels = type === 'enum' || type === 'set' ? (row.declared.match(/'(?:[^']|'')*'/g) ?? []) : null;
  const digits = /^[a-z ]+\((\d+)(?:,(\d+))?\)/i.exec(row.declared);
  return {
    name: row.name,
    jdbcType: jdbcTypeOf(type),
    type: [type, ...attributes].join(' ').toUpperCase(),
    charset: row.charset,
    length: labels === null ? lengthOf(type, numberOrNull(digits?.[1]), attributes.length > 0) : labelledLength(type, labels.length),
    scale: numberOrNull(digits?.[2]),
    optional: row.nullable === 'YES',
    autoIncremented: /\bauto_increment\b/i.test(row.extra),
    default: defaultOf(row, type, system),
    labels,
  };
}

function lengthOf(type: string, digits: number | null, isUnsigned: boolean): number | null {
  return digits === SHOWN_DIGITS[type]?.[isUnsigned ? 1 : 0] ? null : digits;
}

function numberOrNull(text: string | undefined): number | null {
  return text === undefined ? null : Number(text);
}

/** The constant's text; a time that the server takes from its clock is the first one, as in Debezium; null: there is none, or it is computed. */
function defaultOf({ byDefault, extra }: ColumnRow, type: string, system: System): string | null {
  if (byDefault === null) return null;
  const isTime = type === 'datetime' || type === 'timestamp';
  if (isTime && /^(?:current_timestamp|now|localtime|localtimestamp)\b/i.test(byDefault)) return '1970-01-01 00:00:00';
  if (type === 'bit') return /^b'([01]*)'$/i.exec(byDefault)?.[1] ?? byDefault;
  if (system === 'mysql') return /\bDEFAULT_GENERATED\b/i.test(extra) ? null : byDefault;
  // MariaDB tells it as SQL.
  const text = /^'((?:[^']|'')*)'$/.exec(byDefault)?.[1];
  if (text !== undefined) return text.replaceAll("''", "'");
  return /^-?[\d.]+(?:e[+-]?\d+)?$/i.test(byDefault) ? byDefault : null;
}
