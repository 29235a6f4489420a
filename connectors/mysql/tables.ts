/** Tables as the catalogue has them now: for what is said before the log is read. What the log holds is told by the log. */
import { type Finding, findingOf, parsePatterns, SluiceError, type TableOutline, unusedPatterns } from '#plugin';
import type { Client } from './client.ts';
import type { MysqlConfig } from './config.ts';
import { generatedColumn, typeRefused, unloggedCascade } from './errors.ts';
import { patternMatchesNothing } from './findings.ts';
import type { DefinitionScope } from './log/definitions.ts';
import { columnRefused } from './log/errors.ts';
import type { UnknownBinaries } from './log/table-map.ts';
import type { ServerFacts } from './server.ts';

const SYSTEM_DATABASES = new Set(['mysql', 'information_schema', 'performance_schema', 'sys']);

/** Whether a table is captured. */
export function capturesOf({ tables, snapshot }: Pick<MysqlConfig, 'tables' | 'snapshot'>): (database: string, table: string) => boolean {
  const patterns = parsePatterns(tables);
  const { signalTable } = snapshot;
  const known = new Map<string, boolean>();
  return (database, table) => {
    const key = `${database}\0${table}`;
    let captured = known.get(key);
    if (captured === undefined) {
      captured =
        !SYSTEM_DATABASES.has(database.toLowerCase()) &&
        (patterns.some((pattern) => pattern.matches(database, table)) || `${database}.${table}` === signalTable);
      known.set(key, captured);
    }
    return captured;
  };
}

/** Of which tables the statements are told that define them anew: of all that are captured, but not of that of signals. */
export function definitionScope(config: Pick<MysqlConfig, 'tables' | 'snapshot'>): DefinitionScope {
  const captures = capturesOf(config);
  const patterns = parsePatterns(config.tables);
  const { signalTable } = config.snapshot;
  return {
    tells: (database, table) => captures(database, table) && `${database}.${table}` !== signalTable,
    tellsIn: (database) => !SYSTEM_DATABASES.has(database.toLowerCase()) && patterns.some((pattern) => pattern.mayMatchIn(database)),
  };
}

export interface Matched {
  readonly outlines: readonly TableOutline[];
  readonly problems: readonly SluiceError[];
  readonly findings: readonly Finding[];
}

/** Types of MariaDB that its log shows as bytes: their text is not there. */
const HIDDEN_TYPES = new Set(['uuid', 'inet4', 'inet6', 'vector', 'xmltype']);

/** Throws a SluiceError unless all these columns are BINARY in today's catalogue, the only place that tells: of a table that is gone nothing is known. */
export async function demandBinaries(client: Client, { database, table, columns }: UnknownBinaries): Promise<void> {
  const rows = await client.rows<{ col: string; type: string }>(
    'the types of columns',
    'SELECT COLUMN_NAME AS col, DATA_TYPE AS type FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?',
    [database, table],
  );
  const types = new Map(rows.map(({ col, type }) => [col, type.toLowerCase()]));
  for (const column of columns) {
    const type = types.get(column) ?? 'unknown';
    if (type === 'binary' || type === 'char') continue;
    const label = `${database}.${table}`;
    throw new SluiceError(typeRefused, { table: label, column, type }, { table: label });
  }
}

export async function matchTables(client: Client, config: MysqlConfig, server: ServerFacts): Promise<Matched> {
  const captures = capturesOf(config);
  const columns = await client.rows<{ db: string; name: string; col: string; type: string; extra: string }>(
    'the catalogue',
    `SELECT c.TABLE_SCHEMA AS db, c.TABLE_NAME AS name, c.COLUMN_NAME AS col, c.DATA_TYPE AS type, c.EXTRA AS extra
     FROM information_schema.COLUMNS c JOIN information_schema.TABLES t ON t.TABLE_SCHEMA = c.TABLE_SCHEMA AND t.TABLE_NAME = c.TABLE_NAME
     WHERE t.TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') AND c.TABLE_SCHEMA NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys')
     ORDER BY c.TABLE_SCHEMA, c.TABLE_NAME, c.ORDINAL_POSITION`,
  );
  const tables = new Map<string, { db: string; name: string; columns: string[] }>();
  const problems: SluiceError[] = [];
  for (const { db, name, col, type, extra } of columns) {
    const label = `${db}.${name}`;
    // Nothing of the table of signals is a message.
    if (!captures(db, name) || label === config.snapshot.signalTable) continue;
    const table = tables.get(label) ?? { db, name, columns: [] };
    tables.set(label, table);
    table.columns.push(col);
    if (server.system === 'mariadb' && HIDDEN_TYPES.has(type.toLowerCase()))
      problems.push(new SluiceError(typeRefused, { table: label, column: col, type }, { table: label }));
    if (server.system === 'mysql' && type.toLowerCase() === 'vector')
      problems.push(new SluiceError(columnRefused, { table: label, column: col, why: 'it has a VECTOR column' }, { table: label }));
    if (server.system === 'mariadb' && server.versionNumber >= 110_000 && /GENERATED/i.test(extra))
      problems.push(new SluiceError(generatedColumn, { table: label, column: col }, { table: label }));
  }
  if (!config.acceptUnloggedCascades) problems.push(...(await cascadeProblems(client, server, captures)));
  const outlines = [...tables.values()].map(
    ({ db, name, columns: names }): TableOutline => ({
      kind: 'table',
      catalog: db,
      schema: '',
      name,
      columnNames: names,
      oldColumnNames: names,
    }),
  );
  return { outlines, problems, findings: unmatched(config, outlines) };
}

/** MySQL from 9.6 on does it above InnoDB, and so writes it. */
function logsCascades({ system, versionNumber, settings }: ServerFacts): boolean {
  return system === 'mysql' && versionNumber >= 90_600 && settings['innodb_native_foreign_keys'] !== 'ON';
}

/** Whether a definition can have something that its table is refused for and the log does not show. */
export function hidesProblems(server: ServerFacts): boolean {
  return server.system === 'mariadb' || !logsCascades(server);
}

async function cascadeProblems(client: Client, server: ServerFacts, captures: (database: string, table: string) => boolean): Promise<SluiceError[]> {
  if (logsCascades(server)) return [];
  const rows = await client.rows<{ db: string; name: string; parent: string; constraint_name: string }>(
    'the foreign keys',
    `SELECT CONSTRAINT_SCHEMA AS db, TABLE_NAME AS name, REFERENCED_TABLE_NAME AS parent, CONSTRAINT_NAME AS constraint_name
     FROM information_schema.REFERENTIAL_CONSTRAINTS
     WHERE UPDATE_RULE IN ('CASCADE', 'SET NULL', 'SET DEFAULT') OR DELETE_RULE IN ('CASCADE', 'SET NULL', 'SET DEFAULT')`,
  );
  return rows
    .filter(({ db, name }) => captures(db, name))
    .map(({ db, name, parent, constraint_name: constraint }) => {
      const table = `${db}.${name}`;
      return new SluiceError(unloggedCascade, { table, parent: `${db}.${parent}`, constraint }, { table });
    });
}

function unmatched({ tables, snapshot }: MysqlConfig, outlines: readonly TableOutline[]): Finding[] {
  const nowhere = parsePatterns(tables)
    .filter((pattern) => !outlines.some(({ catalog, name }) => pattern.matches(catalog, name)))
    .map(({ text }) => ({
      text,
      of: 'tables',
      where: 'table that this account can see',
      remedy: 'Correct it, GRANT SELECT on the table, or leave it for tables to come.',
    }));
  const named = outlines.map(({ catalog, name }) => ({ schema: catalog, name }));
  const unused = unusedPatterns(snapshot, named).map(({ option, pattern: text }) => ({
    text,
    of: `snapshot.${option}`,
    where: 'captured table',
    remedy: 'Correct it, or leave it for tables to come.',
  }));
  return [...nowhere, ...unused].map(({ text: pattern, of, where, remedy }) => findingOf(patternMatchesNothing, { pattern, of, where, remedy }));
}
