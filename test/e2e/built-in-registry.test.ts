/** The registry of the built daemon: what it answered is kept, whatever becomes of the process. */
import { afterEach, expect, it } from 'vitest';
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
  const line = await running.waitForLog((one) => one.msg.startsWith('HTTP API on ') && running.logSinceStart.includes(one));
  return `${/http:\/\/[^ ]+/.exec(line.msg)?.[0]}/registry`;
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
