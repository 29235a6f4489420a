/** One table stops at a message that can never be delivered, the others go on; what it misses is kept in order and sent when it is resumed (algorithms §9). */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type KafkaServer, type NatsServer, type PostgresServer, startKafka, startNats, startPostgres } from '../servers/index.ts';
import { availableKafkas } from '../support/available-servers.ts';
import { sluice } from '../support/cli.ts';
import { Daemon } from '../support/daemon.ts';
import { kafkaLimited, LARGE, type LimitedSink, natsLimited, type Stored } from '../support/limited-sinks.ts';
import { SINK_KINDS } from '../support/long-form.ts';

interface View {
  readonly table: string;
  readonly state: string;
  readonly code: string;
  readonly messages: number;
}

describe('stopped tables', () => {
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
  });

  afterAll(() => Promise.all([postgres.dispose(), nats.dispose(), kafka?.dispose()]));

  async function target(kind: string): Promise<LimitedSink> {
    const name = `stop${++count}`;
    return kind === 'nats'
      ? natsLimited(nats, name.toUpperCase())
      : kafkaLimited(kafka as KafkaServer, name, kind, { partitions: 3, others: ['other'] });
  }

  /** A daemon that streams two tables of its own. */
  async function begin(
    to: LimitedSink,
    delay = '20ms',
  ): Promise<{ sql: (text: string) => Promise<unknown>; daemon: Daemon; connector: { name: string } & Record<string, unknown> }> {
    const database = await postgres.createDatabase('stopped');
    const sql = (text: string): Promise<unknown> => postgres.query(text, database);
    await sql('CREATE TABLE t (id bigint PRIMARY KEY, n int NOT NULL, v text NOT NULL); CREATE TABLE other (id bigint PRIMARY KEY)');
    const source = {
      type: 'postgres',
      url: postgres.url(database),
      tables: ['public.t', 'public.other'],
      slot: `s${count}`,
      publication: `s${count}`,
      // What is counted here comes from the log alone.
      snapshot: { mode: 'no_data' },
    };
    const connector = { name: 'shop', source, sink: to.sink, checkpoint: { maxDelay: delay }, onError: 'stopTable' };
    daemon = await Daemon.create([connector]);
    daemon.start();
    await daemon.waitForLog(({ msg }) => msg.startsWith('Streaming'));
    return { sql, daemon, connector };
  }

  /** Since its last start: a command that finds no daemon opens the state itself, and would be in its way. */
  const streaming = (running: Daemon): Promise<unknown> => {
    const isStreaming = (): boolean => running.logSinceStart.some(({ msg }) => msg.startsWith('Streaming'));
    return expect.poll(isStreaming, { timeout: 60_000 }).toBe(true);
  };
  const put = (id: number, n: number, length = 10): string =>
    `INSERT INTO t VALUES (${id}, ${n}, repeat('x', ${length})) ON CONFLICT (id) DO UPDATE SET n = ${n}, v = excluded.v`;
  const list = async (running: Daemon): Promise<View[]> =>
    JSON.parse((await sluice(['tables', 'list', '--json', running.directory])).stdout) as View[];
  const resume = (running: Daemon) => sluice(['tables', 'resume', '--table', 'public.t', running.directory]);
  const ofTable = (stored: readonly Stored[]): Stored[] => stored.filter(({ destination }) => destination.endsWith('.t'));
  /** By key, the numbers that arrived for it, in order. */
  const byKey = (stored: readonly Stored[]): Record<number, number[]> => {
    const found: Record<number, number[]> = {};
    for (const { row, n } of ofTable(stored)) found[row as number] = [...(found[row as number] ?? []), n as number];
    return found;
  };

  it.each(SINK_KINDS)(
    '%s: the table waits, the others go on; resumed it comes in order, each once, also after kill -9 (I1, I3, I4)',
    async (kind) => {
      const to = await target(kind);
      const { sql, daemon: running } = await begin(to);
      await sql(`${put(1, 1)}; ${put(2, 1)}`);
      await expect.poll(async () => byKey(await to.stored()), { timeout: 20_000 }).toEqual({ 1: [1], 2: [1] });
      // The first version behind the large one has its key: it must not overtake it.
      await sql(put(2, 2, LARGE));
      await sql(put(2, 3));
      await running.waitForLog(({ code }) => code === 'SLUICE_TABLE_STOPPED');
      await sql(`INSERT INTO other VALUES (1); ${put(1, 2)}; ${put(3, 1)}`);
      await expect
        .poll(async () => (await to.stored()).filter(({ destination }) => destination.endsWith('.other')).length, { timeout: 20_000 })
        .toBe(1);
      expect(byKey(await to.stored())).toEqual({ 1: [1], 2: [1] });
      await running.stop('SIGKILL');
      await sql(put(1, 3));
      running.start();
      await streaming(running);
      await sql(`INSERT INTO other VALUES (2); ${put(3, 2)}`);
      await expect.poll(() => list(running), { timeout: 20_000 }).toMatchObject([{ table: 'public.t', state: 'stopped', messages: 6 }]);

      await to.allow();
      const resumed = await resume(running);
      expect([resumed.exit, resumed.stdout]).toEqual([0, 'public.t is live again.\n']);
      const expected = { 1: [1, 2, 3], 2: [1, 2, 3], 3: [1, 2] };
      expect(byKey(await to.stored())).toEqual(expected);
      expect(await list(running)).toEqual([]);
      await sql(put(4, 1));
      await expect.poll(async () => byKey(await to.stored()), { timeout: 20_000 }).toEqual({ ...expected, 4: [1] });
      await running.stop('SIGKILL');
      running.start();
      await sql(put(4, 2));
      await expect.poll(async () => byKey(await to.stored()), { timeout: 20_000 }).toEqual({ ...expected, 4: [1, 2] });
      expect(await running.stop('SIGTERM')).toBe(0);
      expect(running.log.filter(({ level }) => level === 'error')).toEqual([]);
    },
  );

  it.each(SINK_KINDS)(
    '%s: kill -9 while it stops, while it waits and while it is resumed: none is lost, doubled or overtaken (I1, I3, I4)',
    async (kind) => {
      const to = await target(kind);
      const { sql, daemon: running } = await begin(to);
      const expected: Record<number, number[]> = {};
      let n = 0;
      const write = async (rows: number): Promise<void> => {
        const statements: string[] = [];
        for (let row = 0; row < rows; row++) {
          const id = n % 17;
          statements.push(put(id, n, n === 130 ? LARGE : 10));
          expected[id] = [...(expected[id] ?? []), n++];
        }
        await sql(statements.join('; '));
      };
      for (let round = 0; round < 6; round++) {
        for (let transaction = 0; transaction < 10; transaction++) await write(10);
        await running.stop('SIGKILL');
        running.start();
      }
      await streaming(running);
      await expect.poll(async () => (await list(running)).map(({ state }) => state), { timeout: 60_000 }).toEqual(['stopped']);
      await to.allow();
      for (let round = 0; round < 3; round++) {
        await streaming(running);
        // Between two lives nothing is counted.
        await expect.poll(async () => (await list(running)).every(({ messages }) => messages !== null), { timeout: 60_000 }).toBe(true);
        const resumed = await sluice(['tables', 'resume', '--no-wait', '--table', 'public.t', running.directory]);
        // Where a run before this one came to the end of it.
        expect([0, 2], resumed.stderr).toContain(resumed.exit);
        await write(50);
        await running.stop('SIGKILL');
        running.start();
        await write(50);
      }
      await streaming(running);
      await expect.poll(() => list(running), { timeout: 60_000 }).toEqual([]);
      await expect.poll(async () => ofTable(await to.stored()).length, { timeout: 30_000 }).toBe(n);
      expect(byKey(await to.stored())).toEqual(expected);
      expect(await running.stop('SIGTERM')).toBe(0);
    },
  );

  it.each(SINK_KINDS)(
    '%s: a transaction of both tables, killed before a checkpoint covers it: what stands of it says nothing of what waits (I1, I4)',
    async (kind) => {
      const to = await target(kind);
      const { sql, daemon: running } = await begin(to, '4s');
      await sql(`BEGIN; ${put(2, 1, LARGE)}; INSERT INTO other VALUES (1); ${put(2, 2)}; ${put(3, 1)}; INSERT INTO other VALUES (2); COMMIT`);
      const others = async (): Promise<number> => (await to.stored()).filter(({ destination }) => destination.endsWith('.other')).length;
      await expect.poll(others, { timeout: 20_000, interval: 20 }).toBe(2);
      await running.stop('SIGKILL');
      await to.allow();
      running.start();
      await streaming(running);
      expect(await resume(running)).toMatchObject({ exit: 0 });
      expect(byKey(await to.stored())).toEqual({ 2: [1, 2], 3: [1] });
      // Sent again before a checkpoint covers that, and killed: once.
      await running.stop('SIGKILL');
      running.start();
      await sql(`${put(3, 2)}; INSERT INTO other VALUES (3)`);
      await expect.poll(others, { timeout: 60_000 }).toBe(3);
      await expect.poll(async () => byKey(await to.stored())).toEqual({ 2: [1, 2], 3: [1, 2] });
      expect(await running.stop('SIGTERM')).toBe(0);
    },
  );

  it.each(SINK_KINDS.filter((kind) => kind !== 'kafkajs'))(
    '%s: live again or discarded, and killed before a checkpoint covers it: nothing comes back (I3, I4)',
    async (kind) => {
      const to = await target(kind);
      const { sql, daemon: running } = await begin(to, '5s');
      const expected: Record<number, number[]> = {};
      let n = 0;
      const write = async (rows: number, length = 10): Promise<void> => {
        for (let row = 0; row < rows; row++) {
          const id = n % 5;
          await sql(put(id, n, length));
          expected[id] = [...(expected[id] ?? []), n++];
        }
      };
      await write(1, LARGE);
      await expect.poll(() => list(running), { timeout: 20_000 }).toMatchObject([{ state: 'stopped', messages: 1 }]);
      await to.allow();
      // What comes while it is resumed is sent late as well.
      const [resumed] = await Promise.all([resume(running), write(60)]);
      expect(resumed.exit).toBe(0);
      await write(5);
      await expect.poll(async () => ofTable(await to.stored()).length, { timeout: 20_000 }).toBe(n);
      await running.stop('SIGKILL');
      running.start();
      await streaming(running);
      await write(5);
      await expect.poll(async () => ofTable(await to.stored()).length, { timeout: 20_000 }).toBeGreaterThanOrEqual(n);
      expect(byKey(await to.stored())).toEqual(expected);
      expect(await running.stop('SIGTERM')).toBe(0);
    },
  );

  it.each(SINK_KINDS.filter((kind) => kind !== 'kafkajs'))('%s: what was discarded stays so over a kill (I3)', async (kind) => {
    const to = await target(kind);
    const { sql, daemon: running } = await begin(to, '5s');
    await sql(put(1, 0));
    await sql(put(2, 1, LARGE));
    await expect.poll(() => list(running), { timeout: 20_000 }).toMatchObject([{ state: 'stopped', messages: 1 }]);
    await sql(put(1, 2));
    await expect.poll(() => list(running), { timeout: 20_000 }).toMatchObject([{ messages: 2 }]);
    expect((await sluice(['tables', 'discard', '--table', 'public.t', running.directory])).exit).toBe(0);
    await sql(put(1, 3));
    await expect.poll(async () => byKey(await to.stored()), { timeout: 20_000 }).toEqual({ 1: [0, 3] });
    await running.stop('SIGKILL');
    running.start();
    await streaming(running);
    await sql(put(3, 4));
    await expect.poll(async () => byKey(await to.stored()), { timeout: 20_000 }).toEqual({ 1: [0, 3], 3: [4] });
    expect(await running.stop('SIGTERM')).toBe(0);
  });

  it.each(SINK_KINDS)(
    '%s: a TRUNCATE behind the message that stopped the table comes to each partition once, in front of what came after it (I3, I7)',
    async (kind) => {
      const to = await target(kind);
      const { sql, daemon: running } = await begin(to);
      const keys = [1, 2, 3, 4, 5, 6];
      await sql(keys.map((id) => put(id, 1)).join('; '));
      await expect.poll(async () => Object.keys(byKey(await to.stored())).length, { timeout: 20_000 }).toBe(keys.length);
      // In the partitions without the large one the rest may stand already.
      await sql(`BEGIN; ${put(100, 1, LARGE)}; TRUNCATE t; ${keys.map((id) => put(id, 2)).join('; ')}; COMMIT`);
      await running.waitForLog(({ code }) => code === 'SLUICE_TABLE_STOPPED');
      await expect.poll(async () => (await list(running))[0]?.messages ?? 0, { timeout: 20_000 }).toBeGreaterThan(1);
      await to.allow();
      expect((await resume(running)).exit).toBe(0);
      const stored = ofTable(await to.stored());
      expect(byKey(stored.filter(({ row }) => row !== null))).toEqual({ ...Object.fromEntries(keys.map((id) => [id, [1, 2]])), 100: [1] });
      expect(stored.filter(({ row }) => row === null).length).toBe(kind === 'nats' ? 1 : 3);
    },
  );

  it('resumed before the cause is mended it stops again; discarded, it goes on with what comes', async () => {
    const to = await target('nats');
    const { sql, daemon: running } = await begin(to);
    await sql(`${put(1, 1)}; ${put(2, 1, LARGE)}; ${put(3, 1)}`);
    await expect.poll(() => list(running), { timeout: 20_000 }).toMatchObject([{ code: 'SLUICE_NATS_MESSAGE_TOO_LARGE', messages: 2 }]);
    const resumed = await resume(running);
    expect([resumed.exit, resumed.stdout]).toEqual([1, expect.stringContaining('has stopped again')]);
    await expect.poll(() => list(running), { timeout: 20_000 }).toMatchObject([{ state: 'stopped', messages: 2 }]);
    const metrics = await (await fetch(`${await running.healthUrl()}/metrics`)).text();
    expect(metrics).toContain('sluice_stopped_tables{connector="shop"} 1');
    const discarded = await sluice(['tables', 'discard', '--table', 'public.t', running.directory]);
    expect(discarded.stdout).toBe('2 messages of public.t were discarded; the table is live again.\n');
    await sql(put(4, 1));
    await expect.poll(async () => byKey(await to.stored()), { timeout: 20_000 }).toEqual({ 1: [1], 4: [1] });
    expect((await resume(running)).stderr).toContain('SLUICE_TABLE_NOT_STOPPED');
    expect(await running.stop('SIGTERM')).toBe(0);
  });

  it('a full spool stops the connector and loses nothing', async () => {
    const to = await target('nats');
    const { sql, daemon: running, connector } = await begin(to);
    await running.stop('SIGTERM');
    await running.rewrite({ ...connector, spool: { maxBytes: '1MiB' } });
    running.start();
    await sql(put(1, 1, LARGE));
    for (let id = 2; id < 60; id++) await sql(put(id, 1, LARGE));
    expect(await running.exit()).toBe(1);
    expect(running.log.filter(({ level }) => level === 'error').map(({ code }) => code)).toEqual(['SLUICE_SEGMENTS_FULL']);
    await to.allow();
    await running.rewrite(connector);
    running.start();
    await streaming(running);
    await expect.poll(() => list(running), { timeout: 20_000 }).toMatchObject([{ messages: 59 }]);
    expect((await resume(running)).exit).toBe(0);
    expect(ofTable(await to.stored()).map(({ row }) => row)).toEqual(Array.from({ length: 59 }, (_, id) => id + 1));
    expect(await running.stop('SIGTERM')).toBe(0);
  });
});
