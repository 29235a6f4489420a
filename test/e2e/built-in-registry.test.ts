/** The registry of the built daemon: what it answered is kept, whatever becomes of the process. */
import { afterEach, expect, it } from 'vitest';
import { startPostgres } from '../servers/index.ts';
import { freePort } from '../servers/process.ts';
import { avroJson, avroType, WIRE_PREFIX_BYTES } from '../support/avro.ts';
import { sluice } from '../support/cli.ts';
import { Daemon } from '../support/daemon.ts';
import { type Answer, ask } from '../support/registry-client.ts';

/** The source is not there, and is waited for: the registry is there all the same. */
const connector = {
  name: 'waiting',
  source: { type: 'postgres', url: 'postgres://nobody@127.0.0.1:1/none', tables: ['public.t'] },
  sink: { type: 'blackhole' },
};
const TOKEN = 'a-token-of-the-test';

let daemon: Daemon | null = null;
afterEach(async () => {
  await daemon?.dispose();
  daemon = null;
});

async function start(settings: Record<string, unknown>, environment: Record<string, string> = {}): Promise<Daemon> {
  daemon = await Daemon.create([connector], settings);
  return daemon.start([], environment);
}

async function registryUrl(running: Daemon): Promise<string> {
  return `${new URL(await running.apiUrl()).origin}/registry`;
}

const schema = (fields: number): object => ({
  schema: JSON.stringify({
    type: 'record',
    name: 'r',
    fields: Array.from({ length: fields }, (_, at) => ({ name: `f${at}`, type: 'int', default: 0 })),
  }),
});

it('keeps ids and versions through kill -9 between and within registrations, and gives none twice', async () => {
  const running = await start({ http: { listen: '127.0.0.1:0' }, registry: { enabled: true } });
  const answered = new Map<number, number>();
  let next = 1;
  for (let round = 0; round < 3; round++) {
    const base = await registryUrl(running);
    const under: Promise<void>[] = [];
    for (let asked = 0; asked < 15; asked++) {
      const fields = next++;
      under.push(
        ask(base, 'POST', '/subjects/s/versions', { body: schema(fields) }).then(
          ({ status, body }) => {
            expect(status).toBe(200);
            answered.set(fields, (body as { id: number }).id);
          },
          () => undefined,
        ),
      );
      // Killed when some were answered and others are under way.
      if (asked === 7) await under[2];
    }
    await Promise.race(under.slice(8));
    await running.stop('SIGKILL');
    await Promise.all(under);
    running.start();
  }
  expect(answered.size).toBeGreaterThan(10);
  const base = await registryUrl(running);
  expect(new Set(answered.values()).size).toBe(answered.size);
  for (const [fields, id] of answered) {
    const { body } = await ask(base, 'POST', '/subjects/s', { body: schema(fields) });
    expect(body).toMatchObject({ id });
    expect((await ask(base, 'GET', `/schemas/ids/${id}`)).body).toEqual(schema(fields));
  }
  const versions = (await ask(base, 'GET', '/subjects/s/versions')).body as number[];
  expect(versions).toEqual(versions.map((_, at) => at + 1));
  const { body } = await ask(base, 'POST', '/subjects/s/versions', { body: schema(next) });
  expect((body as { id: number }).id).toBeGreaterThan(Math.max(...answered.values()));
  expect(await running.stop()).toBe(0);
});

it('asks for the token of the configuration, and shows it nowhere (I12)', async () => {
  const settings = { http: { listen: '127.0.0.1:0', token: '${env:SLUICE_HTTP_TOKEN}' }, registry: { enabled: true } };
  const running = await start(settings, { SLUICE_HTTP_TOKEN: TOKEN });
  const base = await registryUrl(running);
  const answers: Answer[] = [
    await ask(base, 'GET', '/subjects'),
    await ask(base, 'GET', '/subjects', { headers: { authorization: `Bearer ${TOKEN}` } }),
  ];
  expect(answers.map(({ status }) => status)).toEqual([401, 200]);
  expect(await running.stop()).toBe(0);
  expect(JSON.stringify([running.stdout, running.stderr, answers])).not.toContain(TOKEN);
});

it('an address that is taken is said, with the code and the way out (exit 3)', async () => {
  const first = await start({ http: { listen: '127.0.0.1:0' }, registry: { enabled: true } });
  const { host } = new URL(await registryUrl(first));
  const second = await Daemon.create([connector], { http: { listen: host } });
  try {
    const { exit, stderr } = await sluice(['run', second.directory]);
    expect(exit).toBe(3);
    expect(stderr).toContain('SLUICE_HTTP_LISTEN');
    expect(stderr).toContain('SLUICE_HTTP');
  } finally {
    await second.dispose();
  }
});

it('is the registry of a connector of the same daemon: schemas stand in it, a change that it refuses stops the table, and kill -9 loses nothing', async () => {
  const postgres = await startPostgres({ major: 17, own: true });
  try {
    const database = await postgres.createDatabase('own');
    const sql = (text: string): Promise<unknown> => postgres.query(text, database);
    await sql('CREATE TABLE t (id int PRIMARY KEY, v text, n int NOT NULL DEFAULT 7)');
    const listen = `127.0.0.1:${await freePort()}`;
    daemon = await Daemon.create(
      [
        {
          name: 'own',
          source: { type: 'postgres', url: postgres.url(database), tables: ['public.t'], snapshot: { mode: 'no_data' } },
          format: { type: 'avro', registry: { urls: [`http://${listen}/registry`] } },
          sink: { type: 'stdout' },
          checkpoint: { maxDelay: '20ms' },
        },
      ],
      { http: { listen }, registry: { enabled: true } },
    );
    const running = daemon.start();
    const base = `http://${listen}/registry`;
    const streaming = (): Promise<unknown> =>
      expect.poll(() => running.logSinceStart.some(({ msg }) => msg.startsWith('Streaming')), { timeout: 20_000 }).toBe(true);
    /** Ids of rows, each read by the schema that the registry gives for its message. */
    const rows = async (): Promise<unknown[]> => {
      const messages = running.stdout.split('\n').filter((line) => line !== '');
      return Promise.all(
        messages.map(async (line) => {
          const bytes = Buffer.from((JSON.parse(line) as { value: string }).value, 'base64');
          const { body } = await ask(base, 'GET', `/schemas/ids/${bytes.readUInt32BE(1)}`);
          const value = avroJson(avroType((body as { schema: string }).schema), bytes.subarray(WIRE_PREFIX_BYTES));
          return (value as { after: { id: unknown } }).after.id;
        }),
      );
    };
    await streaming();
    await sql("INSERT INTO t VALUES (1, 'a'); ALTER TABLE t ADD w int; INSERT INTO t VALUES (2, 'b')");
    await expect.poll(rows, { timeout: 20_000 }).toEqual([1, 2]);
    expect((await ask(base, 'GET', '/subjects/own.public.t-value/versions')).body).toEqual([1, 2]);
    await running.stop('SIGKILL');
    // Rows of a column that the catalogue has as another one by now are of the version that they were: an allowed change stays one.
    await sql('INSERT INTO t VALUES (4); ALTER TABLE t ALTER n TYPE bigint; INSERT INTO t VALUES (5)');
    running.start();
    await streaming();
    await expect.poll(async () => new Set(await rows()), { timeout: 20_000 }).toEqual(new Set([1, 2, 4, 5]));
    expect((await ask(base, 'GET', '/subjects/own.public.t-value/versions')).body).toEqual([1, 2, 3]);
    await sql('ALTER TABLE t ALTER v TYPE int USING 1; INSERT INTO t VALUES (3)');
    await expect.poll(() => running.logSinceStart.some(({ code }) => code === 'SLUICE_TABLE_STOPPED'), { timeout: 20_000 }).toBe(true);
    await streaming();
    expect((await ask(base, 'PUT', '/config/own.public.t-value', { body: { compatibility: 'NONE' } })).status).toBe(200);
    expect((await sluice(['tables', 'resume', '--table', 'public.t', running.directory])).exit).toBe(0);
    await expect.poll(async () => new Set(await rows()), { timeout: 20_000 }).toEqual(new Set([1, 2, 3, 4, 5]));
  } finally {
    await daemon?.dispose();
    await postgres.dispose();
  }
});
