/** Columns of a table in Debezium's words, as far as the log describes them. */
import { createHash } from 'node:crypto';
import type { ColumnDefinition, LogicalType, TableDefinition, TableVersion } from '#plugin';
import type { ColumnPlan } from './columns.ts';

/** `java.sql.Types`, as Debezium has them; all others are 1111. */
const JDBC_TYPES: Readonly<Record<string, number>> = {
  tinyint: 5,
  smallint: 5,
  mediumint: 4,
  int: 4,
  bigint: -5,
  decimal: 3,
  float: 6,
  double: 8,
  bit: -7,
  year: 4,
  date: 91,
  time: 92,
  datetime: 93,
  timestamp: 2014,
  char: 1,
  varchar: 12,
  tinytext: 12,
  text: 12,
  mediumtext: 12,
  longtext: 12,
  binary: -2,
  varbinary: -3,
  tinyblob: 2004,
  blob: 2004,
  mediumblob: 2004,
  longblob: 2004,
  enum: 1,
  set: 1,
};
const OTHER = 1111;

export function jdbcTypeOf(type: string): number {
  return JDBC_TYPES[type] ?? OTHER;
}

/** Of a column with labels, what Debezium has for its length: of SET the characters of all of them, each counted as one, with commas. */
export function labelledLength(type: string, labels: number): number {
  return type === 'enum' ? 1 : Math.max(0, 2 * labels - 1);
}

/** Types of which the log tells the length that was declared. */
const WITH_LENGTH = new Set(['decimal', 'bit', 'time', 'datetime', 'timestamp', 'char', 'varchar', 'binary', 'varbinary']);
const TEMPORAL: ReadonlySet<LogicalType> = new Set(['duration', 'timestamp', 'timestamptz']);

/** Of a column as a TABLE_MAP has it, without what that does not tell: defaults, and numbers that the server counts up. */
function columnDefinition({ charset, labels, shape }: ColumnPlan): ColumnDefinition {
  const { name, type: logical, typeName, precision, scale, required } = shape;
  const [type = '', attribute] = typeName.replace(/\(.*?\)/, '').split(' ');
  const length = TEMPORAL.has(logical) ? scale || null : WITH_LENGTH.has(type) ? precision : null;
  return {
    name,
    jdbcType: jdbcTypeOf(type),
    type: (attribute === undefined ? type : `${type} ${attribute}`).toUpperCase(),
    charset: charset?.name ?? null,
    length: labels === null ? length : labelledLength(type, labels.length),
    scale: logical === 'decimal' ? scale : null,
    optional: required !== true,
    autoIncremented: false,
    default: null,
    labels: labels?.map((label) => `'${label.toString('utf8').replaceAll("'", "''")}'`) ?? null,
  };
}

/** What both the log and the catalogue tell of a column. */
function comparable({ name, type, length, scale, optional, labels }: ColumnDefinition): unknown[] {
  const plain = type
    .replace(' ZEROFILL', '')
    .replace(/^(FLOAT|DOUBLE) UNSIGNED/, '$1')
    .replace('GEOMETRYCOLLECTION', 'GEOMCOLLECTION');
  const [base = ''] = plain.toLowerCase().split(' ');
  const sizes = WITH_LENGTH.has(base) ? [length, scale] : [];
  return [name, plain, optional, labels, ...sizes];
}

/** The same for two definitions of which the log cannot tell one from the other. */
export function markOf({ columns, key }: Pick<TableDefinition, 'columns' | 'key'>): string {
  return createHash('sha256')
    .update(JSON.stringify([columns.map(comparable), key]))
    .digest('base64url')
    .slice(0, 22);
}

/** A table as the log has it. `catalogue`: what a column is there, if it still is what the log has, is more than the log tells. */
export function shownDefinition({ columns, key }: TableVersion, plans: readonly ColumnPlan[], catalogue: TableDefinition | null): TableDefinition {
  const known = new Map(catalogue?.columns.map((column) => [JSON.stringify(comparable(column)), column]));
  return {
    charset: catalogue?.charset ?? null,
    key: key.map((index) => columns[index]?.name ?? ''),
    columns: plans.map((plan) => {
      const column = columnDefinition(plan);
      return known.get(JSON.stringify(comparable(column))) ?? column;
    }),
  };
}
