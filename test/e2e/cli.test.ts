/** The commands, as a person or a script uses them, with and without a daemon. */
import { rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { VERSION } from '../../src/version.ts';
import { type NatsServer, type PostgresServer, startNats, startPostgres } from '../servers/index.ts';
import { type Answer, sluice } from '../support/cli.ts';
import { Daemon } from '../support/daemon.ts';
import { readStream } from '../support/stream-ledger.ts';

interface Offset {
  readonly connector: string;
  readonly offset: { readonly position: { readonly lsn: string } } | null;
  readonly place: { readonly sequence: string } | null;
  readonly tables: number;
}

describe('help and version', () => {
  const commands = [
    [],
    ['run'],
    ['validate'],
    ['offsets'],
    ['offsets', 'show'],
    ['offsets', 'set'],
    ['offsets', 'reset'],
    ['offsets', 'export'],
    ['offsets', 'import'],
    ['connectors'],
    ['connectors', 'create'],
    ['connectors', 'configure'],
    ['connectors', 'validate'],
    ['connectors', 'show'],
    ['connectors', 'delete'],
    ['offsets', 'recover'],
    ['dlq'],
    ['dlq', 'list'],
    ['dlq', 'show'],
    ['dlq', 'replay'],
    ['dlq', 'discard'],
    ['version'],
  ];

  it.each(commands.map((command) => [['sluice', ...command].join(' '), command] as const))('%s --help has an example', async (name, command) => {
    const { exit, stdout, stderr } = await sluice([...command, '--help']);
    expect([exit, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(new RegExp(`\\nExamples?:\\n {2}\\$ .*${name}`));
  });

  it('version, for people and scripts', async () => {
    expect(await sluice(['version'])).toEqual({ exit: 0, stdout: `sluice ${VERSION} (node ${process.version})\n`, stderr: '' });
    expect(JSON.parse((await sluice(['version', '--json'])).stdout)).toEqual({ sluice: VERSION, node: process.version });
  });

  it('a wrong command line ends with 2 and says where help is', async () => {
    for (const wrong of [[], ['rn'], ['run', '--onec'], ['offsets', 'set'], ['offsets', 'recover', '--from', 'memory'], ['dlq', 'replay']]) {
      const { exit, stdout, stderr } = await sluice(wrong);
      expect([exit, stdout]).toEqual([2, '']);
      expect(stderr).toContain('--help');
    }
  });
});

describe('with servers', () => {
  let postgres: PostgresServer;
  let nats: NatsServer;
  let daemon: Daemon | null = null;
  let database: string;

  beforeAll(async () => {
    [postgres, nats] = await Promise.all([startPostgres({ major: 17, own: true }), startNats({ own: true })]);
  });

  afterAll(() => Promise.all([postgres?.dispose(), nats?.dispose()]));

  afterEach(async () => {
    await daemon?.dispose();
    daemon = null;
  });

  async function create(name: string, sink: Record<string, unknown>, settings: Record<string, unknown> = {}): Promise<Daemon> {
    database = await postgres.createDatabase(name);
    await postgres.query('CREATE TABLE orders (id int PRIMARY KEY, note text)', database);
    const source = { type: 'postgres', url: postgres.url(database), tables: ['public.orders'], snapshot: { mode: 'no_data' } };
    daemon = await Daemon.create([{ name, source, sink }], settings);
    return daemon;
  }

  const toNats = (stream: string): Record<string, unknown> => ({ type: 'nats', servers: [nats.url], stream });

  const insert = (from: number, to = from): Promise<unknown> =>
    postgres.query(`INSERT INTO orders SELECT g, 'note' FROM generate_series(${from}, ${to}) g`, database);

  /** Ids of the rows in the stream, in its order. */
  async function delivered(stream: string): Promise<number[]> {
    const ids: number[] = [];
    await readStream(nats.url, stream, ({ value }) => void ids.push(Number(value?.after?.['id'])));
    return ids;
  }

  async function shown(directory: string): Promise<Offset> {
    const { exit, stdout, stderr } = await sluice(['offsets', 'show', '--json', directory]);
    expect([exit, stderr]).toEqual([0, '']);
    const [offset, ...others] = JSON.parse(stdout) as Offset[];
    expect(others).toEqual([]);
    return offset as Offset;
  }

  function expectRefused({ exit, stdout, stderr }: Answer, code: string): void {
    expect([exit, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(new RegExp(`^error: .*\\.\\n {2}code: {3}${code}\\n {2}remedy: .*\\n$`));
  }

  it('validate: 0 for what can be run, 2 for what cannot; no server is asked and no secret needed', async () => {
    const { directory } = await create('checked', {
      type: 'nats',
      servers: ['nats://127.0.0.1:1'],
      stream: 'S',
      auth: { token: '${env:NO_SUCH_TOKEN}' },
    });
    expect(await sluice(['validate', directory])).toMatchObject({ exit: 0, stdout: expect.stringMatching(/is valid\nno errors\n$/), stderr: '' });
    expect((await sluice(['validate'], { SLUICE_CONFIG: directory })).exit).toBe(0);
    await writeFile(join(directory, 'connectors', 'other.json'), '{ "name": "other" }');
    expect((await sluice(['validate', directory])).exit).toBe(2);
    const json = await sluice(['validate', '--json', directory]);
    expect([json.exit, JSON.parse(json.stdout)]).toMatchObject([
      2,
      { valid: false, errors: expect.arrayContaining([expect.objectContaining({ code: 'SLUICE_CONFIG_MISSING', path: 'sink' })]) },
    ]);
    expect((await sluice(['validate', join(directory, 'nothing.json')])).exit).toBe(2);
  });

  it('run --once ends with 0 at the end of the log; nothing is delivered twice or left out (I1, I4)', async () => {
    const once = await create('once', { type: 'stdout' });
    expect(await once.start(['--once']).exit()).toBe(0);
    await insert(1, 500);
    expect(await once.start(['--once']).exit()).toBe(0);
    await insert(501);
    expect(await once.start(['--once']).exit()).toBe(0);
    expect(await once.start(['--once']).exit()).toBe(0);
    const ids = once.stdout
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { value: { after: { id: number } } }).value.after.id);
    expect(ids).toEqual(Array.from({ length: 501 }, (_, index) => index + 1));
  });

  it('offsets show asks the daemon, or the data directory; looking makes none', async () => {
    const running = await create('shown', toNats('SHOWN'));
    expect(await shown(running.directory)).toEqual({ connector: 'shown', offset: null, place: null, tables: 0 });
    await expect(stat(running.dataDir)).rejects.toThrow('ENOENT');
    running.start();
    await running.waitForLog(({ msg }) => msg.startsWith('Streaming'));
    await insert(1, 3);
    await expect.poll(async () => (await shown(running.directory)).place?.sequence, { timeout: 10_000 }).toBe('3');
    const before = await shown(running.directory);
    expect(await running.stop()).toBe(0);
    const after = await shown(running.directory);
    expect([after.tables, after.place]).toEqual([1, before.place]);
    const { stdout } = await sluice(['offsets', 'show', running.directory]);
    expect(stdout).toContain(`shown      lsn=${after.offset?.position.lsn} `);
  });

  it('an offset that a running connector moves cannot be changed under it', async () => {
    const running = await create('busy', toNats('BUSY'));
    running.start();
    await running.waitForLog(({ msg }) => msg.startsWith('Streaming'));
    for (const [verb, ...options] of [
      ['set', '--position', '0/1'],
      ['reset', '--yes'],
      ['recover', '--from', 'slot'],
    ] as [string, ...string[]][]) {
      expectRefused(await sluice(['offsets', verb, ...options, running.directory]), 'SLUICE_CONNECTOR_RUNNING');
    }
    expect(await running.stop()).toBe(0);
  });

  it('offsets set, of a stopped connector: what lies between is left out, on the word of the operator; reset forgets', async () => {
    const running = await create('moved', toNats('MOVED'));
    expect(await running.start(['--once']).exit()).toBe(0);
    await insert(1);
    const [{ lsn }] = (await postgres.query<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn', database)) as [{ lsn: string }];
    await insert(2);
    expectRefused(await sluice(['offsets', 'set', '--position', 'here', running.directory]), 'SLUICE_PG_POSITION');
    expectRefused(await sluice(['offsets', 'reset', '--connector', 'nobody', running.directory]), 'SLUICE_CONNECTOR_UNKNOWN');
    const set = await sluice(['offsets', 'set', '--connector', 'moved', '--position', lsn, '--yes', running.directory]);
    expect(set).toMatchObject({ exit: 0, stderr: '' });
    expect(set.stdout).toContain(`lsn=${lsn} `);
    expect((await shown(running.directory)).offset?.position.lsn).toBe(lsn);
    expect(await running.start(['--once']).exit()).toBe(0);
    expect(await delivered('MOVED')).toEqual([2]);
    const reset = await sluice(['offsets', 'reset', '--yes', '--json', running.directory]);
    expect([reset.exit, JSON.parse(reset.stdout)]).toMatchObject([0, { connector: 'moved', offset: null, place: null, tables: 0, isApplied: true }]);
  });

  it.each(['sink', 'slot'] as const)(
    'a lost data directory stops the start; offsets recover --from %s finds the place, nothing is lost or doubled (I1, I4, I8)',
    async (from) => {
      const stream = `LOST_${from.toUpperCase()}`;
      const running = await create(`lost${from}`, toNats(stream));
      expect(await running.start(['--once']).exit()).toBe(0);
      await insert(1, 20);
      expect(await running.start(['--once']).exit()).toBe(0);
      await rm(running.dataDir, { recursive: true });
      await insert(21, 30);

      expect(await running.start().exit()).toBe(3);
      const error = await running.waitForLog(({ level }) => level === 'error');
      expect(error).toMatchObject({ code: 'SLUICE_PG_OFFSET_MISSING', connector: `lost${from}` });
      // What the remedy names is a command line that works.
      expect(error.remedy).toContain(`sluice offsets recover --connector lost${from} --from sink`);
      const recovered = await sluice(['offsets', 'recover', '--connector', `lost${from}`, '--from', from, running.directory]);
      expect(recovered.exit).toBe(0);
      expect(recovered.stdout).toContain(`lost${from} `);
      expect(recovered.stdout).toMatch(/How far copies of tables had come is not known.*remedy: .*sluice snapshot start --table/s);
      expect(await running.start(['--once']).exit()).toBe(0);
      expect(await delivered(stream)).toEqual(Array.from({ length: 30 }, (_, index) => index + 1));
    },
  );

  it('SIGTERM finishes what is in flight and ends with 0', async () => {
    const running = await create('drained', toNats('DRAINED'));
    running.start();
    await running.waitForLog(({ msg }) => msg.startsWith('Streaming'));
    await insert(1, 5000);
    expect(await running.stop('SIGTERM')).toBe(0);
    expect(running.log.filter(({ level }) => level === 'warn' || level === 'error')).toEqual([]);
    // What was not taken any more comes at the next start.
    expect(await running.start(['--once']).exit()).toBe(0);
    expect(await delivered('DRAINED')).toEqual(Array.from({ length: 5000 }, (_, index) => index + 1));
  });

  it('a second SIGTERM stops at once, although the sink takes nothing', async () => {
    const running = await create('hasty', toNats('HASTY'), { shutdown: { timeout: '10m' } });
    running.start();
    await running.waitForLog(({ msg }) => msg.startsWith('Streaming'));
    const metrics = `${await running.healthUrl()}/metrics`;
    nats.signal('SIGSTOP');
    try {
      await insert(1, 100);
      await expect
        .poll(async () => /^sluice_in_flight_batches\{.*\} (\d+)$/m.exec(await (await fetch(metrics)).text())?.[1], { timeout: 10_000 })
        .not.toBe('0');
      running.signal('SIGTERM');
      await running.waitForLog(({ msg }) => msg.startsWith('Shutting down on SIGTERM'));
      running.signal('SIGTERM');
      expect(await running.exit()).toBe(0);
      await running.waitForLog(({ msg, level }) => level === 'warn' && msg.startsWith('Stopping at once: a second SIGTERM.'));
    } finally {
      nats.signal('SIGCONT');
    }
    expect(await running.start(['--once']).exit()).toBe(0);
    expect(await delivered('HASTY')).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
  });

  it('a running connector is ready once it streams, and steady running says nothing', async () => {
    const running = await create('steady', { type: 'blackhole' });
    running.start();
    await running.waitForLog(({ msg }) => msg.startsWith('Streaming'));
    const ready = `${await running.healthUrl()}/readyz`;
    await expect.poll(async () => (await fetch(ready)).status, { timeout: 3000 }).toBe(200);
    const said = running.log.length;
    for (let round = 0; round < 5; round++) await insert(round * 100 + 1, round * 100 + 100);
    await new Promise((resolve) => setTimeout(resolve, 2000));
    expect(running.log.slice(said)).toEqual([]);
    expect(running.stdout).toBe('');
    for (const { msg } of running.log) expect(msg).toMatch(/^["A-Z][\s\S]*[.!?]$/);
    expect(await running.stop('SIGINT')).toBe(0);
  });
});
