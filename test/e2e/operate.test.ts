/** A running daemon is paused, resumed and restarted, by commands and over HTTP, while rows come: nothing is lost, doubled or disordered by it (I1, I3, I4). */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NatsServer, type PostgresServer, startNats, startPostgres } from '../servers/index.ts';
import { sluice } from '../support/cli.ts';
import { readStream, StreamLedger } from '../support/stream-ledger.ts';
import { TpcbRun } from '../support/tpcb-run.ts';

interface Status {
  readonly name: string;
  readonly state: string;
  readonly tables: number;
  readonly figures: { readonly rows: number; readonly lagSeconds: number };
  readonly health: { readonly retainedBytes: number | null } | null;
  readonly error?: { readonly code: string };
}

const TOKEN = 'the-token-of-this-test';
const READ_TOKEN = 'the-token-to-look-with';

describe('operating a daemon', () => {
  let postgres: PostgresServer;
  let nats: NatsServer;
  let run: TpcbRun;
  let api: string;

  beforeAll(async () => {
    [postgres, nats] = await Promise.all([startPostgres({ major: 17, own: true, fsync: true }), startNats({ own: true })]);
    run = await TpcbRun.begin({
      postgres,
      name: 'bank',
      sink: { type: 'nats', servers: [nats.url], stream: 'BANK' },
      scale: 1,
      accounts: 1000,
      settings: { http: { listen: '127.0.0.1:0', token: TOKEN, readToken: READ_TOKEN }, shutdown: { timeout: '3s' } },
      ledger: async () => {
        const ledger = new StreamLedger();
        await readStream(nats.url, 'BANK', (message) => ledger.take(message));
        return ledger;
      },
    });
    api = await run.daemon.apiUrl();
  }, 240_000);

  afterAll(async () => {
    await run.dispose();
    await Promise.all([postgres.dispose(), nats.dispose()]);
  }, 60_000);

  async function http(method: string, path: string, token = TOKEN, body?: unknown): Promise<{ status: number; body: unknown }> {
    const headers = { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) };
    const response = await fetch(`${api}${path}`, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    return { status: response.status, body: await response.json() };
  }

  const status = async (): Promise<Status> => (await http('GET', '/connectors/bank/status')).body as Status;
  const becomes = (state: string): Promise<void> => expect.poll(async () => (await status()).state, { timeout: 20_000 }).toBe(state);
  const cli = async (verb: string): Promise<{ code: number; state: string }> => {
    const { exit: code, stdout } = await sluice([verb, '--json', run.daemon.directory]);
    return { code, state: (JSON.parse(stdout) as Status).state };
  };

  it('pauses, resumes and restarts under load, by commands and over HTTP; the tables are rebuilt exactly', async () => {
    const load = run.load();
    expect(await cli('pause')).toEqual({ code: 0, state: 'paused' });
    const before = (await status()).figures.rows;
    // Offsets may be looked at, and are not in use.
    expect((await http('GET', '/offsets')).status).toBe(200);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect((await status()).figures.rows).toBe(before);
    expect((await http('PUT', '/connectors/bank/resume')).status).toBe(200);
    await becomes('running');
    expect(await cli('restart')).toEqual({ code: 0, state: 'running' });
    expect((await http('POST', '/connectors/bank/restart')).status).toBe(200);
    await becomes('running');
    expect((await http('PUT', '/connectors/bank/pause')).status).toBe(200);
    await becomes('paused');
    // Whoever has paused it sees what that costs the server.
    await expect.poll(async () => (await status()).health?.retainedBytes ?? 0, { timeout: 45_000, interval: 500 }).toBeGreaterThan(100_000);
    // It stays paused over the death of the process.
    await run.daemon.stop('SIGKILL');
    run.daemon.start();
    api = await run.daemon.apiUrl();
    await becomes('paused');
    expect(await cli('resume')).toEqual({ code: 0, state: 'running' });
    await load.stop();
    await run.caughtUp(40_000);
    await run.check();
    const shown = await status();
    expect(shown).toMatchObject({ name: 'bank', state: 'running', tables: 4 });
    expect(shown.figures.rows).toBeGreaterThan(0);
  }, 120_000);

  it('a sink that confirms nothing holds a pause up no longer than shutdown.timeout, and what it had not confirmed comes once', async () => {
    const load = run.load();
    nats.signal('SIGSTOP');
    try {
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      expect(await cli('pause')).toEqual({ code: 0, state: 'paused' });
    } finally {
      nats.signal('SIGCONT');
    }
    await load.stop();
    expect(await cli('resume')).toEqual({ code: 0, state: 'running' });
    await run.caughtUp(40_000);
    await run.check();
  }, 90_000);

  it('an offset may be changed while its connector is paused, and not while it runs', async () => {
    const position = async (): Promise<string> => {
      const stored = (await http('GET', '/connectors/bank/offsets')).body as [{ offset: { position: { lsn: string } } }];
      return stored[0].offset.position.lsn;
    };
    const refused = await http('PUT', '/connectors/bank/offsets', TOKEN, { position: await position() });
    expect(refused).toMatchObject({ status: 409, body: { code: 'SLUICE_CONNECTOR_RUNNING' } });
    await http('PUT', '/connectors/bank/pause');
    await becomes('paused');
    const set = await http('PUT', '/connectors/bank/offsets', TOKEN, { position: await position() });
    expect(set).toMatchObject({ status: 200, body: { connector: 'bank' } });
    await http('PUT', '/connectors/bank/resume');
    await becomes('running');
  });

  it('one that has failed is told with cause and remedy, and restarted once that is mended', async () => {
    const { daemon } = run;
    await postgres.query("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = 'sluice_bank'");
    await http('PUT', '/connectors/bank/pause');
    await becomes('paused');
    await postgres.query("SELECT pg_drop_replication_slot('sluice_bank')");
    await http('PUT', '/connectors/bank/resume');
    // The only connector: the process ends with it.
    expect(await daemon.exit()).toBe(3);
    const { exit: code, stderr } = await sluice(['status', daemon.directory]);
    expect([code, stderr.includes('SLUICE_CONTROL_NO_DAEMON')]).toEqual([3, true]);
  }, 60_000);
});
