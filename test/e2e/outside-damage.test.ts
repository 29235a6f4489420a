/** What somebody else does to the dead letters and spools of a running daemon: a typed stop, nothing acknowledged behind it, and the remedy mends it. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type NatsServer, type PostgresServer, startNats, startPostgres } from '../servers/index.ts';
import { sluice } from '../support/cli.ts';
import { Daemon } from '../support/daemon.ts';
import { LARGE, type LimitedSink, natsLimited } from '../support/limited-sinks.ts';
import { flipBit, OUTSIDE_DAMAGE } from '../support/outside-damage.ts';

/** The others are in the unit tests. */
const DAMAGES = Object.entries(OUTSIDE_DAMAGE).filter(([name]) => name !== 'emptied' && name !== 'written to');
const DAMAGED = 'SLUICE_SEGMENTS_DAMAGED';

describe('files of a running daemon that somebody else changes', () => {
  let postgres: PostgresServer;
  let nats: NatsServer;
  let daemon: Daemon | null = null;
  let count = 0;

  beforeAll(async () => {
    [postgres, nats] = await Promise.all([
      startPostgres({ major: 17, own: true, settings: { max_replication_slots: 64, max_wal_senders: 64 } }),
      startNats({ own: true }),
    ]);
  });

  afterEach(async () => {
    await daemon?.dispose();
    daemon = null;
  });

  afterAll(() => Promise.all([postgres.dispose(), nats.dispose()]));

  interface Begun {
    readonly to: LimitedSink;
    readonly running: Daemon;
    readonly sql: (text: string) => Promise<Record<string, string | null>[]>;
    readonly rows: () => Promise<number[]>;
  }

  /** Two connectors: the other one keeps the process alive. */
  async function begin(options: Readonly<Record<string, unknown>>): Promise<Begun> {
    const name = `outside${++count}`;
    const to = await natsLimited(nats, name.toUpperCase());
    const database = await postgres.createDatabase(name);
    const sql: Begun['sql'] = async (text) => (await postgres.query(text, database)) as unknown as Record<string, string | null>[];
    await sql('CREATE TABLE t (id bigint PRIMARY KEY, v text NOT NULL); CREATE TABLE o (id bigint PRIMARY KEY)');
    const source = (table: string, slot: string) => ({
      type: 'postgres',
      url: postgres.url(database),
      tables: [`public.${table}`],
      slot,
      publication: slot,
      snapshot: { mode: 'no_data' },
    });
    const running = await Daemon.create([
      { name: 'shop', source: source('t', `${name}_t`), sink: to.sink, checkpoint: { maxDelay: '20ms' }, ...options },
      { name: 'zoo', source: source('o', `${name}_o`), sink: { type: 'blackhole' } },
    ]);
    daemon = running;
    running.start();
    await running.waitForLog(({ msg, connector }) => connector === 'shop' && msg.startsWith('Streaming'));
    const rows = async (): Promise<number[]> => (await to.stored()).flatMap(({ row }) => row ?? []);
    return { to, running, sql, rows };
  }

  const put = (id: number, length = 10): string => `INSERT INTO t VALUES (${id}, repeat('x', ${length}))`;
  const command = async (running: Daemon, ...args: readonly string[]) => sluice([...args, running.directory]);
  const listed = async (running: Daemon, what: 'dlq' | 'tables'): Promise<{ messages: number; code: string }[]> =>
    JSON.parse((await command(running, what, 'list', '--connector', 'shop', '--json')).stdout) as { messages: number; code: string }[];
  const segment = async (directory: string): Promise<string> => join(directory, (await readdir(directory)).sort().at(-1) as string);
  const times = (running: Daemon, text: string): number =>
    running.log.filter(({ msg, connector }) => connector === 'shop' && msg.startsWith(text)).length;
  const errors = (running: Daemon): unknown[] => running.log.filter(({ level }) => level === 'error').map(({ code }) => code);

  it.each(DAMAGES)('trap: the dead letters %s: stops at the next one, and `dlq discard --all` lets it go on', async (_, damage) => {
    const { running, sql, rows } = await begin({ onError: 'deadLetter', deadLetter: { maxPercent: 100 } });
    await sql(put(1, LARGE));
    await expect.poll(() => listed(running, 'dlq'), { timeout: 20_000 }).toHaveLength(1);
    await damage(await segment(join(running.dataDir, 'dead-letters', 'shop')));
    await sql(put(2));
    await expect.poll(rows, { timeout: 20_000 }).toEqual([2]);
    await sql(`${put(3, LARGE)}; ${put(4)}`);
    await running.waitForLog(({ code, connector }) => code === DAMAGED && connector === 'shop');
    const discarded = await command(running, 'dlq', 'discard', '--all', '--connector', 'shop');
    expect([discarded.exit, discarded.stdout, discarded.stderr]).toEqual([0, '1 discarded.\n', '']);
    // The one that had stopped it comes again, and is kept now; what is behind it goes on. One process all the time.
    await expect.poll(rows, { timeout: 20_000 }).toEqual([2, 4]);
    await expect.poll(() => listed(running, 'dlq'), { timeout: 20_000 }).toHaveLength(1);
    await sql(put(5));
    await expect.poll(rows, { timeout: 20_000 }).toEqual([2, 4, 5]);
    expect(errors(running)).toEqual([DAMAGED]);
    await running.stop('SIGKILL');
    running.start();
    await sql(put(6));
    await expect.poll(rows, { timeout: 20_000 }).toEqual([2, 4, 5, 6]);
    expect(await listed(running, 'dlq')).toHaveLength(1);
    expect(await running.stop('SIGTERM')).toBe(0);
  });

  it('trap: `dlq discard --all` of a file that was deleted, and that nobody has noticed yet: it goes on with a fresh one', async () => {
    const { running, sql, rows } = await begin({ onError: 'deadLetter', deadLetter: { maxPercent: 100 } });
    await sql(put(1, LARGE));
    await expect.poll(() => listed(running, 'dlq'), { timeout: 20_000 }).toHaveLength(1);
    await OUTSIDE_DAMAGE['deleted']?.(await segment(join(running.dataDir, 'dead-letters', 'shop')));
    expect(await command(running, 'dlq', 'discard', '--all', '--connector', 'shop')).toMatchObject({ exit: 0, stdout: '1 discarded.\n' });
    await sql(`${put(2, LARGE)}; ${put(3)}`);
    await expect.poll(rows, { timeout: 20_000 }).toEqual([3]);
    expect(await listed(running, 'dlq')).toHaveLength(1);
    expect(errors(running)).toEqual([]);
    expect(await running.stop('SIGTERM')).toBe(0);
  });

  it.each(DAMAGES)('trap: the spool %s: stops at the next change, and `tables discard` lets it go on', async (_, damage) => {
    const { running, sql, rows } = await begin({ onError: 'stopTable' });
    await sql(put(1, LARGE));
    await expect.poll(() => listed(running, 'tables'), { timeout: 20_000 }).toMatchObject([{ messages: 1 }]);
    await damage(await segment(join(running.dataDir, 'spool', 'shop', 'public.t')));
    await sql(put(2));
    await running.waitForLog(({ code, connector }) => code === DAMAGED && connector === 'shop');
    expect(await command(running, 'tables', 'discard', '--table', 'public.t', '--connector', 'shop')).toMatchObject({ exit: 0 });
    // What no checkpoint had covered is read again, and goes the direct way.
    await expect.poll(rows, { timeout: 20_000 }).toEqual([2]);
    await sql(put(3));
    await expect.poll(rows, { timeout: 20_000 }).toEqual([2, 3]);
    expect([errors(running), times(running, 'Streaming')]).toEqual([[DAMAGED], 3]);
    // It stops again: its new spool is none of the old one's.
    await sql(`${put(4, LARGE)}; ${put(5)}`);
    await expect.poll(() => listed(running, 'tables'), { timeout: 20_000 }).toMatchObject([{ messages: 2 }]);
    await running.stop('SIGKILL');
    running.start();
    await expect
      .poll(() => running.logSinceStart.some(({ msg, connector }) => connector === 'shop' && msg.startsWith('Streaming')), { timeout: 20_000 })
      .toBe(true);
    await expect.poll(() => listed(running, 'tables'), { timeout: 20_000 }).toMatchObject([{ messages: 2 }]);
    expect(await rows()).toEqual([2, 3]);
    expect(await running.stop('SIGTERM')).toBe(0);
  });

  it('trap: a bit flips in a dead letter: it is named, the others are sent, and the rest can be let go', async () => {
    const { to, running, sql, rows } = await begin({ onError: 'deadLetter', deadLetter: { maxPercent: 100 } });
    for (const id of [1, 2, 3]) await sql(put(id, LARGE));
    await expect.poll(() => listed(running, 'dlq'), { timeout: 20_000 }).toHaveLength(3);
    const [, second] = (await listed(running, 'dlq')) as unknown as { id: string; offset: number }[];
    await flipBit(await segment(join(running.dataDir, 'dead-letters', 'shop')), (second?.offset as number) + 20_000);
    const shown = await command(running, 'dlq', 'show', '--connector', 'shop', '--id', second?.id as string);
    expect([shown.exit, shown.stderr]).toEqual([3, expect.stringContaining('SLUICE_DEAD_LETTER_DAMAGED')]);
    await to.allow();
    const replayed = await command(running, 'dlq', 'replay', '--all', '--connector', 'shop', '--json');
    expect((JSON.parse(replayed.stdout) as { outcome: string }[]).map(({ outcome }) => outcome)).toEqual(['replayed', 'damaged', 'replayed']);
    expect(await rows()).toEqual([1, 3]);
    expect(await command(running, 'dlq', 'discard', '--all', '--connector', 'shop')).toMatchObject({ exit: 0, stdout: '1 discarded.\n' });
    await running.stop('SIGKILL');
    running.start();
    await sql(put(4));
    await expect.poll(rows, { timeout: 20_000 }).toEqual([1, 3, 4]);
    expect(errors(running)).toEqual([]);
  });

  it.each(['not read yet', 'read already'])(
    'trap: a bit flips in a segment of a spool that is %s: nothing is sent out of order; restored it comes whole',
    async (when) => {
      const { to, running, sql, rows } = await begin({ onError: 'stopTable' });
      const ROWS = 900;
      const all = Array.from({ length: ROWS }, (_, id) => id);
      for (let id = 0; id < ROWS; id += 30) await sql(`INSERT INTO t SELECT n, repeat('x', ${LARGE}) FROM generate_series(${id}, ${id + 29}) n`);
      await expect.poll(() => listed(running, 'tables'), { timeout: 60_000 }).toMatchObject([{ messages: ROWS }]);
      const directory = join(running.dataDir, 'spool', 'shop', 'public.t');
      const [first, second] = (await readdir(directory)).sort().map((name) => join(directory, name)) as [string, string];
      await to.allow();
      const resumed = (): Promise<unknown> => command(running, 'tables', 'resume', '--no-wait', '--table', 'public.t', '--connector', 'shop');
      if (when === 'read already') {
        await resumed();
        await running.waitForLog(({ msg }) => msg.startsWith('Table public.t is resumed'));
        // Some chunks of it.
        await sleep(80);
        await running.stop('SIGKILL');
        await flipBit(first, 5_000);
        running.start();
      } else {
        await flipBit(second, 5_000_000);
        await resumed();
      }
      await running.waitForLog(({ code, connector }) => code === DAMAGED && connector === 'shop', 60_000);
      const sent = await rows();
      expect(sent).toEqual(all.slice(0, sent.length));
      // What is committed meanwhile is not acknowledged, so not lost.
      await sql(`INSERT INTO t VALUES (${ROWS}, 'x')`);
      await running.stop('SIGTERM');
      await flipBit(when === 'read already' ? first : second, when === 'read already' ? 5_000 : 5_000_000);
      running.start();
      await expect.poll(async () => (await rows()).length, { timeout: 60_000 }).toBe(ROWS + 1);
      expect(await rows()).toEqual([...all, ROWS]);
      await expect.poll(() => listed(running, 'tables'), { timeout: 20_000 }).toEqual([]);
    },
  );
});
