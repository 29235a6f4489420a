/** Columns of MySQL and MariaDB as `SHOW CREATE TABLE` has them: their types in the words of the log, values for them, and what is read back as the native format has it. */

/** A column as the server defines it now. */
export interface MysqlColumn {
  readonly name: string;
  /** In the words of the log: no character set, no width of a number, no labels. */
  readonly type: string;
  /** The rest of the definition. */
  readonly definition: string;
  readonly isGenerated: boolean;
  readonly isRequired: boolean;
}

export interface MysqlTable {
  readonly columns: readonly MysqlColumn[];
  /** Columns of the primary key, in its order. */
  readonly key: readonly string[];
}

const names = (list: string): string[] => [...list.matchAll(/`([^`]+)`/g)].map(([, name]) => name as string);

export function readDefinition(sql: string): MysqlTable {
  const columns: MysqlColumn[] = [];
  for (const [, name = '', definition = ''] of sql.matchAll(/^ {2}`([^`]+)` (.*?),?$/gm)) {
    columns.push({
      name,
      type: typeOf(definition),
      definition,
      isGenerated: definition.includes('GENERATED ALWAYS'),
      isRequired: definition.includes('NOT NULL'),
    });
  }
  return { columns, key: names(/^ {2}PRIMARY KEY \((.*)\),?$/m.exec(sql)?.[1] ?? '') };
}

function typeOf(definition: string): string {
  const [, word = '', brackets = '', unsigned = ''] = /^(\w+)(\([^)]*\))?( unsigned)?/.exec(definition) ?? [];
  const hasDetail = /^(decimal|char|varchar|binary|varbinary|bit|datetime|timestamp|time)$/.test(word);
  return `${word}${hasDetail ? brackets : ''}${unsigned}`;
}

const random = (below: number): number => Math.floor(Math.random() * below);
const labelsOf = (definition: string): string[] => [...definition.matchAll(/'([^']*)'/g)].map(([, label]) => label as string);
const lengthOf = (type: string): number => Number(/\((\d+)/.exec(type)?.[1] ?? 0);

/** A literal for a column. */
export function valueFor({ name, type, definition, isRequired }: MysqlColumn): string {
  if (!isRequired && random(10) === 0) return 'NULL';
  const [word = ''] = type.split(/[( ]/);
  const isSigned = !type.endsWith('unsigned') && random(2) === 0;
  const whole = (below: number): string => `${isSigned ? '-' : ''}${random(below)}`;
  const date = `2026-${10 + random(3)}-${10 + random(18)}`;
  const time = `${10 + random(14)}:${10 + random(50)}:${10 + random(50)}.${String(random(1e6)).padStart(6, '0')}`;
  // A constraint of MariaDB's JSON.
  if (definition.includes('json_valid')) return `'{"${name}": ${random(99)}}'`;
  switch (word) {
    case 'tinyint':
      return whole(100);
    case 'smallint':
    case 'mediumint':
      return whole(30_000);
    case 'int':
    case 'bigint':
      return whole(2_000_000_000);
    case 'decimal':
      return `${whole(9000)}.${10 + random(90)}`;
    case 'float':
    case 'double':
      return `${whole(9000)}.5`;
    case 'year':
      return String(1990 + random(100));
    case 'bit':
      return String(random(2 ** Math.min(30, lengthOf(type))));
    case 'date':
      return `'${date}'`;
    case 'time':
      return `'${time}'`;
    case 'datetime':
    case 'timestamp':
      return `'${date} ${time}'`;
    case 'json':
      return `'{"b": ${random(99)}, "${name}": "é"}'`;
    case 'enum':
    case 'set': {
      const labels = labelsOf(definition.slice(0, definition.indexOf(')')));
      return `'${labels[random(labels.length)]}'`;
    }
    case 'binary':
    case 'varbinary':
    case 'tinyblob':
    case 'blob':
    case 'mediumblob':
      return `x'${random(2 ** 24)
        .toString(16)
        .padStart(6, '0')}'`;
    default:
      return `'${`${name}-é${random(999)}`.slice(0, Math.min(12, lengthOf(type) || 12))}'`;
  }
}

/** What stands in a column, as text in the form of the native format, but for the forms that a reader must know anyway (`nativeText`). */
export function readingSql({ name, type }: MysqlColumn): string {
  const [word = ''] = type.split(/[( ]/);
  const column = `\`${name}\``;
  if (word === 'bit') return `LPAD(BIN(${column} + 0), ${lengthOf(type)}, '0')`;
  if (/(blob|binary)$/.test(word)) return `TO_BASE64(${column})`;
  // As a number with all digits of its own width, and none of another one's.
  if (word === 'float') return `CAST(${column} AS DOUBLE)`;
  return `CAST(${column} AS CHAR)`;
}

export function nativeText(type: string, text: string | null): string | null {
  if (text === null) return null;
  // No zeros at the end, as a duration has none.
  if (type.startsWith('time(')) return text.replace(/\.?0+$/, '');
  if (type.startsWith('datetime')) return text.replace(' ', 'T');
  if (type.startsWith('timestamp')) return `${text.replace(' ', 'T')}Z`;
  if (type === 'float' || type === 'double') return String(Number(text));
  return text;
}
