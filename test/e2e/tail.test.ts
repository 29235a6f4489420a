/** `sluice tail` on a running daemon: each stage, the filter, a looker that takes nothing, and the end of the daemon. */
import { type ChildProcess, spawn } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NatsServer, type PostgresServer, startNats, startPostgres } from '../servers/index.ts';
import { sluice } from '../support/cli.ts';
import { Daemon, SLUICE_MAIN } from '../support/daemon.ts';
import { readStream } from '../support/stream-ledger.ts';

interface Line {
  readonly stage: string;
  readonly operation: string;
  readonly after?: Readonly<Record<string, string>>;
  readonly value?: string;
  readonly destination?: string;
}

describe('sluice tail', () => {
  let postgres: PostgresServer;
  let nats: NatsServer;
  let daemon: Daemon;
  let database: string;

  beforeAll(async () => {
    [postgres, nats] = await Promise.all([startPostgres({ major: 17 }), startNats({ own: true })]);
    database = await postgres.createDatabase();
    await postgres.query('CREATE TABLE orders (id int PRIMARY KEY, state text); CREATE TABLE notes (id int PRIMARY KEY, body text)', database);
    const source = { type: 'postgres', url: postgres.url(database), tables: ['public.*'], slot: database, publication: database };
    const sink = { type: 'nats', servers: [nats.url], stream: 'SHOP' };
    daemon = await Daemon.create([{ name: 'shop', source, sink, mapping: { rename: { 'public.orders.state': 'status' } } }]);
    daemon.start();
    await daemon.waitForLog(({ msg }) => msg.startsWith('Streaming from'));
  }, 120_000);

  afterAll(async () => {
    await daemon.dispose();
    await Promise.all([postgres.dispose(), nats.dispose()]);
  }, 60_000);

  const tail = (...options: string[]): { process: ChildProcess; output: () => string; said: () => string } => {
    const process_ = spawn(process.execPath, [SLUICE_MAIN, 'tail', ...options, daemon.directory], { stdio: ['ignore', 'pipe', 'pipe'] });
    let [output, said] = ['', ''];
    process_.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    process_.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    return { process: process_, output: () => output, said: () => said };
  };
  const insert = (sql: string): Promise<unknown> => postgres.query(sql, database);
  /** Until it is looking, rows come; each is another one. */
  let next = 1000;
  const until = async (looking: () => boolean): Promise<void> => {
    while (!looking()) {
      await insert(`INSERT INTO orders VALUES (${next++}, 'filler')`);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  };

  it('shows a change behind each stage: as it was read, as readers get it, as the message that is sent, and that the sink has it', async () => {
    const looking = tail('--json', '--stage', 'read', '--stage', 'mapped', '--stage', 'encoded', '--stage', 'durable', '--table', 'public.orders');
    await until(() => looking.output().includes('durable'));
    await insert("INSERT INTO notes VALUES (1, 'not asked for'); INSERT INTO orders VALUES (1, 'new')");
    await expect.poll(() => looking.output(), { timeout: 20_000 }).toContain('"id\\":1,');
    await expect.poll(() => looking.output().trimEnd().split('\n').at(-1), { timeout: 20_000 }).toContain('durable');
    looking.process.kill('SIGINT');
    expect(await new Promise((resolve) => looking.process.once('exit', resolve))).toBe(0);
    const lines = looking
      .output()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Line);
    const [read, mapped, encoded, durable] = lines.slice(-4) as [Line, Line, Line, Line];
    expect(read).toMatchObject({ stage: 'read', operation: 'create', table: 'public.orders', after: { id: '1', state: 'new' } });
    expect(mapped).toMatchObject({ stage: 'mapped', after: { id: '1', status: 'new' } });
    expect(encoded).toMatchObject({ stage: 'encoded', destination: 'shop.public.orders' });
    expect(JSON.parse(encoded.value ?? '')).toMatchObject({ after: { id: 1, status: 'new' } });
    expect({ ...durable, stage: 'encoded' }).toEqual(encoded);
    expect(looking.output()).not.toContain('not asked for');
  }, 60_000);

  it('by value, for people, up to a number', async () => {
    const looking = tail('--where', 'state=wanted', '--op', 'update', '--limit', '1', '--stage', 'read');
    await expect.poll(() => looking.said()).toContain('Waiting for changes');
    const ended = new Promise((resolve) => looking.process.once('exit', resolve));
    let isEnded = false;
    void ended.then(() => {
      isEnded = true;
    });
    await insert("INSERT INTO orders VALUES (2, 'wanted')");
    while (!isEnded) {
      await insert("UPDATE orders SET state = CASE state WHEN 'wanted' THEN 'done' ELSE 'wanted' END WHERE id = 2");
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    expect(await ended).toBe(0);
    expect(looking.output()).toMatch(/^\d\d:\d\d:\d\d\.\d{3} {2}read {5}update {4}public\.orders {2}id=2 state=wanted\n$/);
  }, 60_000);

  it('one that is stopped while thousands of rows pass holds nothing up', async () => {
    const looking = tail('--json', '--stage', 'encoded', '--stage', 'durable');
    await until(() => looking.output().includes('durable'));
    looking.process.kill('SIGSTOP');
    await insert("INSERT INTO notes SELECT id, repeat('x', 1000) FROM generate_series(10, 20000) id");
    let rows = 0;
    const arrived = async (): Promise<number> => {
      rows = 0;
      await readStream(nats.url, 'SHOP', ({ subject }) => {
        if (subject === 'shop.public.notes') rows++;
      });
      return rows;
    };
    await expect.poll(arrived, { timeout: 40_000, interval: 1_000 }).toBe(19_992);
    looking.process.kill('SIGCONT');
    await until(() => looking.output().includes('"missed":'));
    looking.process.kill('SIGTERM');
    expect(await new Promise((resolve) => looking.process.once('exit', resolve))).toBe(0);
  }, 90_000);

  it('a wrong wish is refused, and it ends with the daemon', async () => {
    const refused = await sluice(['tail', '--where', 'id=1', '--stage', 'durable', '--json', daemon.directory]);
    expect([refused.exit, JSON.parse(refused.stdout)]).toMatchObject([2, { error: { code: 'SLUICE_TAIL_FILTER' } }]);
    const looking = tail();
    await until(() => looking.output() !== '');
    const ended = new Promise((resolve) => looking.process.once('exit', resolve));
    await daemon.stop('SIGTERM');
    expect(await ended).toBe(0);
    expect(looking.said()).toContain('The connector has ended, or its daemon.');
    const none = await sluice(['tail', daemon.directory]);
    expect([none.exit, none.stderr.includes('SLUICE_CONTROL_NO_DAEMON')]).toEqual([3, true]);
  }, 60_000);
});
