/** Copies from a standby, of what its primary has published: exact at the seam, with nothing written to either (I7). */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type NatsServer, type PostgresServer, startNats, startPostgres } from '../servers/index.ts';
import { copyPostgres } from '../servers/postgres-copy.ts';
import { sluice } from '../support/cli.ts';
import { Daemon } from '../support/daemon.ts';
import { LONG } from '../support/long-form.ts';
import { rebuildFromStream } from '../support/snapshot-check.ts';
import { fillSql, SNAPSHOT_TABLES, SnapshotLoad } from '../support/snapshot-load.ts';
import { readStream } from '../support/stream-ledger.ts';

const TABLES = ['t', 'pair', 'quiet'];

describe('copies from a standby', () => {
  let primary: PostgresServer;
  let standby: PostgresServer | null = null;
  let nats: NatsServer;
  let daemon: Daemon | null = null;
  let load: SnapshotLoad | null = null;
  /** A standby knows which transactions run only from what the primary writes of them now and then. */
  let telling: NodeJS.Timeout;

  beforeAll(async () => {
    [primary, nats] = await Promise.all([startPostgres({ major: 17, own: true }), startNats({ own: true })]);
    await primary.query(SNAPSHOT_TABLES);
    await primary.query(fillSql(20_000));
    await primary.query('CREATE PUBLICATION shop FOR TABLE t, pair, quiet');
    await primary.stop('fast');
    const settings = { primary_conninfo: `host=127.0.0.1 port=${primary.port} user=postgres`, hot_standby_feedback: 'on' };
    standby = await copyPostgres(primary, { standby: true, settings });
    await primary.start();
    await standby.start();
    telling = setInterval(() => void primary.query('SELECT pg_log_standby_snapshot()').catch(() => undefined), 500);
  });

  afterEach(async () => {
    await load?.stop();
    load = null;
    await daemon?.dispose();
    daemon = null;
  });

  afterAll(async () => {
    clearInterval(telling);
    await Promise.all([standby?.dispose(), nats.dispose()]);
    await primary.dispose();
  });

  it.each((['initial', 'beside the log'] as const).slice(0, LONG ? 2 : 1))('%s, under load on the primary and over kill -9', async (when) => {
    const name = when === 'initial' ? 'first' : 'beside';
    const stream = name.toUpperCase();
    const mode = when === 'initial' ? 'initial' : 'no_data';
    const source = {
      type: 'postgres',
      url: standby?.url(),
      tables: TABLES.map((table) => `public.${table}`),
      publication: 'shop',
      slot: name,
      snapshot: { mode },
    };
    const sink = { type: 'nats', servers: [nats.url], stream, subject: `${stream}.{schema}.{table}` };
    daemon = await Daemon.create([{ name: 'shop', source, sink, checkpoint: { maxDelay: '20ms' } }]);
    load = new SnapshotLoad(primary.url(), 2, 20_000);
    daemon.start();
    if (when !== 'initial') {
      // What was changed before is not in the stream: every table is copied.
      await daemon.waitForLog(({ msg }) => msg.startsWith('Streaming'), 60_000);
      const asked = await sluice(['snapshot', 'start', ...TABLES.flatMap((table) => ['--table', `public.${table}`]), daemon.directory]);
      expect(asked.exit, asked.stderr).toBe(0);
    }
    await daemon.waitForLog(({ msg }) => msg.startsWith('Copying public.t'), 60_000);
    await daemon.stop('SIGKILL');
    daemon.start();
    const { log } = daemon;
    await expect
      .poll(() => TABLES.every((table) => log.some(({ msg }) => msg.startsWith(`Copied public.${table}:`))), { timeout: 90_000 })
      .toBe(true);
    await load.stop();
    await primary.query('INSERT INTO t (id, n) VALUES (900000001, 0) ON CONFLICT (id) DO UPDATE SET n = t.n + 1');
    const arrived = async (): Promise<boolean> => {
      let found = false;
      await readStream(nats.url, stream, ({ value }) => {
        if (value?.op !== 'r' && value?.after?.['id'] === 900_000_001) found = true;
      });
      return found;
    };
    await expect.poll(arrived, { timeout: 60_000, interval: 500 }).toBe(true);
    const rebuilt = await rebuildFromStream(nats.url, stream, primary.url(), TABLES);
    expect(rebuilt.problems).toEqual([]);
    expect(rebuilt.read['quiet']).toBe(500);
  });
});
