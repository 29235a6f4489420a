/** What the log of every server tells beside rows: statements that define tables anew, where the catalogue is ahead of them, and statements that change rows. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MysqlConfig } from '../../connectors/mysql/config.ts';
import { type MysqlServer, startMysql } from '../servers/index.ts';
import { availableMysqls } from '../support/available-servers.ts';
import type { EncodedMessage } from '../support/encoded.ts';
import { mysqlConfig, openMysql, readMessages } from '../support/mysql-source.ts';
import { rejection } from '../support/postgres-source.ts';

interface Column {
  readonly name: string;
  readonly typeName: string;
  readonly defaultValueExpression: string | null;
}
interface Value {
  readonly op?: string;
  readonly after?: Readonly<Record<string, unknown>>;
  readonly source: { readonly table: string; readonly query: string | null };
  readonly databaseName?: string;
  readonly ddl?: string | null;
  readonly tableChanges?: readonly { readonly type: string; readonly table: { readonly columns: readonly Column[] } | null }[];
}

const parsed = ({ value }: EncodedMessage): Value => JSON.parse(value ?? 'null') as Value;
const isEnd = ({ value }: EncodedMessage): boolean => value?.includes('"v":"end"') === true;

/** A row by its columns, a statement by its text and what the tables are by it. */
function told(message: EncodedMessage): string {
  const { after, ddl, tableChanges, source } = parsed(message);
  if (tableChanges === undefined) return `row: ${Object.keys(after ?? {}).join(',')}`;
  const changes = tableChanges.map(({ type, table }) => `${type} ${table?.columns.map(({ name }) => name).join(',') ?? '-'}`);
  return `${source.table}: ${ddl ?? 'shown'}: ${changes.join(' ')}`;
}

describe.each(availableMysqls)('definitions and statements in the log of %s', (version) => {
  let server: MysqlServer;

  beforeAll(async () => {
    server = await startMysql({ version, fsync: true });
  });
  afterAll(() => server.dispose());

  const open = (config: Partial<MysqlConfig>) => openMysql(server, config, {}, { tellsDefinitions: true });

  it('where the catalogue is ahead, what a row shows is told before it', async () => {
    const database = await server.createDatabase();
    const tables = [`${database}.t`];
    await server.query('CREATE TABLE t (id int PRIMARY KEY, v varchar(5))', database);
    const { position } = await readMessages(open({ tables }), null, null);
    await server.query(
      `ALTER TABLE t ADD a int DEFAULT 3; INSERT INTO t (id) VALUES (1); INSERT INTO t (id) VALUES (2);
       ALTER TABLE t ADD b int; ALTER TABLE t DROP a; CREATE TABLE other (id int); INSERT INTO t VALUES (3, 'end', 7)`,
      database,
    );
    const { messages, position: end } = await readMessages(open({ tables }), position, isEnd);
    expect(messages.map(told)).toEqual([
      't: ALTER TABLE t ADD a int DEFAULT 3: ALTER id,v,b',
      't: shown: ALTER id,v,a',
      'row: id,v,a',
      'row: id,v,a',
      't: ALTER TABLE t ADD b int: ALTER id,v,b',
      't: ALTER TABLE t DROP a: ALTER id,v,b',
      'row: id,v,b',
    ]);
    // Beside the order of the log: the catalogue may say otherwise when it is read again.
    expect(messages[1]?.id).toMatch(/^g\/shape\/1\/[^/]+\/0\/1$/);
    expect(new Set(messages.map(({ id }) => id)).size).toBe(messages.length);
    expect(Object.keys(end ?? {})).not.toContain('told');
  });

  it('what was told is remembered with the position: a start in between changes nothing', async () => {
    const database = await server.createDatabase();
    const tables = [`${database}.t`];
    await server.query('CREATE TABLE t (id int PRIMARY KEY)', database);
    const { position } = await readMessages(open({ tables }), null, null);
    await server.query('ALTER TABLE t ADD a int', database);
    const first = await readMessages(open({ tables }), position, () => true);
    expect(first.messages.map(told)).toEqual(['t: ALTER TABLE t ADD a int: ALTER id,a']);
    const saved = first.position ?? {};
    const [[label, mark]] = JSON.parse(saved['told'] ?? '') as [[string, string]];
    expect([label, mark.length]).toEqual([`${database}.t`, 22]);
    await server.query("INSERT INTO t VALUES (1, 1); ALTER TABLE t ADD v varchar(3); INSERT INTO t VALUES (2, 2, 'end')", database);
    const rest = ['row: id,a', 't: ALTER TABLE t ADD v varchar(3): ALTER id,a,v', 'row: id,a,v'];
    expect((await readMessages(open({ tables }), saved, isEnd)).messages.map(told)).toEqual(rest);
    // As where the catalogue had been ahead when the statement was told.
    const other = { ...saved, told: JSON.stringify([[label, 'another']]) };
    expect((await readMessages(open({ tables }), other, isEnd)).messages.map(told)).toEqual(['t: shown: ALTER id,a', ...rest]);
  });

  it('statements about tables, indexes and databases that are captured, and no others', async () => {
    const database = await server.createDatabase();
    const elsewhere = await server.createDatabase();
    const tables = [`${database}.t*`];
    const signals = { snapshot: { ...mysqlConfig(server.url()).snapshot, signalTable: `${database}.tsignals` } };
    const { position } = await readMessages(open({ tables }), null, null);
    await server.query(
      `CREATE TABLE tsignals (id varchar(42) PRIMARY KEY, type varchar(32), data text); CREATE TABLE t (id int PRIMARY KEY, v varchar(5)); CREATE INDEX i ON t (v); CREATE TABLE other (id int); CREATE VIEW tv AS SELECT * FROM t;
       ALTER DATABASE ${database} CHARACTER SET latin1; ALTER DATABASE ${elsewhere} CHARACTER SET latin1; CREATE TABLE ${elsewhere}.t (id int);
       CREATE TEMPORARY TABLE tt (id int); DROP TEMPORARY TABLE tt; TRUNCATE TABLE t; ANALYZE TABLE t; RENAME TABLE t TO moved; RENAME TABLE moved TO t2, other TO moved;
       CREATE TABLE tx (id int); DROP TABLE tx, moved; INSERT INTO t2 VALUES (1, 'end')`,
      database,
    );
    const { messages } = await readMessages(open({ tables, ...signals }), position, isEnd);
    const statements = messages.flatMap((message) => parsed(message).ddl ?? []);
    expect(statements).toEqual([
      'CREATE TABLE t (id int PRIMARY KEY, v varchar(5))',
      'CREATE INDEX i ON t (v)',
      `ALTER DATABASE ${database} CHARACTER SET latin1`,
      'RENAME TABLE t TO moved',
      'RENAME TABLE moved TO t2',
      'CREATE TABLE tx (id int)',
      `DROP TABLE \`${database}\`.\`tx\``,
    ]);
    expect(new Set(messages.map(({ id }) => id)).size).toBe(messages.length);
  });

  it.skipIf(version === 'mysql-9')('an ALTER that is told in two parts is told once, and not if it fails', async () => {
    const database = await server.createDatabase();
    const tables = [`${database}.*`];
    await server.query("CREATE TABLE t (id int PRIMARY KEY, v varchar(5)); INSERT INTO t VALUES (1, 'a'), (2, 'a')", database);
    const { position } = await readMessages(open({ tables }), null, null);
    const client = await server.connect(database);
    await client.query('SET SESSION binlog_alter_two_phase = ON');
    await client.query('ALTER TABLE t ADD a int DEFAULT 3');
    await expect(client.query('ALTER TABLE t ADD UNIQUE (v)')).rejects.toThrow('Duplicate');
    await client.query('ALTER TABLE t ADD b int, ALGORITHM = COPY');
    await client.query("INSERT INTO t (id, v) VALUES (3, 'end')");
    await client.end();
    const { messages } = await readMessages(open({ tables }), position, isEnd);
    expect(messages.flatMap((message) => parsed(message).ddl ?? [])).toEqual([
      'ALTER TABLE t ADD a int DEFAULT 3',
      'ALTER TABLE t ADD b int, ALGORITHM = COPY',
    ]);
  });

  it('a statement is told in the characters of the session that it was written in', async () => {
    const database = await server.createDatabase();
    const tables = [`${database}.*`];
    const { position } = await readMessages(open({ tables }), null, null);
    const client = await server.connect(database, 'cp1251_general_ci');
    await client.query("CREATE TABLE `цена` (id int PRIMARY KEY, v varchar(5) DEFAULT 'да'); INSERT INTO `цена` VALUES (1, 'end')");
    await client.end();
    const { messages } = await readMessages(open({ tables }), position, isEnd);
    expect(messages.map(told)).toEqual(["цена: CREATE TABLE `цена` (id int PRIMARY KEY, v varchar(5) DEFAULT 'да'): CREATE id,v", 'row: id,v']);
  });

  it('rows of a definition that is not told have the same ids as where it is', async () => {
    const database = await server.createDatabase();
    const tables = [`${database}.*`];
    const { position } = await readMessages(open({ tables }), null, null);
    await server.query(
      "CREATE TABLE s (v varchar(5)); INSERT INTO s VALUES ('a'); CREATE TABLE c AS SELECT * FROM s; INSERT INTO s VALUES ('end')",
      database,
    );
    const idsOf = async (tellsDefinitions: boolean): Promise<string[]> => {
      const { messages } = await readMessages(openMysql(server, { tables }, {}, { tellsDefinitions }), position, isEnd);
      return messages.flatMap((message) => (parsed(message).op === undefined ? [] : [message.id]));
    };
    expect(await idsOf(false)).toEqual(await idsOf(true));
  });

  it('rows tell the statement that changed them where that is wanted and logged, and no error does', async () => {
    const database = await server.createDatabase();
    const tables = [`${database}.t`];
    await server.query('CREATE TABLE t (id int PRIMARY KEY, v varchar(5))', database);
    const { position } = await readMessages(open({ tables }), null, null);
    const client = await server.connect(database);
    const name = server.system === 'mysql' ? 'binlog_rows_query_log_events' : 'binlog_annotate_row_events';
    await client.query(`SET SESSION ${name} = ON`);
    await client.query("INSERT INTO t VALUES (1, 'é'), (2, 'b')");
    await client.query('BEGIN');
    await client.query('UPDATE t SET v = "c" WHERE id = 1');
    await client.query('DELETE FROM t WHERE id = 2');
    await client.query('COMMIT');
    await client.query(`SET SESSION ${name} = OFF`);
    await client.query("INSERT INTO t VALUES (3, 'end')");
    await client.end();
    const queries = async (includeQuery: boolean): Promise<(string | null)[]> => {
      const { messages } = await readMessages(open({ tables, includeQuery }), position, isEnd);
      return messages.flatMap((message) => (message.value === null ? [] : [parsed(message).source.query]));
    };
    expect(await queries(true)).toEqual([
      "INSERT INTO t VALUES (1, 'é'), (2, 'b')",
      "INSERT INTO t VALUES (1, 'é'), (2, 'b')",
      'UPDATE t SET v = "c" WHERE id = 1',
      'DELETE FROM t WHERE id = 2',
      null,
    ]);
    expect(await queries(false)).toEqual([null, null, null, null, null]);
    const again = await readMessages(open({ tables }), null, null);
    const other = await server.connect(database);
    await other.query(`SET SESSION ${name} = ON, binlog_row_image = MINIMAL`);
    await other.query('UPDATE t SET v = "s3cr" WHERE id = 1');
    await other.end();
    const reading = open({ tables, includeQuery: true });
    const { code, message, remedy } = await rejection(readMessages(reading, again.position, isEnd));
    expect(code).toBe('SLUICE_MYSQL_PARTIAL_ROWS');
    expect(JSON.stringify([message, remedy, reading.context.lines])).not.toContain('s3cr');
  });

  it('a server that does not log statements is said', async () => {
    const name = server.system === 'mysql' ? 'binlog_rows_query_log_events' : 'binlog_annotate_row_events';
    const codes = async (): Promise<string[]> => {
      const { source } = open({ includeQuery: true });
      const { findings } = await source.preflight(AbortSignal.timeout(10_000));
      await source.close();
      return findings.map(({ code }) => code);
    };
    await server.query(`SET GLOBAL ${name} = OFF`);
    expect(await codes()).toContain('SLUICE_MYSQL_NO_QUERY');
    await server.query(`SET GLOBAL ${name} = ON`);
    expect(await codes()).not.toContain('SLUICE_MYSQL_NO_QUERY');
  });
});
