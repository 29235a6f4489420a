/** A data directory that was lost: recognised by what the sink holds, and found again from there by the command that the error names (I1, I4, I8). */
import { mkdir, rm } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type MysqlServer, type NatsServer, startMysql, startNats } from '../servers/index.ts';
import { mysqlVariants } from '../support/available-servers.ts';
import { sluice } from '../support/cli.ts';
import { Daemon } from '../support/daemon.ts';
import { readStream } from '../support/stream-ledger.ts';

describe.each(mysqlVariants)('lost state of $title', ({ options }) => {
  let server: MysqlServer;
  let nats: NatsServer;
  let daemon: Daemon | null = null;

  beforeAll(async () => {
    [server, nats] = await Promise.all([startMysql({ ...options, own: true }), startNats({ own: true })]);
  });
  afterAll(async () => {
    await daemon?.dispose();
    await Promise.all([server.dispose(), nats.dispose()]);
  });

  it('is said, and goes on behind what the sink holds, each change once', async () => {
    const database = await server.createDatabase('shop');
    await server.query('CREATE TABLE t (id int PRIMARY KEY)', database);
    const source = { type: server.system, url: server.url(), tables: [`${database}.*`], snapshot: { mode: 'no_data' } };
    daemon = await Daemon.create([{ name: 'shop', source, sink: { type: 'nats', servers: [nats.url], stream: 'SHOP' }, batch: { maxRecords: 2 } }]);
    const ids = async (): Promise<unknown[]> => {
      const found: unknown[] = [];
      await readStream(nats.url, 'SHOP', ({ value }) => found.push(value?.after?.['id']));
      return found;
    };
    const write = (from: number) =>
      server.query(
        `INSERT INTO t VALUES (${from}); BEGIN; INSERT INTO t VALUES (${from + 1}), (${from + 2}); INSERT INTO t VALUES (${from + 3}); COMMIT`,
        database,
      );
    daemon.start();
    await daemon.waitForLog(({ msg }) => msg.startsWith('Streaming'));
    await write(1);
    await expect.poll(ids, { timeout: 10_000 }).toEqual([1, 2, 3, 4]);
    await daemon.stop('SIGKILL');
    await write(5);
    await rm(daemon.dataDir, { recursive: true });
    await mkdir(daemon.dataDir, { mode: 0o700 });
    daemon.start();
    expect(await daemon.exit()).toBe(3);
    const lost = daemon.logSinceStart.find(({ code }) => code === 'SLUICE_MYSQL_STATE_LOST');
    expect(lost?.remedy).toContain('sluice offsets recover --connector shop --from sink');
    const slot = await sluice(['offsets', 'recover', '--connector', 'shop', '--from', 'slot', daemon.directory]);
    expect([slot.exit, slot.stderr]).toEqual([expect.any(Number), expect.stringContaining('SLUICE_MYSQL_RECOVER')]);
    const recovered = await sluice(['offsets', 'recover', '--connector', 'shop', '--from', 'sink', daemon.directory]);
    expect([recovered.exit, recovered.stderr]).toEqual([0, '']);
    daemon.start();
    await write(9);
    await expect.poll(ids, { timeout: 20_000 }).toEqual(Array.from({ length: 12 }, (_, index) => index + 1));
    expect(await daemon.stop('SIGTERM')).toBe(0);
  });
});
