/**
 * Connectors that are created, changed and deleted over HTTP and by commands while the daemon runs (security checklist 10, 11, 15): checked as files are, taken up as files are, there again
 * after a restart; secrets go in and never come out (I12); what they may reach of this machine is bounded.
 */
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NatsServer, type PostgresServer, startNats, startPostgres } from '../servers/index.ts';
import { sluice } from '../support/cli.ts';
import { Daemon } from '../support/daemon.ts';
import { readStream } from '../support/stream-ledger.ts';

const TOKEN = 'the-token-of-this-test';
const READ_TOKEN = 'the-token-to-look-with';
const SECRET = 'kanarienvogel-4711';

interface Answer {
  readonly status: number;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked into by the expectations.
  readonly body: any;
}

describe('connectors created while the daemon runs', () => {
  let postgres: PostgresServer;
  let nats: NatsServer;
  let database: string;
  let daemon: Daemon;
  let api: string;
  /** Everything that was answered. */
  const answers: string[] = [];

  beforeAll(async () => {
    [postgres, nats] = await Promise.all([startPostgres({ major: 17, own: true }), startNats({ own: true })]);
    database = await postgres.createDatabase();
    await postgres.query(
      'CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders VALUES (1), (2); CREATE TABLE lines (id int PRIMARY KEY); INSERT INTO lines VALUES (1)',
      database,
    );
    // The daemon begins with no connector at all: the API is there to create them.
    daemon = await Daemon.create([], {
      http: { listen: '127.0.0.1:0', token: TOKEN, readToken: READ_TOKEN },
      stored: { env: ['SHOP_*'], files: ['/nowhere/secrets'] },
    });
    daemon.start([], { SHOP_PASSWORD: SECRET, OTHER_SECRET: 'not-for-connectors' });
    api = await daemon.apiUrl();
  }, 240_000);

  afterAll(async () => {
    await daemon.dispose();
    await Promise.all([postgres.dispose(), nats.dispose()]);
  }, 60_000);

  async function http(method: string, path: string, body?: unknown, token = TOKEN): Promise<Answer> {
    const headers = { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) };
    const response = await fetch(`${api}${path}`, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    const text = await response.text();
    answers.push(text);
    return { status: response.status, text, body: JSON.parse(text) };
  }

  const config = (source: object = {}, more: object = {}): Record<string, unknown> => ({
    source: { type: 'postgres', url: postgres.url(database), password: SECRET, tables: ['public.orders'], ...source },
    sink: { type: 'nats', servers: [nats.url], stream: 'SHOP' },
    ...more,
  });
  const stored = (): string => join(daemon.dataDir, 'connectors', 'shop.json');
  // Its name is what it holds.
  const own = (): string => join(daemon.directory, 'connectors', 'my-own.json');
  /** Tables and ids of what stands in the stream, as `orders 1`. */
  const messages = async (): Promise<readonly string[]> => {
    const found: string[] = [];
    await readStream(nats.url, 'SHOP', ({ subject, value }) => void found.push(`${subject.split('.').at(-1)} ${String(value?.after?.['id'])}`)).catch(
      () => undefined,
    );
    return found.sort();
  };
  const arrive = (orders: number, lines: number): Promise<void> => {
    const rows = (table: string, count: number): string[] => Array.from({ length: count }, (_, index) => `${table} ${index + 1}`);
    return expect.poll(messages, { timeout: 30_000, interval: 250 }).toEqual([...rows('lines', lines), ...rows('orders', orders)]);
  };
  const state = async (): Promise<string> => (await http('GET', '/connectors/shop/status')).body.state;
  const runs = (): Promise<void> => expect.poll(state, { timeout: 30_000 }).toBe('running');

  it('begins without a connector, creates one, and shows it without its secret', async () => {
    expect((await http('GET', '/connectors')).body).toEqual([]);
    expect((await http('GET', '/connectors/shop')).status).toBe(404);
    const created = await http('POST', '/connectors', { name: 'shop', config: config() });
    expect(created.status).toBe(201);
    expect(created.body).toMatchObject({ name: 'shop', file: stored(), isStored: true, config: { source: { password: '***' } } });
    expect(created.body.problems.map(({ code, path }: { code: string; path: string }) => [code, path])).toEqual([
      ['SLUICE_CONFIG_SECRET_INLINE', 'source.password'],
    ]);
    await arrive(2, 0);
    await runs();
    expect((await stat(stored())).mode & 0o777).toBe(0o600);
    expect(await readFile(stored(), 'utf8')).toContain(SECRET);
    expect((await http('GET', '/connectors/shop/config', undefined, READ_TOKEN)).body).toEqual({ name: 'shop', ...config({ password: '***' }) });
    expect((await http('POST', '/connectors', { name: 'shop', config: config() })).body.code).toBe('SLUICE_CONNECTOR_EXISTS');
  }, 60_000);

  it.each([
    ['an unknown key', () => config({ bogus: 1 }), 'SLUICE_CONFIG_UNKNOWN_KEY', 'source.bogus'],
    ['a wrong type', () => config({ password: 4711 }), 'SLUICE_CONFIG_WRONG_TYPE', 'source.password'],
    ['a scheme that is none', () => config({ url: 'file:///etc/passwd' }), 'SLUICE_CONFIG_CHECK', 'source.url'],
    ['another name', () => config({}, { name: 'other' }), 'SLUICE_CONFIG_CHECK', 'name'],
    ['a variable that is not allowed', () => config({ password: '${env:OTHER_SECRET}' }), 'SLUICE_CONFIG_REACH', 'source.password'],
    ['a file that is not allowed', () => config({ password: '${file:/etc/passwd}' }), 'SLUICE_CONFIG_REACH', 'source.password'],
    [
      'a file outside, by way of the one that is',
      () => config({ password: '${file:/nowhere/secrets/../../etc/passwd}' }),
      'SLUICE_CONFIG_REACH',
      'source.password',
    ],
    [
      'the path of a key',
      () => config({ tls: { mode: 'verify-full', cert: '/nowhere/secrets/c.pem', key: '/etc/ssl/private/x.pem' } }),
      'SLUICE_CONFIG_REACH',
      'source.tls.key',
    ],
    [
      'a program',
      () => ({ ...config(), sink: { type: 'kafka', brokers: ['127.0.0.1:9'], sasl: { mechanism: 'oauthbearer', token: { command: ['/bin/sh'] } } } }),
      'SLUICE_CONFIG_REACH',
      'sink.sasl.token.command[0]',
    ],
    [
      'the address that hands out credentials',
      () => ({ ...config(), format: { type: 'avro', registry: { urls: ['http://169.254.169.254/'] } } }),
      'SLUICE_CONFIG_REACH',
      'format.registry.urls[0]',
    ],
  ])('refuses %s with its path, and what ran goes on', async (_, body, code, path) => {
    const before = await readFile(stored(), 'utf8');
    const refused = await http('PUT', '/connectors/shop/config', body());
    expect([refused.status, refused.body.code]).toEqual([400, 'SLUICE_CONFIG_INVALID']);
    expect(refused.body.problems).toEqual(expect.arrayContaining([expect.objectContaining({ code, path, remedy: expect.stringMatching(/\w/) })]));
    expect((await http('PUT', '/connectors/shop/config/validate', body())).body).toMatchObject({ isValid: false });
    expect(await readFile(stored(), 'utf8')).toBe(before);
    expect(await state()).toBe('running');
  });

  it('refuses what was shown in place of the secret, and names that would be paths', async () => {
    const { body: shown } = await http('GET', '/connectors/shop/config');
    const masked = await http('PUT', '/connectors/shop/config', shown);
    expect([masked.status, masked.body.code]).toEqual([400, 'SLUICE_CONNECTOR_MASKED']);
    expect(masked.body.message).toContain('source.password');
    for (const name of ['../shop', 'a/b', '.', 'Shop', 'x'.repeat(57)]) {
      const refused = await http('POST', '/connectors', { name, config: config() });
      expect([name, refused.status, refused.body.problems?.[0]?.path]).toEqual([name, 400, 'name']);
    }
    expect(await readdir(join(daemon.dataDir, 'connectors'))).toEqual(['shop.json']);
  });

  it('refuses a second one with the same slot; whoever may only look changes nothing', async () => {
    const twin = await http('POST', '/connectors', { name: 'twin', config: config({ slot: 'sluice_shop' }) });
    expect([twin.status, twin.body.problems[0].code]).toEqual([400, 'SLUICE_CONFIG_CLAIM']);
    // Also where its name comes before the other one's: the new one is at fault.
    expect((await http('POST', '/connectors', { name: 'a-twin', config: config({ slot: 'sluice_shop' }) })).status).toBe(400);
    for (const [method, path] of [
      ['POST', '/connectors'],
      ['PUT', '/connectors/shop/config'],
      ['PUT', '/connectors/shop/config/validate'],
      ['DELETE', '/connectors/shop'],
    ] as const)
      expect((await http(method, path, method === 'DELETE' ? undefined : {}, READ_TOKEN)).status).toBe(403);
    expect(await state()).toBe('running');
  });

  it('is changed: references stand as written, the table that is new arrives whole, and nothing comes twice', async () => {
    const changed = await http(
      'PUT',
      '/connectors/shop/config',
      config({ password: '${env:SHOP_PASSWORD}', tables: ['public.orders', 'public.lines'] }),
    );
    expect(changed.status).toBe(200);
    expect(changed.body.config.source.password).toBe('${env:SHOP_PASSWORD}');
    expect(changed.body.problems).toEqual([]);
    await arrive(2, 1);
    await runs();
    expect(daemon.log.some(({ msg }) => msg.includes('shop: restarted with other source.tables (public.lines is new)'))).toBe(true);
  }, 60_000);

  it('is there again after the process was killed', async () => {
    // A copy of which it is not saved that it is finished is begun anew: saving waits for 200 ms at most ("checkpoint").
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    await daemon.stop('SIGKILL');
    await postgres.query('INSERT INTO orders VALUES (3)', database);
    daemon.start([], { SHOP_PASSWORD: SECRET });
    api = await daemon.apiUrl();
    await runs();
    await arrive(3, 1);
  }, 60_000);

  it('gives way to a file of the configuration with its name, with a warning, and comes back after it', async () => {
    await writeFile(own(), JSON.stringify({ name: 'shop', ...config({ tables: ['public.orders', 'public.lines'] }, { batch: { maxRecords: 7 } }) }));
    await daemon.waitForLog(({ code }) => code === 'SLUICE_CONFIG_STORED_HIDDEN');
    await expect.poll(async () => (await http('GET', '/connectors/shop')).body.isStored, { timeout: 20_000 }).toBe(false);
    await runs();
    const { body: all } = await http('GET', '/connectors');
    expect(all).toMatchObject([{ name: 'shop', isStored: false, warnings: [{ code: 'SLUICE_CONFIG_STORED_HIDDEN' }] }]);
    expect((await sluice(['status', daemon.directory], { SHOP_PASSWORD: SECRET })).stdout).toContain('SLUICE_CONFIG_STORED_HIDDEN');
    for (const [method, path, body] of [
      ['PUT', '/connectors/shop/config', config()],
      ['POST', '/connectors', { name: 'shop', config: config() }],
      ['DELETE', '/connectors/shop', undefined],
    ] as const) {
      const refused = await http(method, path, body);
      expect([refused.status, refused.body.code]).toEqual([409, 'SLUICE_CONNECTOR_IN_FILE']);
      expect(refused.body.message).toContain(own());
    }
    // A file that cannot be read any more still has its name: what was created by the way does not take its place.
    await writeFile(own(), '{ "name": "shop", ');
    await daemon.waitForLog(({ msg }) => msg.includes('What ran by it goes on as it was.'));
    expect((await http('GET', '/connectors/shop')).body.isStored).toBe(false);
    await rm(own());
    await expect.poll(async () => (await http('GET', '/connectors/shop')).body.isStored, { timeout: 20_000 }).toBe(true);
    await runs();
    await postgres.query('INSERT INTO orders VALUES (4)', database);
    await arrive(4, 1);
  }, 90_000);

  it('is deleted: it ends, the answer says what stays, and one of its name goes on from there', async () => {
    const deleted = await http('DELETE', '/connectors/shop');
    expect(deleted.status).toBe(200);
    expect(deleted.body).toMatchObject({ name: 'shop', hasEnded: true });
    expect(deleted.body.remains.join('\n')).toMatch(
      /pg_drop_replication_slot\('sluice_shop'\)[\s\S]*DROP PUBLICATION IF EXISTS "sluice_shop"[\s\S]*goes on from there/,
    );
    expect(await readdir(join(daemon.dataDir, 'connectors'))).toEqual([]);
    expect((await http('GET', '/connectors')).body).toEqual([]);
    expect((await http('DELETE', '/connectors/shop')).status).toBe(404);
    const rows = await postgres.query("SELECT active FROM pg_replication_slots WHERE slot_name = 'sluice_shop'");
    expect(rows).toEqual([{ active: false }]);
    await postgres.query('INSERT INTO orders VALUES (5)', database);
    // By commands now.
    const file = join(daemon.directory, 'anew.json');
    const run = (...args: readonly string[]) => sluice(['connectors', ...args, daemon.directory], { SHOP_PASSWORD: SECRET });
    await writeFile(file, JSON.stringify({ name: 'shop', ...config({ bogus: 1 }) }));
    const refused = await run('create', '--file', file);
    expect([refused.exit, refused.stderr]).toEqual([2, expect.stringContaining('SLUICE_CONFIG_UNKNOWN_KEY')]);
    await writeFile(
      file,
      JSON.stringify({ name: 'shop', ...config({ password: '${env:SHOP_PASSWORD}', tables: ['public.orders', 'public.lines'] }) }),
    );
    expect(await run('validate', '--file', file)).toMatchObject({ exit: 0, stdout: 'valid\n' });
    expect((await run('create', '--file', file)).exit).toBe(0);
    await runs();
    await arrive(5, 1);
    expect((await run('show', '--connector', 'shop')).stdout).toContain('${env:SHOP_PASSWORD}');
    await http('PUT', '/connectors/shop/pause');
    const forgotten = await run('delete', '--connector', 'shop', '--forget-offsets');
    expect([forgotten.exit, forgotten.stdout]).toEqual([0, expect.stringContaining('are forgotten')]);
    const offsets = (await http('GET', '/offsets')).body as { connector: string; offset: unknown }[];
    expect(offsets.filter(({ offset }) => offset !== null)).toEqual([]);
    // One of its name is another one: nobody has paused it.
    expect((await http('POST', '/connectors', { name: 'shop', config: { ...config(), sink: { type: 'blackhole' } } })).status).toBe(201);
    await expect.poll(state, { timeout: 30_000 }).not.toMatch(/starting|retrying/);
    expect(await state()).not.toBe('paused');
    expect((await http('DELETE', '/connectors/shop')).status).toBe(200);
    expect(await daemon.stop()).toBe(0);
  }, 90_000);

  it('never told the secret: not in an answer, not in the log (I12)', () => {
    expect(answers.length).toBeGreaterThan(30);
    for (const text of [...answers, daemon.stderr]) {
      expect(text).not.toContain(SECRET);
      expect(text).not.toContain('not-for-connectors');
    }
  });
});
