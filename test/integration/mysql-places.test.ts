/** MySQL without GTIDs: the log is gone on with by file and position, and a log that is another one is told from the one that was read (I1, I4, I8). */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mysql } from '../../connectors/mysql/index.ts';
import type { Position } from '../../src/record/position.ts';
import { type MysqlServer, startMysql } from '../servers/index.ts';
import { availableMysqls, mysqlVariants, WITHOUT_GTIDS } from '../support/available-servers.ts';
import { type EncodedMessage, encodeBatch, textsOf } from '../support/encoded.ts';
import { connected, openMysql, readMessages } from '../support/mysql-source.ts';
import { rejection } from '../support/postgres-source.ts';

const signal = AbortSignal.timeout(600_000);
const hasId = (id: number) => (message: EncodedMessage) => message.value?.includes(`"id":${id}}`) === true;
const idsOf = (messages: readonly EncodedMessage[]) =>
  messages.map(({ value }) => (JSON.parse(value as string) as { after: { id: number } }).after.id);

async function make(server: MysqlServer) {
  const database = await server.createDatabase();
  const sql = (text: string) => server.query<Record<string, string>>(text, database);
  await sql('CREATE TABLE t (id int PRIMARY KEY)');
  const tables = [`${database}.t`];
  const begin = async () => (await readMessages(openMysql(server, { tables }), null, null)).position as Position;
  const read = (from: Position | null, lastId: number, begun?: () => Promise<void>) =>
    readMessages(openMysql(server, { tables }), from, hasId(lastId), begun);
  const refusal = async (from: Position, lastId = 0) => {
    const error = await rejection(readMessages(openMysql(server, { tables }), from, hasId(lastId)));
    expect(`${error.message} ${error.remedy}`).not.toMatch(/\{\w+\}/);
    return `${error.code} ${error.kind.retry}${error.kind.positionLost === true ? ' lost' : ''}`;
  };
  return { database, tables, sql, begin, read, refusal };
}

describe.runIf(availableMysqls.includes('mysql-9'))('MySQL without GTIDs', () => {
  let server: MysqlServer;

  beforeAll(async () => {
    server = await startMysql({ version: 'mysql-9', settings: { ...WITHOUT_GTIDS }, fsync: true });
  });
  afterAll(() => server.dispose());

  it('says where transactions begin instead of a GTID, in ids as in what Debezium writes, and says so at the start', async () => {
    const { tables, sql, begin, read } = await make(server);
    const from = await begin();
    await sql('BEGIN; INSERT INTO t VALUES (1); INSERT INTO t VALUES (2); COMMIT');
    const reading = openMysql(server, { tables }, { provideTransactionMetadata: true });
    const { messages, position } = await readMessages(reading, from, hasId(2));
    expect(position).toMatchObject({ by: 'file', file: from['file'] });
    const { source, transaction } = JSON.parse(messages.find(hasId(2))?.value as string) as Record<string, Record<string, unknown>>;
    expect(source).toMatchObject({ gtid: null, file: from['file'] });
    const place = `file=${from['file']},pos=${from['pos']}`;
    expect(transaction).toEqual({ id: place, total_order: 2, data_collection_order: 2 });
    const { messages: again } = await read(from, 2);
    const transactions = again.map(({ id }) => id.split('/').slice(1, -2).join('/'));
    const [{ uuid }] = (await sql('SELECT @@server_uuid AS uuid')) as [{ uuid: string }];
    expect(new Set(transactions)).toEqual(new Set([`${uuid}:${from['file']}@${from['created']}:${from['pos']}`]));
    const { findings } = await openMysql(server, { tables }).source.preflight(signal);
    expect(findings.map(({ severity, code }) => [severity, code])).toContainEqual(['warning', 'SLUICE_MYSQL_PLACES']);
    expect(findings.filter(({ severity }) => severity === 'error')).toEqual([]);
  });

  it('goes on over rotated files, with each position that was told on the way, and the same ids', async () => {
    const { tables, sql, begin } = await make(server);
    const from = await begin();
    await sql(
      'INSERT INTO t VALUES (1); FLUSH BINARY LOGS; FLUSH BINARY LOGS; INSERT INTO t VALUES (2); BEGIN; INSERT INTO t VALUES (3); INSERT INTO t VALUES (4); COMMIT; FLUSH BINARY LOGS; INSERT INTO t VALUES (5)',
    );
    /** Ids, and positions by the number of records that stand before them. */
    const all = async (start: Position) => {
      const { source, format } = openMysql(server, { tables }, {}, { batch: { maxRecords: 1, maxBytes: 1024 * 1024 } });
      const ids: string[] = [];
      const positions = new Map<number, Position>();
      let isWhole = false;
      for await (const batch of source.read({ from: start, published: [], sinkHoldsOutput: false }, signal)) {
        if (batch.checkpoint !== null) positions.set(ids.length + batch.checkpointRecords, batch.checkpoint);
        const messages = textsOf(encodeBatch(format, batch));
        ids.push(...messages.map(({ id }) => id.slice(id.indexOf('/'))));
        isWhole ||= messages.some(hasId(5));
        batch.release();
        if (isWhole) break;
      }
      await source.close();
      return { ids, positions };
    };
    const { ids, positions } = await all(from);
    expect(ids).toHaveLength(5);
    // In the midst of a transaction nothing is told.
    expect([...positions.keys()].filter((count) => count > 0)).toEqual([1, 2, 4]);
    for (const [count, position] of positions) expect((await all(position)).ids).toEqual(ids.slice(count));
  });

  it('recognises a log that was reset, which has files of the same names, however far it has come', async () => {
    const { sql, begin, read, refusal } = await make(server);
    await sql('RESET BINARY LOGS AND GTIDS');
    const atBegin = await begin();
    const { position } = await read(atBegin, 1, async () => void (await sql('INSERT INTO t VALUES (1)')));
    const later = position as Position;
    expect(idsOf((await read(later, 20, async () => void (await sql('INSERT INTO t VALUES (20)')))).messages)).toEqual([20]);
    // In the same second, and as long: the last event tells.
    for (const other of [{ lastPrint: '0' }, { created: '1' }, { lastPos: String(Number(later['lastPos']) - 1) }])
      expect(await refusal({ ...later, ...other })).toBe('SLUICE_MYSQL_OTHER_HISTORY manual');
    await sql('RESET BINARY LOGS AND GTIDS');
    expect(await refusal(later)).toBe('SLUICE_MYSQL_OTHER_HISTORY manual');
    // As long as before, then longer, in the same second or not.
    await sql('INSERT INTO t VALUES (2)');
    expect(await refusal(later)).toBe('SLUICE_MYSQL_OTHER_HISTORY manual');
    await sql('INSERT INTO t VALUES (3); INSERT INTO t VALUES (4)');
    expect(await refusal(later)).toBe('SLUICE_MYSQL_OTHER_HISTORY manual');
    await sql('FLUSH BINARY LOGS; INSERT INTO t VALUES (5)');
    expect(await refusal(later)).toBe('SLUICE_MYSQL_OTHER_HISTORY manual');
    // Nothing was read of it: it is told by its time, which has seconds.
    await new Promise((resolve) => setTimeout(resolve, 1100));
    await sql('RESET BINARY LOGS AND GTIDS; INSERT INTO t VALUES (6)');
    expect(await refusal(atBegin)).toBe('SLUICE_MYSQL_OTHER_HISTORY manual');
  });

  it('says which part of the log is gone, and which server it is not', async () => {
    const { sql, begin, refusal } = await make(server);
    const from = await begin();
    await sql('INSERT INTO t VALUES (1); FLUSH BINARY LOGS; INSERT INTO t VALUES (2)');
    expect(await refusal({ ...from, server: '7e0e1a1c-0000-11ef-8000-000000000001' })).toBe('SLUICE_MYSQL_PLACE_SERVER manual');
    const files = await sql('SHOW BINARY LOGS');
    await sql(`PURGE BINARY LOGS TO '${files.at(-1)?.['Log_name']}'`);
    expect(await refusal(from)).toBe('SLUICE_MYSQL_PURGED manual lost');
  });

  it('goes on where an operator says, if a transaction ends there', async () => {
    const { sql, begin, read, refusal } = await make(server);
    const { file } = await begin();
    await sql('INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)');
    const events = (await sql(`SHOW BINLOG EVENTS IN '${file}'`)) as { Event_type: string; Pos: string; End_log_pos: string }[];
    const place = (pos: string | number | undefined) => mysql.parsePosition(`${file}:${pos}`, null);
    const [end, behind] = events
      .filter(({ Event_type }) => Event_type === 'Xid')
      .map(({ End_log_pos }) => End_log_pos)
      .slice(-2);
    expect(idsOf((await read(place(end), 2)).messages)).toEqual([2]);
    const rows = events.findLast(({ Event_type }) => Event_type === 'Write_rows')?.Pos;
    expect(await refusal(place(rows))).toBe('SLUICE_MYSQL_PROTOCOL manual');
    expect(await refusal(place(Number(end) + 1))).toBe('SLUICE_MYSQL_PLACE manual');
    expect(await refusal(place(Number(behind) + 1))).toBe('SLUICE_MYSQL_PLACE manual');
    expect(await refusal(mysql.parsePosition('binlog.999999:4', null))).toBe('SLUICE_MYSQL_OTHER_HISTORY manual');
  });

  it('finds its place again by the last message in the sink', async () => {
    const { tables, sql, begin, read } = await make(server);
    const from = await begin();
    await sql('INSERT INTO t VALUES (1); INSERT INTO t VALUES (2); INSERT INTO t VALUES (3)');
    const { messages } = await read(from, 3);
    const lastTransaction = messages[1]?.id.split('/').slice(1, -2).join('/') ?? null;
    const position = await openMysql(server, { tables }).source.recover({ from: 'sink', lastTransaction }, signal);
    expect(idsOf((await read(position, 3)).messages)).toEqual([2, 3]);
    const foreign = openMysql(server, { tables }).source.recover({ from: 'sink', lastTransaction: `x${lastTransaction}` }, signal);
    expect((await rejection(foreign)).code).toBe('SLUICE_MYSQL_RECOVER');
  });
});

describe.runIf(availableMysqls.includes('mysql-9'))('gtid_mode that is changed', () => {
  let server: MysqlServer;

  beforeAll(async () => {
    server = await startMysql({ version: 'mysql-9', settings: { ...WITHOUT_GTIDS }, fsync: true });
  });
  afterAll(() => server.dispose());

  const MODES = ['OFF', 'OFF_PERMISSIVE', 'ON_PERMISSIVE', 'ON'] as const;
  async function turn(to: 'ON' | 'OFF', insert: (mode: string) => Promise<unknown>): Promise<void> {
    if (to === 'ON') await server.query('SET GLOBAL enforce_gtid_consistency = ON');
    for (const mode of to === 'ON' ? MODES.slice(1) : [...MODES].reverse().slice(1)) {
      await server.query(`SET GLOBAL gtid_mode = ${mode}`);
      await insert(mode);
    }
  }

  it.each(['while it reads', 'while it does not'])('is followed %s: every change once, by GTIDs as soon as they tell all', async (when) => {
    const { tables, sql, begin, read, refusal } = await make(server);
    let id = 0;
    const insert = () => sql(`INSERT INTO t VALUES (${++id})`);
    let position = await begin();
    const ids: number[] = [];
    /** What was written since, in as many lives as it takes. */
    const readUp = async (change: () => Promise<unknown>): Promise<number> => {
      if (when === 'while it does not') await change();
      for (let life = 1; ; life++) {
        const reading = openMysql(server, { tables });
        let changing: Promise<unknown> | null = null;
        let failure: unknown = null;
        try {
          for await (const batch of reading.source.read({ from: position, published: [], sinkHoldsOutput: false }, signal)) {
            ids.push(...idsOf(textsOf(encodeBatch(reading.format, batch))));
            position = batch.checkpoint ?? position;
            batch.release();
            if (life === 1 && when === 'while it reads') changing ??= change();
            if (ids.at(-1) !== id) continue;
            await changing;
            if (ids.at(-1) === id) break;
          }
        } catch (error) {
          failure = error;
        }
        await reading.source.close();
        if (failure === null) return life;
        expect(failure, String((failure as Error).message)).toMatchObject({ kind: { retry: 'auto', code: 'SLUICE_MYSQL_NO_GTID' } });
      }
    };
    /** What was written under another mode is not sent under this one. */
    const readUpTo = async (mode: 'ON' | 'OFF', ...turns: readonly ('ON' | 'OFF')[]): Promise<void> => {
      await readUp(async () => {
        for (const to of [...turns, mode]) await turn(to, insert);
        await insert();
        if (when === 'while it reads') return;
        expect(await refusal(position)).toBe('SLUICE_MYSQL_GTID_MODE manual');
        await server.query(`SET GLOBAL gtid_mode = ${mode}_PERMISSIVE`);
      });
      if (when === 'while it does not') await server.query(`SET GLOBAL gtid_mode = ${mode}`);
    };
    await insert();
    await readUpTo('ON');
    expect(position).toMatchObject({ by: 'gtid', gtid: expect.stringMatching(/:1-\d+$/) });
    await insert();
    await readUpTo('OFF');
    expect(position['by']).toBe('file');
    await insert();
    // There and back again in one go.
    await readUpTo('ON', 'ON', 'OFF');
    expect(ids).toEqual(Array.from({ length: id }, (_, index) => index + 1));
    expect(position['by']).toBe('gtid');
    const elsewhere = { ...position, server: 'another', file: '', pos: '0' };
    expect(idsOf((await read(elsewhere, 1000, async () => void (await sql('INSERT INTO t VALUES (1000)')))).messages)).toEqual([1000]);
    await turn('OFF', insert);
    expect(await refusal(elsewhere)).toBe('SLUICE_MYSQL_GTIDS_OFF manual');
  });

  it('never passes over what was written without GTIDs while nobody read, between files that say the same set of them', async () => {
    const { sql, begin, read, refusal } = await make(server);
    const nothing = (): Promise<void> => Promise.resolve();
    await turn('ON', nothing);
    const { position } = await read(await begin(), 1, async () => void (await sql('INSERT INTO t VALUES (1)')));
    expect(position?.['by']).toBe('gtid');
    await turn('OFF', nothing);
    await sql('INSERT INTO t VALUES (2)');
    await turn('ON', nothing);
    await sql('INSERT INTO t VALUES (3)');
    expect(await refusal(position as Position, 3)).toBe('SLUICE_MYSQL_GTID_MODE manual');
    await server.query('SET GLOBAL gtid_mode = ON_PERMISSIVE');
    expect(idsOf((await read(position, 3)).messages)).toEqual([2, 3]);
    await server.query('SET GLOBAL gtid_mode = ON');
  });
});

describe.each(mysqlVariants.filter(({ title }) => title !== 'mysql-9 without GTIDs'))('$title, with GTIDs', ({ options }) => {
  let server: MysqlServer;

  beforeAll(async () => {
    server = await startMysql({ ...options, own: true });
  });
  afterAll(() => server.dispose());

  const reset = () => (server.system === 'mysql' ? 'RESET BINARY LOGS AND GTIDS' : 'RESET MASTER');

  it('recognises a log that was reset and has come further than it had', async () => {
    const { sql, begin, read, refusal } = await make(server);
    await sql(reset());
    const { position } = await read(await begin(), 1, async () => void (await sql('INSERT INTO t VALUES (1)')));
    await sql(
      `${reset()}; INSERT INTO t VALUES (2); INSERT INTO t VALUES (3); INSERT INTO t VALUES (4); FLUSH BINARY LOGS; INSERT INTO t VALUES (5)`,
    );
    expect(await refusal(position as Position, 5)).toBe('SLUICE_MYSQL_OTHER_HISTORY manual');
    // An operator knows better.
    const plugin = server.system === 'mysql' ? mysql : (await import('../../connectors/mysql/index.ts')).mariadb;
    const chosen = plugin.parsePosition(String(position?.['gtid']), position);
    expect(idsOf((await read(chosen, 5)).messages).at(-1)).toBe(5);
  });

  it('goes on from a chosen set of GTIDs in a log that was reset, and has fewer files than before', async () => {
    const { sql, begin, read, refusal } = await make(server);
    await sql('FLUSH BINARY LOGS; FLUSH BINARY LOGS');
    const { position } = await read(await begin(), 1, async () => void (await sql('INSERT INTO t VALUES (1)')));
    await sql(`${reset()}; INSERT INTO t VALUES (2)`);
    expect(await refusal(position as Position, 2)).toBe('SLUICE_MYSQL_OTHER_HISTORY manual');
    const isMysql = server.system === 'mysql';
    const [done] = await server.query<{ gtid: string }>(`SELECT ${isMysql ? '@@GLOBAL.gtid_executed' : '@@GLOBAL.gtid_binlog_pos'} AS gtid`);
    await sql('INSERT INTO t VALUES (3)');
    const plugin = isMysql ? mysql : (await import('../../connectors/mysql/index.ts')).mariadb;
    expect(idsOf((await read(plugin.parsePosition(String(done?.gtid), position), 3)).messages)).toEqual([3]);
  });

  it('waits for what it has read and the server has not committed yet', async () => {
    const { tables, sql, begin, read } = await make(server);
    const from = await begin();
    const isMysql = server.system === 'mysql';
    const [name, wait] = isMysql
      ? ['rpl_semi_sync_source', 'rpl_semi_sync_source_wait_for_replica_count = 1']
      : ['rpl_semi_sync_master', 'rpl_semi_sync_master_wait_no_slave = ON'];
    if (isMysql) await sql("INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'");
    await sql(`SET GLOBAL ${name}_wait_point = 'AFTER_SYNC', GLOBAL ${name}_timeout = 3000, GLOBAL ${wait}, GLOBAL ${name}_enabled = ON`);
    try {
      const reading = openMysql(server, { tables });
      let committed: Promise<unknown> | null = null;
      const { position } = await readMessages(reading, from, hasId(1), async () => {
        await connected(reading);
        committed = sql('INSERT INTO t VALUES (1)');
      });
      const next = read(position, 2);
      if (isMysql) {
        expect(await rejection(next)).toMatchObject({ code: 'SLUICE_MYSQL_COMMIT_PENDING', kind: { retry: 'auto' } });
        await committed;
        await sql('INSERT INTO t VALUES (2)');
        expect(idsOf((await read(position, 2)).messages)).toEqual([2]);
      } else {
        await committed;
        await sql('INSERT INTO t VALUES (2)');
        expect(idsOf((await next).messages)).toEqual([2]);
      }
    } finally {
      await sql(`SET GLOBAL ${name}_enabled = OFF`);
    }
  });
});
