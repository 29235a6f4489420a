/** The replication session against real servers: every trap of the transport that it closes, and every way in which a stream can break. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { nodeRuntime } from '../../src/daemon/node-runtime.ts';
import type { Runtime } from '../../src/plugin/runtime.ts';
import { type PostgresServer, startPostgres } from '../servers/index.ts';
import { LogReader, type ReaderOptions, readToEnd } from '../support/log-reader.ts';
import { EDGE_MAJORS } from '../support/long-form.ts';

/** Short, so that what depends on it is seen in seconds. */
const WAL_SENDER_TIMEOUT = '2s';

describe.each(EDGE_MAJORS)('PostgreSQL %i', (major) => {
  let server: PostgresServer;
  let database: string;
  let readers: LogReader[];
  let slot: string;
  let tests = 0;

  const sql = <T = Record<string, unknown>>(text: string): Promise<T[]> => server.query<T>(text, database);
  const options = (more: Partial<ReaderOptions> = {}): ReaderOptions => ({
    url: server.url(database),
    ...more,
    config: { slot, publication: 'pub', heartbeat: { enabled: false, interval: 10_000 }, ...more.config },
  });
  const open = async (more: Partial<ReaderOptions> = {}): Promise<LogReader> => {
    const reader = new LogReader(options(more));
    readers.push(reader);
    await reader.until(() => walSender().then((pid) => pid !== null), 'the stream');
    return reader;
  };
  const walSender = async (): Promise<number | null> => {
    const [row] = await sql<{ pid: number | null }>(
      `SELECT r.pid FROM pg_replication_slots s JOIN pg_stat_replication r ON r.pid = s.active_pid WHERE s.slot_name = '${slot}' AND r.state = 'streaming'`,
    );
    return row?.pid ?? null;
  };
  const confirmed = async (): Promise<string> => {
    const [row] = await sql<{ lsn: string }>(`SELECT confirmed_flush_lsn::text AS lsn FROM pg_replication_slots WHERE slot_name = '${slot}'`);
    return row?.lsn ?? '';
  };
  const ids = (reader: LogReader): (string | null | undefined)[] => reader.records.map(({ after }) => after?.['id']);
  const range = (from: number, to: number): string[] => Array.from({ length: to - from + 1 }, (_, i) => String(from + i));

  beforeAll(async () => {
    server = await startPostgres({ major, settings: { wal_sender_timeout: WAL_SENDER_TIMEOUT } });
  });
  afterAll(() => server?.dispose());

  beforeEach(async () => {
    readers = [];
    slot = `session_${++tests}`;
    database = await server.createDatabase('session');
    await sql('CREATE TABLE t (id bigint PRIMARY KEY, v text); CREATE TABLE f (id bigint, v text); ALTER TABLE f REPLICA IDENTITY FULL');
  });

  afterEach(async () => {
    for (const reader of readers) await reader.close();
    if (server.running)
      await sql(`SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active AND database = current_database()`).catch(
        () => undefined,
      );
  });

  test('trap: the library acknowledges one byte more. A transaction that commits exactly there is not lost', async () => {
    const reader = await open({ acknowledge: false, context: { batch: { maxRecords: 1, maxBytes: 1 << 20 } } });
    // T2 has written its row before T1 commits: its commit record follows T1's with nothing between. Other processes write to the log now and then.
    for (let attempt = 0; ; attempt++) {
      const [one, two] = [await server.connect(database), await server.connect(database)];
      await one.query(`BEGIN; INSERT INTO t VALUES (${attempt * 2 + 1})`);
      await two.query(`BEGIN; INSERT INTO t VALUES (${attempt * 2 + 2})`);
      await Promise.all([one.query('COMMIT'), two.query('COMMIT')]);
      await Promise.all([one.end(), two.end()]);
      const [first, second] = await reader.take(2);
      const commitOfSecond = BigInt(`0x${second?.transaction.split('/')[1]?.split('.')[0]}`);
      const endOfFirst = second?.origin['sequence']?.split('"')[1] ?? '';
      expect(first?.transaction).not.toBe(second?.transaction);
      if (commitOfSecond !== BigInt(endOfFirst)) {
        expect(attempt, 'commits back to back').toBeLessThan(20);
        continue;
      }
      const lsn = `${(commitOfSecond >> 32n).toString(16).toUpperCase()}/${(commitOfSecond & 0xffffffffn).toString(16).toUpperCase()}`;
      const { timeline, systemId } = reader.checkpoint as Record<'timeline' | 'systemId', string>;
      const from = { lsn, lastCommit: lsn, lastCommitMicros: '1', timeline, systemId };
      reader.source.acknowledge(from);
      await reader.until(async () => (await confirmed()) === lsn, 'the slot exactly at the end of the first');
      await reader.close();
      const again = await readToEnd(options({ from }));
      expect(again.records.map(({ transaction }) => transaction)).toEqual([second?.transaction]);
      return;
    }
  });

  test('trap: the library acknowledges what it received. Only what is acknowledged moves the slot (I5), however long that takes', async () => {
    // With this time-out our own status comes each five seconds: the library's timer, were it on, would find the time to send one of its own.
    await sql(`ALTER DATABASE "${database}" SET wal_sender_timeout = '60s'`);
    const reader = await open({ acknowledge: false });
    const before = await confirmed();
    await sql('INSERT INTO t SELECT g FROM generate_series(1, 1000) g');
    await reader.take(1000);
    await new Promise((resolve) => setTimeout(resolve, 3000));
    expect(await confirmed()).toBe(before);
    const from = { ...(reader.checkpoint as Record<string, string>), lsn: before };
    await reader.close();
    const again = await readToEnd(options({ from }));
    expect(ids(again)).toEqual(range(1, 1000));
  });

  test('trap: a session is never used again. After a lost connection reading starts at what was acknowledged, not at what was received', async () => {
    const reader = await open({ acknowledge: false });
    await sql('INSERT INTO t VALUES (1)');
    // Behind the row's commit, not the one that it began with.
    await reader.until(() => reader.records.length === 1 && typeof reader.checkpoint?.['lastCommit'] === 'string');
    const from = reader.checkpoint;
    reader.source.acknowledge(from as NonNullable<typeof from>);
    await sql('INSERT INTO t VALUES (2)');
    await reader.until(() => reader.records.length === 2);
    await sql(`SELECT pg_terminate_backend(${await walSender()})`);
    await reader.finished();
    expect(reader.error?.kind.retry).toBe('auto');
    await reader.close();
    expect(ids(await readToEnd(options({ from })))).toEqual(['2']);
  });

  test('a transaction that is cut off by a lost connection is never a checkpoint, and comes again whole (I6)', async () => {
    const reader = await open({ acknowledge: false, context: { batch: { maxRecords: 100, maxBytes: 1 << 20 }, maxBufferedBytes: 200_000 } });
    await sql('INSERT INTO t VALUES (0)');
    await reader.until(() => reader.records.length === 1 && typeof reader.checkpoint?.['lastCommit'] === 'string');
    reader.paused = true;
    await sql(`INSERT INTO t SELECT g, repeat('x', 200) FROM generate_series(1, 50000) g`);
    await reader.until(() => reader.records.length > 1);
    await sql(`SELECT pg_terminate_backend(${await walSender()})`);
    reader.resume();
    await reader.finished();
    expect(reader.error?.kind.retry).toBe('auto');
    expect(reader.records.length).toBeLessThan(50_001);
    await reader.close();
    // A keepalive that came before the transaction's Begin may have moved it: a place in the log before the commit, from where all of it is sent again.
    const again = await readToEnd(options({ from: reader.checkpoint }));
    expect(ids(again)).toEqual(range(1, 50_000));
    expect(again.records[0]?.transaction).toBe(reader.records[1]?.transaction);
  });

  test('back-pressure: the reader stops for three times wal_sender_timeout, the connection lives, every row arrives', async () => {
    const reader = await open({ context: { maxBufferedBytes: 256 * 1024 } });
    const pid = await walSender();
    reader.paused = true;
    await sql(`INSERT INTO t SELECT g, repeat('x', 500) FROM generate_series(1, 40000) g`);
    await new Promise((resolve) => setTimeout(resolve, 6_200));
    expect(reader.error).toBeNull();
    expect(reader.records.length).toBeLessThan(4_000);
    reader.resume();
    await reader.until(() => reader.records.length === 40_000, 'all rows', 20_000);
    expect(ids(reader)).toEqual(range(1, 40_000));
    expect(await walSender()).toBe(pid);
  });

  test('a server that falls silent is noticed and its answer is not waited for; nothing is lost', async () => {
    const reader = await open();
    await sql('INSERT INTO t VALUES (1)');
    await reader.until(() => reader.records.length === 1 && typeof reader.checkpoint?.['lastCommit'] === 'string');
    const pid = (await walSender()) as number;
    process.kill(pid, 'SIGSTOP');
    try {
      await sql('INSERT INTO t VALUES (2)');
      await reader.finished();
      expect(reader.error?.code).toBe('SLUICE_PG_SILENT');
      expect(reader.error?.kind.retry).toBe('auto');
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await reader.close();
    const again = await open({ from: reader.checkpoint });
    await again.take(1).then((records) => expect(records[0]?.after?.['id']).toBe('2'));
  });

  test('an idle server is not taken for a dead one: it is asked, and answers', async () => {
    const reader = await open();
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    await sql('INSERT INTO t VALUES (1)');
    await reader.take(1);
    expect(reader.error).toBeNull();
  });

  test('a process that did not run for longer than wal_sender_timeout hands nothing on before it has the slot again', async () => {
    const real = nodeRuntime();
    let skipped = 0;
    const runtime: Runtime = {
      ...real,
      nowMicros: () => real.nowMicros(),
      random: () => real.random(),
      setTimer: real.setTimer.bind(real),
      files: real.files,
      monotonicMs: () => real.monotonicMs() + skipped,
    };
    const reader = await open({ context: { runtime } });
    await sql('INSERT INTO t VALUES (1)');
    await reader.take(1);
    skipped = 10_000;
    await sql('INSERT INTO t VALUES (2)');
    await reader.finished();
    expect(reader.error?.code).toBe('SLUICE_PG_SUSPENDED');
    expect(reader.records).toEqual([]);
  });

  test('messages that arrive while the catalogue is asked are held, in order', async () => {
    const names = Array.from({ length: 20 }, (_, i) => `held_${i}`);
    await sql(names.map((name) => `CREATE TABLE ${name} (id bigint PRIMARY KEY, v text); ALTER TABLE ${name} REPLICA IDENTITY FULL`).join(';'));
    const reader = await open();
    await sql(
      `BEGIN; ${names.map((name) => `INSERT INTO ${name} SELECT g FROM generate_series(1, 50) g; UPDATE ${name} SET v = 'x' WHERE id = 7`).join(';')}; COMMIT`,
    );
    const seen = await reader.take(20 * 51);
    expect(seen.map(({ ordinal }) => ordinal)).toEqual(seen.map((_, i) => i));
    expect(seen.map(({ table }) => table)).toEqual(names.flatMap((name) => Array.from({ length: 51 }, () => `public.${name}`)));
    expect(new Set(reader.tables.map(({ key }) => key.join()))).toEqual(new Set(['0']));
  });

  test('an idle table in a busy database: the slot keeps up by itself (I10)', async () => {
    const reader = await open({ config: { tables: ['public.t'], heartbeat: { enabled: true, interval: 200 } } });
    for (let i = 0; i < 5; i++) {
      await sql(`INSERT INTO f SELECT g, repeat('x', 1000) FROM generate_series(1, 1000) g`);
      const [row] = await sql<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn');
      await reader.until(async () => {
        const [state] = await sql<{ passed: boolean }>(
          `SELECT confirmed_flush_lsn >= '${row?.lsn}'::pg_lsn AS passed FROM pg_replication_slots WHERE slot_name = '${slot}'`,
        );
        return state?.passed === true;
      }, 'the slot behind the log');
    }
    expect(reader.records).toEqual([]);
  });

  test('reading to the end: an idle log ends at once, a busy one where it stood', async () => {
    const empty = await readToEnd(options());
    expect([empty.ended, empty.records.length]).toEqual([true, 0]);
    await sql('INSERT INTO t SELECT g FROM generate_series(1, 5000) g');
    const full = await readToEnd(options({ from: empty.checkpoint }));
    expect(ids(full)).toEqual(range(1, 5000));
    expect(full.checkpoint).not.toBeNull();
  });

  test('closing while it connects, while it reads and twice leaves nothing behind', async () => {
    const reader = new LogReader(options());
    await reader.close();
    await reader.close();
    const second = await open();
    const reading = second.source.observe(new AbortController().signal);
    expect(await reading).toMatchObject({ connected: true, slotState: 'reserved' });
    await second.source.close();
    await second.finished();
    expect([second.ended, second.error]).toEqual([true, null]);
  });
});

describe.each(EDGE_MAJORS)('PostgreSQL %i, servers of their own', (major) => {
  test('fast shutdown is not held up: it waits for our confirmation for ever where wal_sender_timeout is 0', async () => {
    const server = await startPostgres({ major, settings: { wal_sender_timeout: 0 } });
    const config = { slot: 's', publication: 'p', tables: ['public.t'], heartbeat: { enabled: false, interval: 1000 } };
    try {
      await server.query('CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE not_captured (id int)');
      const streaming = new LogReader({ url: server.url(), config });
      await streaming.until(async () => (await streaming.source.observe(new AbortController().signal)).connected, 'the stream');
      await server.query('INSERT INTO t SELECT generate_series(1, 1000)');
      await streaming.take(1000);
      // Of this we receive nothing but a keepalive (15+): its end must be confirmed all the same.
      await server.query('INSERT INTO not_captured SELECT generate_series(1, 1000)');
      await server.stop('fast');
      await streaming.finished();
      expect(streaming.error?.kind.retry).toBe('auto');
      await streaming.close();
      await server.start();
      await server.query('INSERT INTO t VALUES (2000)');
      const again = await readToEnd({ url: server.url(), config, from: streaming.checkpoint });
      expect(again.records.map(({ after }) => after?.['id'])).toEqual(['2000']);
    } finally {
      await server.dispose();
    }
  });
});

test.runIf(EDGE_MAJORS.includes(18))('over TLS, where each row is a record of its own', async () => {
  const server = await startPostgres({ major: 18, tls: true });
  try {
    await server.query(`CREATE TABLE t (id int PRIMARY KEY, v text); CREATE ROLE app LOGIN REPLICATION SUPERUSER PASSWORD 'pw'`);
    const tls = { mode: 'verify-full', ca: server.certificates?.ca } as const;
    const options = {
      url: server.url('postgres', { user: 'app', password: 'pw' }),
      config: { slot: 's', publication: 'p', tls } as ReaderOptions['config'] & object,
    };
    const from = (await readToEnd(options)).checkpoint;
    await server.query(`INSERT INTO t SELECT g, repeat('x', 100) FROM generate_series(1, 30000) g`);
    const reader = await readToEnd({ ...options, from });
    expect(reader.records.length).toBe(30_000);
  } finally {
    await server.dispose();
  }
});
