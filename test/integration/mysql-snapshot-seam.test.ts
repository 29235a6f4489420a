/** What a view says of itself, and what ends it: a commit that is sent before it is to be seen, definitions that change, connections that break, rows of any size. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MysqlConfig } from '../../connectors/mysql/config.ts';
import { SluiceError } from '../../src/plugin/error.ts';
import type { CopiedRows, SnapshotSource, SnapshotView } from '../../src/plugin/snapshot.ts';
import type { Source } from '../../src/plugin/source.ts';
import { type RecordBatch, SNAPSHOT_MARK, type Transaction } from '../../src/record/batch.ts';
import type { Position } from '../../src/record/position.ts';
import { type MysqlServer, startMysql, startProxy } from '../servers/index.ts';
import { mysqlVariants } from '../support/available-servers.ts';
import { LogReader } from '../support/log-reader.ts';
import { openMysql } from '../support/mysql-source.ts';
import { recordsOf } from '../support/pgoutput.ts';

const signal = new AbortController().signal;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const ALL = { range: { after: null, upTo: null }, where: null, mark: SNAPSHOT_MARK.row };

describe.each(mysqlVariants)('views of $title', ({ options }) => {
  let server: MysqlServer;
  const readers: LogReader<Source>[] = [];
  const proxies: { close(): Promise<void> }[] = [];

  beforeAll(async () => {
    server = await startMysql({ ...options, own: true });
  });

  afterAll(async () => {
    for (const reader of readers) await reader.close();
    for (const proxy of proxies) await proxy.close();
    await server.dispose();
  });

  async function open(tables: string, config: Partial<MysqlConfig> = {}, from: Position | null = null) {
    const database = await server.createDatabase('seam');
    await server.query(tables, database);
    const transactions: Transaction[] = [];
    const onBatch = (batch: RecordBatch): void => void transactions.push(...batch.transactions);
    const { source } = openMysql(server, { tables: [`${database}.*`], ...config });
    const reader = new LogReader({ url: '', onBatch, from }, source);
    readers.push(reader);
    await reader.until(async () => (await source.observe(signal)).connected, 'the stream');
    const snapshots = await (source.snapshot as () => Promise<SnapshotSource>)();
    const sql = (text: string) => server.query(text, database);
    return { database, sql, reader, snapshots, transactions, label: (name: string) => `${database}.${name}` };
  }

  async function rowsOf(view: SnapshotView, label: string, request: Parameters<SnapshotView['rows']>[1] = ALL): Promise<string[]> {
    const seen: string[] = [];
    for await (const { batch } of view.rows(await view.open(label), request)) {
      seen.push(...recordsOf(batch).map(({ after }) => JSON.stringify(after)));
      batch.release();
    }
    return seen;
  }

  async function failure(doing: Promise<unknown>): Promise<string> {
    return doing.then(
      () => 'nothing',
      (error: unknown) => (error instanceof SluiceError ? `${error.code} ${error.table ?? ''}` : String(error)),
    );
  }

  it('are passed once the log has shown all that is part of them, and not before', async () => {
    const database = await server.createDatabase('seam');
    const sql = (text: string) => server.query(text, database);
    await sql('CREATE TABLE t (id int PRIMARY KEY)');
    const { source } = openMysql(server, { tables: [`${database}.*`] });
    const log = source.read({ from: null, published: [], sinkHoldsOutput: false }, signal)[Symbol.asyncIterator]();
    let position = ((await log.next()).value as RecordBatch).checkpoint as Position;
    const snapshots = await (source.snapshot as () => Promise<SnapshotSource>)();
    const transactions: Transaction[] = [];
    let pending: Promise<IteratorResult<RecordBatch>> | null = null;
    /** Reads the log until something holds, and no further. */
    const read = async (until: () => boolean): Promise<void> => {
      for (const end = Date.now() + 10_000; !until(); ) {
        if (Date.now() > end) throw new Error('it does not come');
        snapshots.ask();
        pending ??= log.next();
        const result = await Promise.race([pending, pause(20)]);
        if (result === undefined) continue;
        pending = null;
        const batch = result.value as RecordBatch;
        transactions.push(...batch.transactions);
        position = batch.checkpoint ?? position;
      }
    };
    const first = await snapshots.view(signal);
    await read(() => first.passedBy(position));
    await sql('INSERT INTO t VALUES (0)');
    await read(() => transactions.length === 1);
    await sql('INSERT INTO t VALUES (1)');
    const second = await snapshots.view(signal);
    await sql('INSERT INTO t VALUES (2)');
    expect([await rowsOf(second, `${database}.t`), second.passedBy(position)]).toEqual([['{"id":"0"}', '{"id":"1"}'], false]);
    await read(() => transactions.length === 3);
    expect(transactions.map((transaction) => [first.shows(transaction), second.shows(transaction)])).toEqual([
      [false, true],
      // Without GTIDs it is known to be part of it only if it was read before the view began, which nothing waits for here.
      [false, options.settings === undefined ? true : expect.any(Boolean)],
      [false, false],
    ]);
    await read(() => second.passedBy(position));
    // Nothing but another file comes: that it was read is told when it is asked for.
    await sql('FLUSH BINARY LOGS');
    const third = await snapshots.view(signal);
    expect(third.passedBy(position)).toBe(false);
    await read(() => third.passedBy(position));
    expect(third.passedBy({ ...position, server: 'another' })).toBe(false);
    await log.return?.();
    await source.close();
  });

  it('do not show a commit that was sent before it is to be seen, and say so (I3)', async () => {
    const isMysql = server.system === 'mysql';
    const [name, wait] = isMysql
      ? ['rpl_semi_sync_source', 'rpl_semi_sync_source_wait_for_replica_count = 1']
      : ['rpl_semi_sync_master', 'rpl_semi_sync_master_wait_no_slave = ON'];
    const { sql, reader, snapshots, transactions, label } = await open('CREATE TABLE t (id int PRIMARY KEY)');
    if (isMysql) await sql("INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'");
    // A replica that confirms what is synced is waited for in vain; meanwhile the log is sent.
    await sql(`SET GLOBAL ${name}_wait_point = 'AFTER_SYNC', GLOBAL ${name}_timeout = 1500, GLOBAL ${wait}, GLOBAL ${name}_enabled = ON`);
    try {
      const committed = sql('INSERT INTO t VALUES (1)');
      await reader.until(() => transactions.length === 1, 'what is not committed yet');
      const before = await snapshots.view(signal);
      expect([before.shows(transactions[0] as Transaction), await rowsOf(before, label('t'))]).toEqual([false, []]);
      await committed;
      const after = await snapshots.view(signal);
      expect([after.shows(transactions[0] as Transaction), await rowsOf(after, label('t'))]).toEqual([true, ['{"id":"1"}']]);
      await Promise.all([before.close(), after.close()]);
    } finally {
      await sql(`SET GLOBAL ${name}_enabled = OFF`);
    }
  });

  it('end by an error that is tried again where the table changes under them, and a wait for its lock is short', async () => {
    const { sql, snapshots, label } = await open(
      'CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1); CREATE TABLE u (id int PRIMARY KEY) ENGINE MyISAM',
    );
    const altered = await snapshots.view(signal);
    await sql('ALTER TABLE t ADD COLUMN w int, ALGORITHM = COPY');
    expect(await failure(rowsOf(altered, label('t')))).toBe(`SLUICE_MYSQL_TABLE_CHANGED ${label('t')}`);
    await altered.close();
    const locked = await snapshots.view(signal);
    const holder = await server.connect();
    await holder.query(`LOCK TABLES ${label('t')} WRITE`);
    expect(await failure(rowsOf(locked, label('t')))).toBe(`SLUICE_MYSQL_TABLE_CHANGED ${label('t')}`);
    await holder.end();
    // The view goes on: what failed was of one table.
    expect(await rowsOf(locked, label('t'))).toEqual(['{"id":"1","v":"1","w":null}']);
    expect(await failure(rowsOf(locked, label('u')))).toBe(`SLUICE_MYSQL_TABLE_NOT_COPIED ${label('u')}`);
    expect(await failure(rowsOf(locked, label('t'), { ...ALL, where: 'nothing > 1' }))).toBe(`SLUICE_MYSQL_COPY_CONDITION ${label('t')}`);
    expect(await failure(rowsOf(locked, label('t'), { ...ALL, where: '1=1); DROP TABLE t; -- ' }))).toBe(`SLUICE_MYSQL_COPY_CONDITION ${label('t')}`);
    expect(await rowsOf(locked, label('t'), { ...ALL, where: 'v = 1 -- the first' })).toHaveLength(1);
    await locked.close();
  });

  it('read rows of 20 MB, and wait for a slow reader without losing the connection', async () => {
    const { sql, snapshots, label } = await open('CREATE TABLE t (id int PRIMARY KEY, v longtext)');
    await server.query('SET GLOBAL max_allowed_packet = 67108864, GLOBAL net_write_timeout = 1');
    await sql(`INSERT INTO t VALUES (1, repeat('x', 20000000)), (2, repeat('y', ${0xff_ff_ff - 6})), (3, repeat('z', ${0xff_ff_ff - 7}))`);
    for (let id = 4; id < 12; id++) await sql(`INSERT INTO t VALUES (${id}, repeat('é', 2000000))`);
    const view = await snapshots.view(signal);
    const table = await view.open(label('t'));
    const lengths: [string, number][] = [];
    for await (const { batch, lastKey } of view.rows(table, ALL)) {
      if (lengths.length === 3) await pause(2000);
      for (const { after } of recordsOf(batch)) lengths.push([String(after?.['id']), String(after?.['v']).length]);
      expect(lastKey).toEqual([lengths.at(-1)?.[0]]);
      batch.release();
    }
    expect(lengths.slice(0, 3)).toEqual([
      ['1', 20_000_000],
      ['2', 0xff_ff_ff - 6],
      ['3', 0xff_ff_ff - 7],
    ]);
    expect(lengths.slice(3)).toEqual(Array.from({ length: 8 }, (_, at) => [String(at + 4), 2_000_000]));
    await view.close();
  });

  it('never take a connection that broke for the end of the rows', async () => {
    const proxy = await startProxy(server.url());
    proxies.push(proxy);
    const url = server.url().replace(String(server.port), String(proxy.port));
    const { sql, snapshots, label } = await open('CREATE TABLE t (id int PRIMARY KEY, v mediumtext)', { url });
    await sql(`INSERT INTO t VALUES ${Array.from({ length: 30 }, (_, id) => `(${id}, repeat('x', 1000000))`).join(', ')}`);
    const broken = async (end: () => unknown): Promise<string> => {
      const view = await snapshots.view(signal);
      const rows: AsyncGenerator<CopiedRows> = view.rows(await view.open(label('t')), ALL);
      await rows.next();
      await end();
      const code = await failure(
        (async () => {
          for await (const { batch } of rows) batch.release();
        })(),
      );
      await view.close();
      return code.trim();
    };
    const killed = await broken(async () => {
      const reading = "INFO LIKE '%FORCE INDEX%' AND INFO NOT LIKE '%PROCESSLIST%'";
      const processes = await sql(`SELECT ID AS id FROM information_schema.PROCESSLIST WHERE ${reading}`);
      expect(processes).toHaveLength(1);
      await sql(`KILL ${String(processes[0]?.['id'])}`);
    });
    expect(killed).toMatch(/^SLUICE_MYSQL_(CONNECTION_LOST|QUERY_INTERRUPTED)$/);
    expect(await broken(() => proxy.cut())).toBe('SLUICE_MYSQL_CONNECTION_LOST');
  });
});
