/** What a dead letter may do to the others: when it is too late to send it, how many are too many, and that its topic has it. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type KafkaServer, type NatsServer, type PostgresServer, startKafka, startNats, startPostgres } from '../servers/index.ts';
import { availableKafkas } from '../support/available-servers.ts';
import { sluice } from '../support/cli.ts';
import { Daemon } from '../support/daemon.ts';
import { kafkaLimited, LARGE, type LimitedSink, natsLimited } from '../support/limited-sinks.ts';
import { LONG, SINK_KINDS } from '../support/long-form.ts';

interface View {
  readonly id: string;
  readonly superseded: boolean;
}

interface Replayed {
  readonly outcome: string;
  readonly note?: string;
}

/** Below this no message fits, a TRUNCATE neither. */
const NOTHING_FITS = 100;

/** What these limits are counted by does not depend on the sink. */
const KINDS = LONG ? SINK_KINDS : SINK_KINDS.slice(0, 1);

describe('dead letters: limits', () => {
  let postgres: PostgresServer;
  let nats: NatsServer;
  let kafka: KafkaServer | null = null;
  let daemon: Daemon | null = null;
  let count = 0;

  beforeAll(async () => {
    [postgres, nats] = await Promise.all([startPostgres({ major: 17, own: true }), startNats({ own: true })]);
    if (availableKafkas.length > 0) kafka = await startKafka({ own: true });
  });

  afterEach(async () => {
    await daemon?.dispose();
    daemon = null;
    // A server has room for only so many.
    const drop = (): Promise<unknown> => postgres.query('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots');
    await expect
      .poll(
        () =>
          drop()
            .then(() => true)
            .catch(() => false),
        { timeout: 20_000 },
      )
      .toBe(true);
  });

  afterAll(() => Promise.all([postgres.dispose(), nats.dispose(), kafka?.dispose()]));

  async function target(kind: string, options: { limit?: number; partitions?: number } = {}): Promise<LimitedSink> {
    const name = `limits${++count}`;
    return kind === 'nats' ? natsLimited(nats, name.toUpperCase(), options.limit) : kafkaLimited(kafka as KafkaServer, name, kind, options);
  }

  interface Begun {
    readonly daemon: Daemon;
    query(sql: string): Promise<unknown>;
  }

  /** A daemon that streams a table of its own. */
  async function begin(
    to: LimitedSink,
    deadLetter: Readonly<Record<string, unknown>>,
    table = 'id bigint PRIMARY KEY, v text NOT NULL',
  ): Promise<Begun> {
    const database = await postgres.createDatabase('limits');
    await postgres.query(`CREATE TABLE t (${table})`, database);
    if (!table.includes('KEY')) await postgres.query('ALTER TABLE t REPLICA IDENTITY FULL', database);
    const source = {
      type: 'postgres',
      url: postgres.url(database),
      tables: ['public.t'],
      slot: `limits_${count}`,
      publication: `limits_${count}`,
      snapshot: { mode: 'no_data' },
    };
    const running = await Daemon.create([
      { name: 'shop', source, sink: to.sink, checkpoint: { maxDelay: '20ms' }, onError: 'deadLetter', deadLetter },
    ]);
    daemon = running;
    await streaming(running);
    return { daemon: running, query: (sql) => postgres.query(sql, database) };
  }

  async function streaming(running: Daemon): Promise<void> {
    running.start();
    await expect.poll(() => running.logSinceStart.some(({ msg }) => msg.startsWith('Streaming')), { timeout: 20_000 }).toBe(true);
  }

  const list = async (running: Daemon): Promise<View[]> => JSON.parse((await sluice(['dlq', 'list', '--json', running.directory])).stdout) as View[];
  const replay = async (running: Daemon): Promise<Replayed[]> =>
    JSON.parse((await sluice(['dlq', 'replay', '--all', '--json', running.directory])).stdout) as Replayed[];
  const letters = (running: Daemon, length: number): Promise<void> =>
    expect.poll(async () => (await list(running)).length, { timeout: 30_000 }).toBe(length);
  const ops = async (to: LimitedSink): Promise<string[]> =>
    (await to.stored()).filter(({ destination, op }) => destination !== to.deadLetterTopic && op !== null).map(({ op, row }) => `${op} ${row}`);
  const errors = (running: Daemon): unknown[] => running.log.filter(({ level }) => level === 'error').map(({ code }) => code);
  /** The limit is raised, and the daemon started anew, which sees it. */
  async function mended(to: LimitedSink, running: Daemon): Promise<void> {
    expect(await running.stop('SIGTERM')).toBe(0);
    await to.allow();
    await streaming(running);
  }

  it.each(KINDS)('%s: trap: a TRUNCATE that is sent late wipes newer rows (I7)', async (kind) => {
    const to = await target(kind, { limit: NOTHING_FITS });
    const { daemon: running, query } = await begin(to, { maxPercent: 100 });
    await query('TRUNCATE t');
    await letters(running, 1);
    await mended(to, running);
    await query("INSERT INTO t VALUES (1, 'newer')");
    await expect.poll(() => ops(to), { timeout: 20_000 }).toEqual(['c 1']);
    const [answer] = await replay(running);
    expect(answer).toMatchObject({ outcome: 'superseded', note: expect.stringContaining('newer messages of its table came since') });
    expect(await ops(to)).toEqual(['c 1']);
    expect((await list(running)).map(({ superseded }) => superseded)).toEqual([true]);
  });

  it.each(KINDS)('%s: a TRUNCATE with nothing of its table behind it is sent', async (kind) => {
    const to = await target(kind, { limit: NOTHING_FITS });
    const { daemon: running, query } = await begin(to, { maxPercent: 100 });
    await query('TRUNCATE t');
    await letters(running, 1);
    await mended(to, running);
    expect((await replay(running)).map(({ outcome }) => outcome)).toEqual(['replayed']);
    expect(await ops(to)).toEqual(['t null']);
  });

  it.each(KINDS)('%s: a row without a key: an insert is sent behind newer inserts, and that is said', async (kind) => {
    const to = await target(kind);
    const { daemon: running, query } = await begin(to, { maxPercent: 100 }, 'id bigint, v text NOT NULL');
    await query(`INSERT INTO t VALUES (1, repeat('x', ${LARGE}))`);
    await query("INSERT INTO t VALUES (2, 'newer')");
    await expect.poll(() => ops(to), { timeout: 20_000 }).toEqual(['c 2']);
    await mended(to, running);
    const [answer] = await replay(running);
    expect(answer).toMatchObject({ outcome: 'replayed', note: expect.stringContaining('behind rows of its table that are newer') });
    expect(await ops(to)).toEqual(['c 2', 'c 1']);
  });

  it.each(KINDS)('%s: trap: a row without a key comes back behind the change that removed it (I7)', async (kind) => {
    const to = await target(kind);
    const { daemon: running, query } = await begin(to, { maxPercent: 100 }, 'id bigint, v text NOT NULL');
    await query(`INSERT INTO t VALUES (1, repeat('x', ${LARGE})), (2, 'small')`);
    await letters(running, 1);
    await query('DELETE FROM t WHERE id = 2');
    await expect.poll(() => ops(to), { timeout: 20_000 }).toEqual(['c 2', 'd null']);
    // Of an update it cannot be told either what the newer insert is to it.
    await query(`INSERT INTO t VALUES (3, 'small')`);
    await query(`UPDATE t SET v = repeat('y', ${LARGE}) WHERE id = 3`);
    await letters(running, 2);
    await query(`INSERT INTO t VALUES (4, 'small')`);
    await expect.poll(() => ops(to), { timeout: 20_000 }).toEqual(['c 2', 'd null', 'c 3', 'c 4']);
    await mended(to, running);
    expect((await replay(running)).map(({ outcome }) => outcome)).toEqual(['superseded', 'superseded']);
    expect(await ops(to)).toEqual(['c 2', 'd null', 'c 3', 'c 4']);
  });

  it.each(KINDS)(
    '%s: trap: one large transaction whose letters come later than the window after its messages',
    async (kind) => {
      const rows = (percent: number): string =>
        `INSERT INTO t SELECT i, repeat('x', CASE WHEN i % 50 < ${percent / 2} THEN ${LARGE} ELSE 20 END) FROM generate_series(0, 9999) i`;
      const few = await target(kind);
      const quiet = await begin(few, { maxPercent: 5, window: '1s' });
      await quiet.query(rows(4));
      await expect.poll(async () => (await ops(few)).length, { timeout: 60_000, interval: 1_000 }).toBe(9_600);
      expect(errors(quiet.daemon)).toEqual([]);
      await quiet.daemon.dispose();
      const many = await target(kind);
      const loud = await begin(many, { maxPercent: 5, window: '1s' });
      await loud.query(rows(6));
      expect(await loud.daemon.exit()).toBe(1);
      expect(errors(loud.daemon)).toEqual(['SLUICE_DEAD_LETTER_RATE']);
    },
    120_000,
  );

  it.each(KINDS)('%s: trap: a window that begins anew with each life lets every row through', async (kind) => {
    const to = await target(kind);
    const { daemon: running, query } = await begin(to, { maxPercent: 20, window: '10m' });
    for (let id = 0; id < 6; id++) await query(`INSERT INTO t VALUES (${id}, repeat('x', ${LARGE}))`);
    await letters(running, 6);
    await running.stop('SIGKILL');
    await streaming(running);
    for (let id = 6; id < 12; id++) await query(`INSERT INTO t VALUES (${id}, repeat('x', ${LARGE}))`);
    expect(await running.exit()).toBe(1);
    expect(errors(running)).toEqual(['SLUICE_DEAD_LETTER_RATE']);
    expect(await list(running)).toHaveLength(9);
  });

  it.each(KINDS)(
    '%s: trap: kill -9 before a letter is in its topic, where the message is not refused again (I1)',
    async (kind) => {
      const to = await target(kind, { partitions: 3 });
      const { daemon: running, query } = await begin(to, { topic: to.deadLetterTopic, maxPercent: 100 });
      const rounds = 3;
      for (let round = 0; round < rounds; round++) {
        const from = round * 400;
        await query(
          `INSERT INTO t SELECT i, repeat('x', CASE WHEN i % 4 = 3 THEN ${LARGE} ELSE 10 END) FROM generate_series(${from}, ${from + 399}) i`,
        );
        // In the middle of it.
        await expect.poll(async () => (await list(running)).length > from / 4 + round * 10, { timeout: 30_000, interval: 5 }).toBe(true);
        await running.stop('SIGKILL');
        await streaming(running);
      }
      await letters(running, rounds * 100);
      const kept = new Set((await list(running)).map(({ id }) => id));
      const inTopic = async (): Promise<string[]> =>
        (await to.stored())
          .filter(({ destination }) => destination === to.deadLetterTopic)
          .map(({ headers }) => headers['sluice.dead-letter.id'] ?? '');
      await expect.poll(async () => new Set(await inTopic()), { timeout: 30_000, interval: 500 }).toEqual(kept);
      // Twice only what was on its way at a kill.
      expect((await inTopic()).length - kept.size).toBeLessThanOrEqual(rounds * 3);
      expect((await ops(to)).length).toBe(rounds * 300);
      expect(errors(running)).toEqual([]);
    },
    120_000,
  );
});
