/** A connector that falls behind does not fill its server's disk: each action of `protect`, on a live server, and nothing lost by it (I1, I7, I8). */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type NatsServer, type PostgresServer, startNats, startPostgres } from '../servers/index.ts';
import { sluice } from '../support/cli.ts';
import { Daemon } from '../support/daemon.ts';
import { readStream } from '../support/stream-ledger.ts';

describe('protection of a Postgres server', () => {
  let postgres: PostgresServer;
  let nats: NatsServer;
  let daemon: Daemon | null = null;
  let count = 0;

  beforeAll(async () => {
    [postgres, nats] = await Promise.all([startPostgres({ major: 17, own: true }), startNats({ own: true })]);
  });

  afterEach(async () => {
    nats.signal('SIGCONT');
    await daemon?.dispose();
    daemon = null;
  });

  afterAll(() => Promise.all([postgres.dispose(), nats.dispose()]));

  async function begin(protect: object, snapshot: object = { mode: 'no_data' }, rows = 0) {
    const database = await postgres.createDatabase('protect');
    const name = `protect${++count}`;
    const sql = <T = Record<string, unknown>>(text: string): Promise<T[]> => postgres.query<T>(text, database);
    await sql(`CREATE TABLE t (id int PRIMARY KEY, pad text); INSERT INTO t SELECT g, 'old' FROM generate_series(1, ${rows}) g; ANALYZE t`);
    const source = { type: 'postgres', url: postgres.url(database), tables: ['public.t'], slot: name, publication: name, snapshot };
    const sink = { type: 'nats', servers: [nats.url], stream: name.toUpperCase(), subject: `${name.toUpperCase()}.{schema}.{table}` };
    const connector = { name, source, sink, protect, freshness: { objective: '1s' }, checkpoint: { maxDelay: '20ms' } };
    const running = await Daemon.create([connector]);
    daemon = running;
    running.start();
    let last = 1_000_000;
    /** Log of about so many MiB, of rows that count. */
    const write = (mebibytes: number): Promise<unknown> => {
      const first = last + 1;
      last += mebibytes * 1024;
      return sql(`INSERT INTO t SELECT g, repeat(md5(g::text), 32) FROM generate_series(${first}, ${last}) g`);
    };
    /** Ids in the stream, in their order, and how often a row came by a copy. */
    const arrived = async (): Promise<{ readonly ids: readonly number[]; readonly copied: number }> => {
      const ids: number[] = [];
      let copied = 0;
      await readStream(nats.url, sink.stream, ({ value }) => {
        if (value === null) return;
        ids.push(Number(value.after?.['id']));
        if (value.op === 'r') copied++;
      });
      return { ids, copied };
    };
    const slots = (): Promise<{ slot_name: string }[]> => sql(`SELECT slot_name FROM pg_replication_slots WHERE slot_name = '${name}'`);
    return { daemon: running, connector, sql, write, arrived, slots };
  }

  const pressure = async (running: Daemon): Promise<number> => {
    const text = await (await fetch(`${await running.healthUrl()}/metrics`)).text();
    return Number(/^sluice_source_pressure\{[^}]*\} (\d)$/m.exec(text)?.[1] ?? -1);
  };

  it('warns, shows it, stops with what to do, and goes on with everything once it is started again', async () => {
    const run = await begin({ warn: { retained: '12MiB' }, stop: { retained: '40MiB' }, patience: '6s' });
    await run.daemon.waitForLog(({ msg }) => msg.startsWith('Streaming'));
    expect(await pressure(run.daemon)).toBe(0);
    await run.write(1);
    await expect.poll(async () => (await run.arrived()).ids.length).toBe(1024);
    nats.signal('SIGSTOP');
    await run.write(20);
    const warned = await run.daemon.waitForLog(({ level, msg }) => level === 'warn' && msg.startsWith('The connector is far behind'), 30_000);
    expect([warned.msg, warned.remedy]).toEqual([
      expect.stringContaining('"protect.warn.retained" is 12'),
      expect.stringContaining('pg_drop_replication_slot'),
    ]);
    expect(await pressure(run.daemon)).toBe(1);
    const { stdout } = await sluice(['status', run.daemon.directory]);
    expect(stdout).toContain('protect.warn.retained');
    await expect
      .poll(async () => (await sluice(['status', run.daemon.directory])).stdout, { timeout: 10_000 })
      .toMatch(/late: public\.t, .* burn rate \d/);
    const text = await (await fetch(`${await run.daemon.healthUrl()}/metrics`)).text();
    for (const stage of ['decode', 'encode', 'send', 'save', 'acknowledge'])
      expect(Number(new RegExp(`stage_seconds_total\\{[^}]*stage="${stage}"\\} (.*)`).exec(text)?.[1])).toBeGreaterThan(0);
    expect(text).toMatch(/^sluice_freshness_seconds_total\{[^}]*table="public\.t",fresh="no"\} [1-9]/m);
    await run.write(40);
    expect(await run.daemon.exit()).toBe(3);
    const stopped = run.daemon.log.find(({ code }) => code === 'SLUICE_SOURCE_PROTECTED');
    expect(stopped?.msg).toContain('"protect.stop.retained"');
    expect(await run.slots()).toHaveLength(1);
    // Started again it has its patience once more, and catches up.
    nats.signal('SIGCONT');
    run.daemon.start();
    await expect.poll(async () => (await run.arrived()).ids.length, { timeout: 60_000, interval: 500 }).toBe(61 * 1024);
    const { ids } = await run.arrived();
    expect(ids).toEqual(Array.from({ length: 61 * 1024 }, (_, index) => 1_000_001 + index));
  });

  it('breaks a first copy off for the log, and copies what is left once that is read', async () => {
    const rows = 60_000;
    const run = await begin({ pauseSnapshot: { retained: '12MiB' } }, { mode: 'initial', parallelism: 1, maxRowsPerSecond: 4_000 }, rows);
    await run.daemon.waitForLog(({ msg }) => msg.startsWith('Copying public.t'));
    await run.write(30);
    await run.daemon.waitForLog(({ msg }) => msg.startsWith('Copying is put off, the log comes first'), 30_000);
    await expect.poll(async () => (await run.arrived()).ids.filter((id) => id > 1_000_000).length, { timeout: 30_000 }).toBe(30 * 1024);
    expect((await run.arrived()).copied).toBeLessThan(rows);
    // The server lets go of its log at its checkpoints.
    const letGo = setInterval(() => void run.sql('CHECKPOINT').catch(() => undefined), 1_000);
    try {
      await run.daemon.waitForLog(({ msg }) => msg.startsWith('Copying beside the log goes on'), 60_000);
    } finally {
      clearInterval(letGo);
    }
    await run.daemon.waitForLog(({ msg }) => msg === 'All tables are copied.', 60_000);
    const copied = (await run.arrived()).ids.filter((id) => id <= 1_000_000);
    expect(new Set(copied).size).toBe(rows);
  });

  it('drops its slot only where that is said, and never goes on from another one by itself', async () => {
    const run = await begin({ dropSlot: { retained: '12MiB' }, patience: '1s' });
    await run.daemon.waitForLog(({ msg }) => msg.startsWith('Streaming'));
    await run.write(1);
    await expect.poll(async () => (await run.arrived()).ids.length).toBe(1024);
    nats.signal('SIGSTOP');
    await run.write(20);
    expect(await run.daemon.exit()).toBe(3);
    const stopped = run.daemon.log.find(({ code }) => code === 'SLUICE_SOURCE_GIVEN_UP');
    expect([stopped?.msg, stopped?.remedy]).toEqual([
      expect.stringContaining('"protect.dropSlot.retained"'),
      expect.stringContaining('new snapshot'),
    ]);
    expect(await run.slots()).toEqual([]);
    nats.signal('SIGCONT');
    run.daemon.start();
    expect(await run.daemon.exit()).toBe(3);
    expect(run.daemon.logSinceStart.map(({ code }) => code)).toContain('SLUICE_PG_SLOT_MISSING');
    expect(await run.slots()).toEqual([]);
    // As the remedy says.
    await run.daemon.rewrite({ ...run.connector, source: { ...run.connector.source, snapshot: { mode: 'when_needed' } } });
    run.daemon.start();
    await run.daemon.waitForLog(({ msg }) => msg === 'All tables are copied.', 30_000);
    await expect.poll(async () => new Set((await run.arrived()).ids).size, { timeout: 30_000 }).toBe(21 * 1024);
  });
});
