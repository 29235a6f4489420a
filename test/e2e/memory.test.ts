/** One bound for the whole process (I9): the built daemon, two connectors, sinks that do not keep up. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NatsServer, type PostgresServer, startNats, startPostgres } from '../servers/index.ts';
import { Daemon } from '../support/daemon.ts';
import { type FaultLink, startLink } from '../support/fault-link.ts';
import { readStream } from '../support/stream-ledger.ts';

const MIB = 2 ** 20;
const ROWS = 100_000;
const BODY_BYTES = 1_400;
const NAMES = ['stuck', 'quick'] as const;

describe('maxMemory', () => {
  let postgres: PostgresServer;
  let nats: NatsServer;
  let daemon: Daemon | null = null;
  const links: FaultLink[] = [];

  beforeAll(async () => {
    [postgres, nats] = await Promise.all([startPostgres({ major: 17, own: true }), startNats({ own: true })]);
  }, 240_000);

  afterAll(async () => {
    await daemon?.dispose();
    for (const link of links) await link.close();
    await Promise.all([postgres.dispose(), nats.dispose()]);
  }, 60_000);

  async function metric(name: string, connector: string): Promise<number> {
    const text = await (await fetch(`${await (daemon as Daemon).healthUrl()}/metrics`)).text();
    return Number(new RegExp(`^${name}\\{connector="${connector}"\\} (.+)$`, 'm').exec(text)?.[1] ?? 0);
  }

  it('two connectors stay within it; a sink that takes next to nothing does not hold the other one back; all arrives', async () => {
    const databases: string[] = [];
    const connectors: { name: string; [option: string]: unknown }[] = [];
    for (const name of NAMES) {
      const database = await postgres.createDatabase(name);
      await postgres.query('CREATE TABLE big (id bigint PRIMARY KEY, body text)', database);
      databases.push(database);
      const link = await startLink(nats.url);
      links.push(link);
      connectors.push({
        name,
        source: { type: 'postgres', url: postgres.url(database), tables: ['public.big'], snapshot: { mode: 'no_data' } },
        sink: { type: 'nats', servers: [`nats://${link.address}`], stream: name.toUpperCase() },
      });
    }
    daemon = await Daemon.create(connectors, { maxMemory: '24MiB' });
    const running = daemon.start();
    for (const name of NAMES) await running.waitForLog(({ msg, connector }) => connector === name && msg.startsWith('Streaming'));
    const before = await running.residentBytes();
    const [stuck] = links as [FaultLink];
    stuck.bytesPerSecond = 100_000;
    const insert = `INSERT INTO big SELECT i, rpad(md5(i::text), ${BODY_BYTES}, 'x') FROM generate_series(1, ${ROWS}) i`;
    for (const database of databases) await postgres.query(insert, database);
    let buffers = 0;
    const until = Date.now() + 60_000;
    // About 170 MB for each: seven times what there is for both.
    while ((await metric('sluice_messages_total', 'quick')) < ROWS && Date.now() < until) {
      const held = await Promise.all(NAMES.map((name) => metric('sluice_buffer_bytes', name)));
      buffers = Math.max(
        buffers,
        held.reduce((sum, bytes) => sum + bytes, 0),
      );
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const peak = await running.residentBytes('VmHWM');
    const arrived = await Promise.all(NAMES.map((name) => metric('sluice_messages_total', name)));
    expect(arrived[1]).toBe(ROWS);
    expect(arrived[0]).toBeLessThan(ROWS / 2);
    // The budget and one batch of each; in the process also two windows of 8 MiB, and what the collector has not taken yet (on a busy machine it comes
    // late): less than one of the connectors has to carry.
    expect(buffers).toBeGreaterThan(8 * MIB);
    expect(buffers).toBeLessThan((24 + 2 * 4) * MIB);
    expect(peak - before).toBeLessThan(ROWS * BODY_BYTES + 24 * MIB);
    stuck.bytesPerSecond = Number.POSITIVE_INFINITY;
    while ((await metric('sluice_messages_total', 'stuck')) < ROWS && Date.now() < until + 60_000)
      await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await running.stop()).toBe(0);
    for (const name of NAMES) {
      let stands = 0;
      await readStream(nats.url, name.toUpperCase(), () => stands++);
      expect(stands).toBe(ROWS);
    }
  }, 170_000);
});
