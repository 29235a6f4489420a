/** `offsets set`, `reset`, `export` and `import`: looked at first, against what the source still has; nothing is changed without a word (I6), and nothing that would be a gap is taken (I8). */
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type MysqlServer, type NatsServer, type PostgresServer, startMysql, startNats, startPostgres } from '../servers/index.ts';
import { type Answer, sluice } from '../support/cli.ts';
import { Daemon } from '../support/daemon.ts';
import { readStream } from '../support/stream-ledger.ts';

interface Change {
  readonly connector: string;
  readonly isApplied: boolean;
  readonly before: { readonly lsn?: string } | null;
  readonly offset: { readonly position: { readonly lsn: string } } | null;
  readonly effects: readonly string[];
  readonly warnings?: readonly { readonly message: string }[];
}

describe('offsets that are changed by a word', () => {
  let postgres: PostgresServer;
  let mysql: MysqlServer;
  let nats: NatsServer;
  let database: string;
  let daemon: Daemon;
  let file: string;

  beforeAll(async () => {
    [postgres, mysql, nats] = await Promise.all([
      startPostgres({ major: 17, own: true }),
      startMysql({ version: 'mysql-9', own: true }),
      startNats({ own: true }),
    ]);
    database = await postgres.createDatabase();
    await postgres.query('CREATE TABLE t (id int PRIMARY KEY)', database);
    const source = { type: 'postgres', url: postgres.url(database), tables: ['public.t'] };
    daemon = await Daemon.create([{ name: 'shop', source, sink: { type: 'nats', servers: [nats.url], stream: 'SHOP' } }], {
      http: { listen: '127.0.0.1:0' },
    });
    file = join(daemon.directory, 'offsets.txt');
    expect(await daemon.start(['--once']).exit()).toBe(0);
    await postgres.query('INSERT INTO t VALUES (1), (2)', database);
    expect(await daemon.start(['--once']).exit()).toBe(0);
  }, 240_000);

  afterAll(async () => {
    await daemon.dispose();
    await Promise.all([postgres.dispose(), mysql.dispose(), nats.dispose()]);
  }, 60_000);

  const offsets = (...args: readonly string[]): Promise<Answer> => sluice(['offsets', ...args, daemon.directory]);
  const change = async (...args: readonly string[]): Promise<Change> => {
    const { exit, stdout, stderr } = await offsets(...args, '--json');
    expect([exit, stderr]).toEqual([0, '']);
    return JSON.parse(stdout) as Change;
  };
  const saved = async (): Promise<string | undefined> => {
    const [row] = JSON.parse((await offsets('show', '--json')).stdout) as { offset: { position: { lsn: string } } | null }[];
    return row?.offset?.position.lsn;
  };
  const lsn = async (): Promise<string> => {
    const [row] = await postgres.query<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn', database);
    return row?.lsn ?? '';
  };
  const ids = async (): Promise<unknown[]> => {
    const found: unknown[] = [];
    await readStream(nats.url, 'SHOP', ({ value }) => void found.push(value?.after?.['id']));
    return found;
  };

  it('set: without --yes it says how much is left out and changes nothing; with it, it does', async () => {
    const before = await saved();
    await postgres.query('INSERT INTO t VALUES (3)', database);
    const beyond = await lsn();
    const looked = await change('set', '--position', beyond);
    expect(looked).toMatchObject({ isApplied: false, before: { lsn: before }, offset: { position: { lsn: beyond } } });
    expect(looked.effects).toEqual([expect.stringMatching(/^\d+ bytes of log are left out: .* never sent\.$/)]);
    expect(await saved()).toBe(before);
    expect((await offsets('set', '--position', beyond)).stdout).toContain('Nothing was changed: add --yes to do it.');
    expect(await change('set', '--position', beyond, '--yes')).toMatchObject({ isApplied: true });
    expect(await saved()).toBe(beyond);
    // And back: the slot still has it, as nothing was read meanwhile.
    const back = await change('set', '--position', before ?? '', '--yes');
    expect(back.effects).toEqual([expect.stringMatching(/^\d+ bytes of log are read again/)]);
    expect(await daemon.start(['--once']).exit()).toBe(0);
    expect(await ids()).toEqual([1, 2, 3]);
  });

  it('set: what the slot does not have any more is refused, with --yes too', async () => {
    const before = await saved();
    for (const yes of [[], ['--yes']]) {
      const refused = await offsets('set', '--position', '0/100', ...yes);
      expect([refused.exit, refused.stderr]).toEqual([3, expect.stringContaining('SLUICE_PG_SLOT_AHEAD')]);
    }
    expect(await saved()).toBe(before);
  });

  it('export and import carry a connector into another data directory: nothing lost, nothing doubled (I1, I4)', async () => {
    const exported = await offsets('export');
    expect(exported.exit).toBe(0);
    const document = JSON.parse(exported.stdout) as { connectors: { position: object }[] };
    expect(document).toMatchObject({
      format: 'sluice-offsets',
      version: 1,
      connectors: [{ connector: 'shop', source: 'postgres', position: { lsn: await saved() }, place: { sequence: '3' } }],
    });
    await writeFile(file, exported.stdout);
    await rm(daemon.dataDir, { recursive: true });
    await postgres.query('INSERT INTO t VALUES (4)', database);
    const looked = await change('import', '--file', file);
    expect(looked).toMatchObject({
      isApplied: false,
      before: null,
      warnings: [{ message: expect.stringContaining('How far copies of tables had come is not known') }],
    });
    // Looking makes no data directory: it would belong to whoever looked.
    await expect(stat(daemon.dataDir)).rejects.toThrow('ENOENT');
    expect(await saved()).toBeUndefined();
    expect(await change('import', '--file', file, '--yes')).toMatchObject({ isApplied: true });
    expect(await daemon.start(['--once']).exit()).toBe(0);
    expect(await ids()).toEqual([1, 2, 3, 4]);
  });

  it.each([
    ['what a newer version wrote', { version: 2 }, 'SLUICE_OFFSETS_DOCUMENT', 2],
    ['what is none', { format: 'other' }, 'SLUICE_OFFSETS_DOCUMENT', 2],
    ['another connector', { connectors: [] }, 'SLUICE_OFFSETS_DOCUMENT', 2],
    ['another kind of source', { connectors: [{ connector: 'shop', source: 'mysql', position: { gtid: '' } }] }, 'SLUICE_OFFSETS_DOCUMENT', 2],
    ['numbers for texts', { connectors: [{ connector: 'shop', source: 'postgres', position: { lsn: 1 } }] }, 'SLUICE_OFFSETS_DOCUMENT', 2],
    [
      'the log of another server',
      { connectors: [{ connector: 'shop', source: 'postgres', position: { lsn: '0/FFFFFFF', timeline: '1', systemId: '1' } }] },
      'SLUICE_PG_OTHER_SYSTEM',
      3,
    ],
  ])('import refuses %s', async (_, changes, code, exit) => {
    const document = JSON.parse(await readFile(file, 'utf8')) as object;
    const other = join(daemon.directory, 'other.txt');
    await writeFile(other, JSON.stringify({ ...document, ...changes }));
    const before = await saved();
    const refused = await offsets('import', '--file', other, '--yes');
    expect([refused.exit, refused.stderr]).toEqual([exit, expect.stringContaining(code)]);
    expect(await saved()).toBe(before);
  });

  it('the same over HTTP, of a paused connector; reset says what it forgets', async () => {
    daemon.start();
    const api = await daemon.apiUrl();
    await daemon.waitForLog((line) => line.msg.startsWith('Streaming') && daemon.logSinceStart.includes(line));
    const http = async (method: string, path: string, body?: unknown) => {
      const more = body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
      const response = await fetch(`${api}/connectors/shop${path}`, { method, ...more });
      return { status: response.status, body: (await response.json()) as Change & { code?: string } };
    };
    const document = (await http('GET', '/offsets/export')).body;
    expect((await http('POST', '/offsets/import?dryRun=true', document)).body.code).toBe('SLUICE_CONNECTOR_RUNNING');
    expect((await http('PUT', '/pause')).status).toBe(200);
    await expect.poll(async () => ((await http('GET', '/status')).body as unknown as { state: string }).state).toBe('paused');
    const paused = (await http('GET', '/offsets/export')).body;
    expect((await http('POST', '/offsets/import?dryRun=true', paused)).body).toMatchObject({
      isApplied: false,
      effects: ['It is where the connector stands already.'],
    });
    expect((await http('PUT', '/offsets', { position: '0/100' })).body.code).toBe('SLUICE_PG_SLOT_AHEAD');
    expect((await http('PUT', '/offsets', { position: await lsn(), dryRun: 'true' })).body).toMatchObject({ isApplied: false });
    const looked = await http('DELETE', '/offsets?dryRun=true');
    expect(looked.body).toMatchObject({
      isApplied: false,
      offset: null,
      effects: [expect.stringContaining('first start'), expect.stringContaining('schema history')],
    });
    expect(await saved()).toBeDefined();
    expect((await http('DELETE', '/offsets')).body).toMatchObject({ isApplied: true });
    expect(await saved()).toBeUndefined();
    expect((await http('POST', '/offsets/import', paused)).body).toMatchObject({ isApplied: true });
    expect(await saved()).toBeDefined();
    expect(await daemon.stop()).toBe(0);
  }, 60_000);

  it('a server that is down is said, and the word of the operator holds', async () => {
    const position = await lsn();
    await postgres.stop();
    const looked = await change('set', '--position', position, '--yes');
    expect(looked).toMatchObject({ isApplied: true, warnings: [{ message: expect.stringContaining('could not be seen') }] });
    await postgres.start();
  }, 60_000);

  it('MySQL: an offset whose log was purged is refused; transactions are counted', async () => {
    const schema = await mysql.createDatabase('moved');
    await mysql.query('CREATE TABLE t (id int PRIMARY KEY)', schema);
    const source = { type: 'mysql', url: mysql.url(), tables: [`${schema}.t`], snapshot: { mode: 'no_data' } };
    const other = await Daemon.create([{ name: 'moved', source, sink: { type: 'blackhole' } }]);
    try {
      const of = (...args: readonly string[]): Promise<Answer> => sluice(['offsets', ...args, other.directory]);
      expect(await other.start(['--once']).exit()).toBe(0);
      await writeFile(file, (await of('export')).stdout);
      await mysql.query('INSERT INTO t VALUES (1); INSERT INTO t VALUES (2); INSERT INTO t VALUES (3)', schema);
      expect(await other.start(['--once']).exit()).toBe(0);
      const looked = await of('import', '--file', file, '--json');
      expect([looked.exit, looked.stderr]).toEqual([0, '']);
      expect((JSON.parse(looked.stdout) as Change).effects).toEqual([expect.stringMatching(/^3 transactions are read again/)]);
      await mysql.query('FLUSH BINARY LOGS; INSERT INTO t VALUES (4)', schema);
      const [now] = await mysql.query<{ File: string }>('SHOW BINARY LOG STATUS');
      await mysql.query(`PURGE BINARY LOGS TO '${now?.File ?? ''}'`);
      const refused = await of('import', '--file', file, '--yes');
      expect([refused.exit, refused.stderr]).toEqual([3, expect.stringContaining('SLUICE_MYSQL_')]);
      expect(refused.stderr).toMatch(/purged|PURGED/);
    } finally {
      await other.dispose();
    }
  }, 60_000);
});
