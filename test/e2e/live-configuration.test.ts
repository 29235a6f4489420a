/** The configuration is changed while the daemon runs: what is concerned follows, the others go on undisturbed, a wrong change is refused. */
import { readFile, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NatsServer, type PostgresServer, startNats, startPostgres } from '../servers/index.ts';
import { sluice } from '../support/cli.ts';
import { readStream, StreamLedger } from '../support/stream-ledger.ts';
import { TpcbRun } from '../support/tpcb-run.ts';

describe('a configuration that changes under load', () => {
  let postgres: PostgresServer;
  let nats: NatsServer;
  let run: TpcbRun;

  beforeAll(async () => {
    [postgres, nats] = await Promise.all([startPostgres({ major: 17, own: true, fsync: true }), startNats({ own: true })]);
    run = await TpcbRun.begin({
      postgres,
      name: 'bank',
      sink: { type: 'nats', servers: [nats.url], stream: 'BANK' },
      scale: 1,
      accounts: 1000,
      ledger: async () => {
        const ledger = new StreamLedger();
        await readStream(nats.url, 'BANK', (message) => ledger.take(message));
        return ledger;
      },
    });
    await postgres.query(
      'CREATE TABLE extra (id int PRIMARY KEY); INSERT INTO extra SELECT generate_series(1, 10); CREATE TABLE more (id int PRIMARY KEY); INSERT INTO more SELECT generate_series(1, 5)',
      run.database,
    );
  }, 240_000);

  afterAll(async () => {
    await run.dispose();
    await Promise.all([postgres.dispose(), nats.dispose()]);
  }, 60_000);

  const extra = (tables: readonly string[], more: object = {}) => ({
    name: 'extra',
    source: { type: 'postgres', url: postgres.url(run.database), tables },
    sink: { type: 'nats', servers: [nats.url], stream: 'EXTRA' },
    ...more,
  });
  const path = (): string => join(run.daemon.directory, 'connectors', 'extra.json');
  const said = (text: string): Promise<unknown> => run.daemon.waitForLog(({ msg }) => msg.includes(text), 30_000);
  const states = async (): Promise<Record<string, string>> => {
    const all = JSON.parse((await sluice(['status', '--json', run.daemon.directory])).stdout) as { name: string; state: string }[];
    return Object.fromEntries(all.map(({ name, state }) => [name, state]));
  };
  const messages = async (): Promise<number> => {
    let count = 0;
    await readStream(nats.url, 'EXTRA', () => void count++);
    return count;
  };

  it('a connector comes, gets a table more, is written wrongly, and goes; the other one has not even noticed', async () => {
    const load = run.load();
    await run.daemon.rewrite(extra(['public.extra']));
    await said('extra: started');
    await expect.poll(messages, { timeout: 30_000 }).toBe(10);

    await run.daemon.rewrite(extra(['public.extra', 'public.more']));
    await said('extra: restarted with other source.tables (public.more is new)');
    await expect.poll(messages, { timeout: 30_000 }).toBe(15);

    await writeFile(path(), '{ "name": "extra", ');
    await said('What ran by it goes on as it was.');
    expect(await states()).toEqual({ bank: 'running', extra: 'running' });
    await postgres.query('INSERT INTO more VALUES (6)', run.database);
    await expect.poll(messages, { timeout: 30_000 }).toBe(16);

    await unlink(path());
    await said('extra: ended');
    await expect.poll(states, { timeout: 30_000 }).toEqual({ bank: 'running' });

    // No file is right any more: the daemon that goes on can still be looked at.
    const bank = join(run.daemon.directory, 'connectors', 'bank.json');
    const right = await readFile(bank, 'utf8');
    await writeFile(bank, '{ "name": "bank", ');
    await run.daemon.waitForLog(({ msg }) => msg.includes('bank.json') && msg.includes('What ran by it goes on as it was.'), 30_000);
    expect(await states()).toEqual({ bank: 'running' });
    await writeFile(bank, right);

    await load.stop();
    await run.caughtUp(40_000);
    await run.check();
    const streams = run.daemon.log.filter(({ msg, connector }) => connector === 'bank' && msg.startsWith('Streaming'));
    expect(streams).toHaveLength(1);
  }, 150_000);

  it('a file that is wrong at the start leaves its connector out, until it is mended', async () => {
    expect(await run.daemon.stop()).toBe(0);
    await writeFile(path(), '{ "name": "extra", ');
    run.daemon.start();
    await said('This connector is left out.');
    await expect.poll(states, { timeout: 30_000 }).toEqual({ bank: 'running' });
    await run.daemon.rewrite(extra(['public.extra', 'public.more']));
    await expect.poll(states, { timeout: 30_000 }).toEqual({ bank: 'running', extra: 'running' });
  }, 90_000);
});
