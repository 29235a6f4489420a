/** One table is refused by the registry, another by its level of compatibility: each is treated by its own reason. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type NatsServer, type PostgresServer, startNats, startPostgres } from '../servers/index.ts';
import { sluice } from '../support/cli.ts';
import { Daemon } from '../support/daemon.ts';
import { countOf } from '../support/streams.ts';

describe('what the registry refuses beside what a level refuses', () => {
  let postgres: PostgresServer;
  let nats: NatsServer;
  let registry: Server;
  let daemon: Daemon | null = null;
  let count = 0;
  /** Subjects of the registry that take no other schema. */
  const closed = new Set<string>();
  const ids = new Map<string, number>();
  /** Subjects of which nothing is answered. */
  const silent = new Set<string>();
  let unanswered = 0;
  let calls = 0;

  beforeAll(async () => {
    [postgres, nats] = await Promise.all([startPostgres({ major: 17, own: true }), startNats({ own: true })]);
    registry = createServer(async (request, response) => {
      calls++;
      let body = '';
      for await (const chunk of request) body += String(chunk);
      const subject = decodeURIComponent(/subjects\/([^/]+)/.exec(request.url ?? '')?.[1] ?? '');
      if (silent.has(subject)) {
        unanswered++;
        return;
      }
      const known = ids.get(`${subject} ${body}`);
      const isRefused = known === undefined && closed.has(subject);
      if (known === undefined && !isRefused) ids.set(`${subject} ${body}`, ids.size + 1);
      response.writeHead(isRefused ? 409 : 200).end(JSON.stringify(isRefused ? { message: 'closed' } : { id: ids.get(`${subject} ${body}`) }));
    });
    await new Promise<void>((resolve) => registry.listen(0, '127.0.0.1', resolve));
  });

  afterEach(async () => {
    await daemon?.dispose();
    daemon = null;
  });

  afterAll(async () => {
    registry.close();
    registry.closeAllConnections();
    await Promise.all([postgres.dispose(), nats.dispose()]);
  });

  async function begin(options: Readonly<Record<string, unknown>>) {
    const name = `both${++count}`;
    const stream = name.toUpperCase();
    const database = await postgres.createDatabase(name);
    const sql = (text: string) => postgres.query(text, database);
    await sql('CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE other (id int PRIMARY KEY)');
    const connector = {
      name: 'shop',
      source: { type: 'postgres', url: postgres.url(database), tables: ['public.*'], slot: name, publication: name, snapshot: { mode: 'no_data' } },
      format: { type: 'avro', registry: { urls: [`http://127.0.0.1:${(registry.address() as AddressInfo).port}`], timeout: '60s' } },
      sink: { type: 'nats', servers: [nats.url], stream, subject: `${stream}.{table}` },
      checkpoint: { maxDelay: '20ms' },
      ...options,
    };
    daemon = await Daemon.create([connector]);
    const running = daemon.start();
    const streaming = () =>
      expect.poll(() => running.logSinceStart.filter(({ msg }) => msg.startsWith('Streaming')).length, { timeout: 20_000 }).toBeGreaterThan(0);
    const ask = async (...args: string[]): Promise<unknown> => JSON.parse((await sluice([...args, '--json', running.directory])).stdout) as unknown;
    const stands = (table: string): Promise<number> => countOf(nats.url, stream, `${stream}.${table}`);
    return { stream, sql, running, ask, stands, streaming };
  }

  it.each(['stopTable', 'deadLetter'] as const)(
    '%s: it is the level that keeps the other one back, and accepted it goes (I1, I3)',
    async (action) => {
      const { stream, sql, running, ask, stands, streaming } = await begin({
        compatibility: { levels: { 'public.t': 'backward' }, actions: { 'public.t': action } },
        ...(action === 'deadLetter' ? { deadLetter: { maxPercent: 100 } } : {}),
      });
      await streaming();
      await sql('INSERT INTO t VALUES (1); INSERT INTO other VALUES (1)');
      await expect.poll(() => stands('other'), { timeout: 20_000 }).toBe(1);
      closed.add(`${stream}.other-value`);
      await sql('ALTER TABLE other ADD z int; INSERT INTO other VALUES (2)');
      const refused = { table: 'public.other', state: 'stopped', code: 'SLUICE_REGISTRY_INCOMPATIBLE' };
      await expect.poll(() => ask('tables', 'list'), { timeout: 20_000 }).toMatchObject([refused]);
      await sql(
        'INSERT INTO other VALUES (3); ALTER TABLE t ADD c timestamptz NOT NULL DEFAULT now(); INSERT INTO t VALUES (2); INSERT INTO other VALUES (4)',
      );
      const kept = { code: 'SLUICE_SCHEMA_INCOMPATIBLE' };
      await expect
        .poll(async () => (action === 'deadLetter' ? ask('dlq', 'list') : ((await ask('tables', 'list')) as object[]).slice(1)), { timeout: 20_000 })
        .toMatchObject([kept]);
      expect(await ask('schema', 'accept', '--table', 'public.t')).toMatchObject({ accepted: [2], isResumed: action === 'stopTable' });
      if (action === 'deadLetter')
        await expect
          .poll(async () => (await sluice(['dlq', 'replay', '--connector', 'shop', '--all', running.directory])).exit, { timeout: 20_000 })
          .toBe(0);
      await expect.poll(() => stands('t'), { timeout: 20_000 }).toBe(2);
      expect(await stands('other')).toBe(1);
      closed.clear();
      expect((await sluice(['tables', 'resume', '--table', 'public.other', running.directory])).exit).toBe(0);
      await expect.poll(() => stands('other'), { timeout: 20_000 }).toBe(4);
      expect(running.log.filter(({ level }) => level === 'error')).toEqual([]);
    },
  );

  it('a table that is resumed while the registry says nothing keeps nobody waiting, and what is refused is asked for once (I1, I10)', async () => {
    const { stream, sql, running, ask, stands, streaming } = await begin({});
    await streaming();
    await sql('INSERT INTO t VALUES (1); INSERT INTO other VALUES (1)');
    await expect.poll(() => stands('other'), { timeout: 20_000 }).toBe(1);
    closed.add(`${stream}.t-value`);
    await sql('ALTER TABLE t ADD z int; INSERT INTO t SELECT i FROM generate_series(2, 101) i');
    await expect.poll(() => ask('tables', 'list'), { timeout: 20_000 }).toMatchObject([{ state: 'stopped', messages: 100 }]);
    const before = calls;
    expect((await sluice(['tables', 'resume', '--table', 'public.t', running.directory])).exit).toBe(1);
    expect(calls - before).toBeLessThan(10);
    closed.clear();
    silent.add(`${stream}.t-value`);
    await expect.poll(() => ask('tables', 'list'), { timeout: 20_000 }).toMatchObject([{ state: 'stopped', messages: 100 }]);
    expect((await sluice(['tables', 'resume', '--no-wait', '--table', 'public.t', running.directory])).exit).toBe(0);
    await expect.poll(() => unanswered, { timeout: 20_000 }).toBe(1);
    await sql('INSERT INTO other VALUES (2)');
    await expect.poll(() => stands('other'), { timeout: 20_000 }).toBe(2);
    expect(await running.stop('SIGTERM')).toBe(0);
    expect(running.log.filter(({ msg }) => msg.startsWith('Stopping at once'))).toEqual([]);
    silent.clear();
    running.start();
    await expect.poll(() => stands('t'), { timeout: 20_000 }).toBe(101);
    expect(running.log.filter(({ level }) => level === 'error')).toEqual([]);
  });
});
