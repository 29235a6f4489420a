import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NatsServer, type PostgresServer, startNats, startPostgres } from '../servers/index.ts';
import { differencesOfTpcb } from '../support/compare-tpcb.ts';
import { Daemon } from '../support/daemon.ts';
import { readStream, StreamLedger } from '../support/stream-ledger.ts';
import { CREATE_TABLES, fillTables, startLoad, TPCB_TABLES } from '../support/tpcb.ts';

const ACCOUNTS = 2000;
const SCALE = 2;

function connector(name: string, postgres: PostgresServer, database: string, nats: NatsServer): { name: string } & Record<string, unknown> {
  return {
    name,
    source: {
      type: 'postgres',
      url: postgres.url(database),
      tables: TPCB_TABLES.map((table) => `public.${table}`),
      insertOnly: ['public.pgbench_history'],
      heartbeat: { interval: '1s' },
    },
    sink: { type: 'nats', servers: [nats.url], stream: name.toUpperCase() },
  };
}

describe('Postgres to NATS, the TPC-B-like load (I1, I2, I3, I4, I7)', () => {
  let postgres: PostgresServer;
  let nats: NatsServer;
  let daemon: Daemon | null = null;
  let database = '';

  beforeAll(async () => {
    [postgres, nats] = await Promise.all([startPostgres({ major: 17, own: true, fsync: true }), startNats({ own: true })]);
  }, 240_000);

  afterAll(async () => {
    await daemon?.dispose();
    await Promise.all([postgres.dispose(), nats.dispose()]);
  }, 60_000);

  async function begin(name: string): Promise<Daemon> {
    database = await postgres.createDatabase(name);
    await postgres.query(CREATE_TABLES, database);
    daemon = await Daemon.create([connector(name, postgres, database, nats)]);
    daemon.start();
    await daemon.waitForLog(({ msg }) => msg.startsWith('Streaming'));
    await postgres.query(fillTables(SCALE, ACCOUNTS), database);
    return daemon;
  }

  /** Waits until everything that is committed now is acknowledged to the slot, which is after it is durable and saved (I5). */
  async function caughtUp(name: string, timeoutMs: number): Promise<void> {
    const [{ lsn }] = (await postgres.query<{ lsn: string }>('select pg_current_wal_lsn()::text as lsn')) as [{ lsn: string }];
    const end = Date.now() + timeoutMs;
    for (;;) {
      const [row] = await postgres.query<{ done: boolean }>(
        `select confirmed_flush_lsn >= '${lsn}'::pg_lsn as done from pg_replication_slots where slot_name = 'sluice_${name}'`,
      );
      if (row?.done === true) return;
      if (Date.now() > end) throw new Error(`not caught up: ${JSON.stringify(daemon?.log.slice(-10), null, 1)}`);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  async function check(name: string): Promise<void> {
    const ledger = new StreamLedger();
    await readStream(nats.url, name.toUpperCase(), (message) => ledger.take(message));
    expect(await differencesOfTpcb(postgres, database, ledger)).toEqual([]);
    expect({ duplicates: ledger.duplicates, disordered: ledger.disordered }).toEqual({ duplicates: 0, disordered: 0 });
    expect(ledger.messages).toBeGreaterThan(SCALE * ACCOUNTS);
  }

  it('rebuilds the tables from the messages, and SIGTERM drains', async () => {
    const running = await begin('bank');
    const load = startLoad(postgres.url(database), { clients: 4, scale: SCALE, accounts: ACCOUNTS });
    await new Promise((resolve) => setTimeout(resolve, 4000));
    expect(await load.stop()).toBeGreaterThan(10);
    await caughtUp('bank', 20_000);
    expect(await running.stop('SIGTERM')).toBe(0);
    await check('bank');
    await running.dispose();
  }, 90_000);

  it('under kill -9 of the daemon at random moments and one restart each of Postgres and NATS: nothing lost, disordered or doubled', async () => {
    const running = await begin('crash');
    const load = startLoad(postgres.url(database), { clients: 4, scale: SCALE, accounts: ACCOUNTS });
    for (let kill = 0; kill < 6; kill++) {
      await new Promise((resolve) => setTimeout(resolve, 300 + Math.random() * 1500));
      await running.stop('SIGKILL');
      running.start();
      if (kill === 2) await postgres.restart('fast');
      if (kill === 4) await nats.restart('kill');
    }
    await load.stop();
    await caughtUp('crash', 40_000);
    expect(await running.stop('SIGTERM')).toBe(0);
    await check('crash');
    await running.dispose();
  }, 180_000);
});
