/** Servers that delete their log by its age: a connector that comes near that says so, reads its log first, or stops; nothing is lost by it (I1, I7, I8). */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type MysqlServer, type NatsServer, startMysql, startNats } from '../servers/index.ts';
import { mysqlVariants } from '../support/available-servers.ts';
import { sluice } from '../support/cli.ts';
import { Daemon } from '../support/daemon.ts';
import { LONG } from '../support/long-form.ts';
import { readStream } from '../support/stream-ledger.ts';

const VARIANTS = mysqlVariants.filter(({ title, options }) => LONG || (title === options.version && title !== 'mariadb-10.11'));
const KEPT_SECONDS = 60;

describe.each(VARIANTS)('protection from what $title deletes', ({ options }) => {
  let server: MysqlServer;
  let nats: NatsServer;
  let daemon: Daemon | null = null;
  let count = 0;

  beforeAll(async () => {
    const settings = { 'binlog-expire-logs-seconds': KEPT_SECONDS };
    [server, nats] = await Promise.all([startMysql({ ...options, settings }), startNats({ own: true })]);
  });

  afterEach(async () => {
    nats.signal('SIGCONT');
    await daemon?.dispose();
    daemon = null;
  });

  afterAll(() => Promise.all([server.dispose(), nats.dispose()]));

  async function begin(protect: object, snapshot: object, rows: number) {
    const database = await server.createDatabase('protect');
    const name = `protect${++count}`;
    const sql = <T = Record<string, unknown>>(text: string): Promise<T[]> => server.query<T>(text, database);
    await sql('CREATE TABLE t (id int PRIMARY KEY)');
    /** Rows of these ids, each thousand its own transaction, and a new file of the log behind them. */
    const write = async (first: number, last: number): Promise<void> => {
      for (let from = first; from <= last; from += 1000) {
        await sql(`INSERT INTO t VALUES ${Array.from({ length: Math.min(1000, last - from + 1) }, (_, index) => `(${from + index})`).join(',')}`);
      }
      await sql('FLUSH BINARY LOGS');
    };
    await write(1, rows);
    const source = { type: server.system, url: server.url(), tables: [`${database}.t`], snapshot, heartbeat: { interval: '1s' } };
    const sink = { type: 'nats', servers: [nats.url], stream: name.toUpperCase(), subject: `${name.toUpperCase()}.{schema}.{table}` };
    const running = await Daemon.create([{ name, source, sink, protect, checkpoint: { maxDelay: '20ms' } }]);
    daemon = running;
    running.start();
    const arrived = async (): Promise<readonly number[]> => {
      const ids: number[] = [];
      await readStream(nats.url, sink.stream, ({ value }) => void ids.push(Number(value?.after?.['id'])));
      return ids;
    };
    return { daemon: running, write, arrived };
  }

  const metric = async (running: Daemon, name: string): Promise<number> => {
    const said = running.logSinceStart.findLast(({ msg }) => msg.startsWith('Health and metrics on '));
    const text = await (await fetch(`${/http:[^ ]+/.exec(said?.msg ?? '')?.[0]}/metrics`)).text();
    return Number(new RegExp(`^sluice_${name}\\{[^}]*\\} (.*)$`, 'm').exec(text)?.[1] ?? -1);
  };

  it('warns, shows it, stops before the log is deleted, and goes on with everything once it is started again', async () => {
    const run = await begin({ warn: { timeLeft: '56s' }, stop: { timeLeft: '45s' }, patience: '1s' }, { mode: 'no_data' }, 1);
    await run.daemon.waitForLog(({ msg }) => msg.startsWith('Streaming'));
    await expect.poll(() => metric(run.daemon, 'log_headroom_seconds'), { timeout: 10_000 }).toBe(KEPT_SECONDS);
    expect(await metric(run.daemon, 'log_headroom_bytes')).toBeGreaterThan(0);
    expect(await metric(run.daemon, 'stage_seconds_total')).toBeGreaterThan(0);
    nats.signal('SIGSTOP');
    await run.write(1001, 3000);
    const warned = await run.daemon.waitForLog(({ level, msg }) => level === 'warn' && msg.startsWith('The connector is far behind'), 30_000);
    expect([warned.msg, warned.remedy]).toEqual([
      expect.stringContaining('"protect.warn.timeLeft" is 56 s'),
      expect.stringContaining('binlog_expire_logs'),
    ]);
    expect(await metric(run.daemon, 'source_pressure')).toBe(1);
    expect((await sluice(['status', run.daemon.directory])).stdout).toContain('protect.warn.timeLeft');
    expect(await run.daemon.exit()).toBe(3);
    expect(run.daemon.log.find(({ code }) => code === 'SLUICE_SOURCE_PROTECTED')?.msg).toContain('"protect.stop.timeLeft"');
    nats.signal('SIGCONT');
    run.daemon.start();
    await expect.poll(async () => (await run.arrived()).length, { timeout: 30_000 }).toBe(2000);
    expect(await run.arrived()).toEqual(Array.from({ length: 2000 }, (_, index) => 1001 + index));
    await expect.poll(() => metric(run.daemon, 'source_pressure'), { timeout: 15_000 }).toBe(0);
  });

  it('puts copies off for the log, and goes on with them once that is read', async () => {
    const rows = 20_000;
    const snapshot = { mode: 'initial', parallelism: 1, maxRowsPerSecond: 1_000 };
    const run = await begin({ warn: { freePercent: 0 }, pauseSnapshot: { timeLeft: '55s' } }, snapshot, rows);
    await run.daemon.waitForLog(({ msg }) => msg.startsWith('Copying '));
    nats.signal('SIGSTOP');
    await run.write(100_001, 101_000);
    await expect.poll(() => metric(run.daemon, 'source_pressure'), { timeout: 30_000, interval: 50 }).toBe(2);
    nats.signal('SIGCONT');
    const put = await run.daemon.waitForLog(({ msg }) => msg.startsWith('Copying is put off, the log comes first'), 10_000);
    expect(put.msg).toContain('"protect.pauseSnapshot.timeLeft" is 55 s');
    await run.daemon.waitForLog(({ msg }) => msg.startsWith('Copying beside the log goes on'), 10_000);
    await run.daemon.waitForLog(({ msg }) => msg === 'All tables are copied.', 60_000);
    expect(new Set(await run.arrived()).size).toBe(rows + 1000);
  });
});
