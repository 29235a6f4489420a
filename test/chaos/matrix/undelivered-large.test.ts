/** Rows of 10 bytes to 20 MB, refused by policy, under kill -9 at random moments: nothing lost, doubled or out of order (I1, I3, I4). */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type KafkaServer, type NatsServer, type PostgresServer, startKafka, startNats, startPostgres } from '../../servers/index.ts';
import { availableKafkas } from '../../support/available-servers.ts';
import { sluice } from '../../support/cli.ts';
import { Daemon } from '../../support/daemon.ts';
import { kafkaLimited, type LimitedSink, natsLimited } from '../../support/limited-sinks.ts';

const LIMIT = 1_000_000;
const SIZES = [10, 10, 10, 10, 2_000, 600_000, 600_000, 900_000, 3_000_000, 20_000_000];
const KEYS = 7;
/** More of them to look for faults: SLUICE_SEEDS=1,2,3. */
const SEEDS = (process.env['SLUICE_SEEDS'] ?? '1').split(',').map(Number);
const ROUNDS = process.env['SLUICE_SEEDS'] === undefined ? 3 : 6;

/** mulberry32 */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

describe('large rows that are refused', () => {
  let postgres: PostgresServer;
  let nats: NatsServer;
  let kafka: KafkaServer | null = null;
  let daemon: Daemon | null = null;
  let count = 0;

  beforeAll(async () => {
    [postgres, nats] = await Promise.all([startPostgres({ major: 17, own: true }), startNats({ own: true, maxPayloadBytes: 64 * 1024 * 1024 })]);
    if (availableKafkas.length > 0) kafka = await startKafka({ own: true });
  });

  afterEach(async () => {
    await daemon?.dispose();
    daemon = null;
  });

  afterAll(() => Promise.all([postgres.dispose(), nats.dispose(), kafka?.dispose()]));

  interface Attack {
    readonly running: Daemon;
    readonly to: LimitedSink;
    /** Writes some versions, in transactions of one to four. */
    write(versions: number): Promise<void>;
    /** Of each key the versions as they were committed. */
    readonly committed: Record<number, number[]>;
    /** Of each key the versions as they stand in the sink. */
    stored(): Promise<Record<number, number[]>>;
    random(): number;
    /** kill -9 in a random moment, and a start. */
    kill(): Promise<void>;
    settled(): Promise<void>;
  }

  async function attack(kind: string, seed: number, options: Readonly<Record<string, unknown>>): Promise<Attack> {
    const name = `large${++count}`;
    const to =
      kind === 'nats'
        ? await natsLimited(nats, name.toUpperCase(), LIMIT)
        : await kafkaLimited(kafka as KafkaServer, name, kind, { partitions: 2, limit: LIMIT });
    const database = await postgres.createDatabase(name);
    await postgres.query('CREATE TABLE t (id bigint PRIMARY KEY, n int NOT NULL, v text NOT NULL)', database);
    const source = {
      type: 'postgres',
      url: postgres.url(database),
      tables: ['public.t'],
      slot: name,
      publication: name,
      snapshot: { mode: 'no_data' },
    };
    // A short life of what a dead client left behind: kafkajs waits for it at each start.
    const sink = kind === 'nats' ? to.sink : { ...to.sink, request: { timeout: '4s' } };
    const running = await Daemon.create([{ name: 'shop', source, sink, checkpoint: { maxDelay: '100ms' }, ...options }]);
    daemon = running;
    running.start();
    await running.waitForLog(({ msg }) => msg.startsWith('Streaming'));
    const random = randomOf(seed);
    const committed: Record<number, number[]> = {};
    let n = 0;
    const write = async (versions: number): Promise<void> => {
      for (const end = n + versions; n < end; ) {
        const statements: string[] = [];
        for (let each = 1 + Math.floor(random() * 4); each > 0 && n < end; each--) {
          const id = Math.floor(random() * KEYS);
          const length = SIZES[Math.floor(random() * SIZES.length)] as number;
          statements.push(`INSERT INTO t VALUES (${id}, ${n}, repeat('x', ${length})) ON CONFLICT (id) DO UPDATE SET n = ${n}, v = excluded.v`);
          committed[id] = [...(committed[id] ?? []), n++];
        }
        await postgres.query(`BEGIN; ${statements.join('; ')}; COMMIT`, database);
      }
    };
    const stored = async (): Promise<Record<number, number[]>> => {
      const found: Record<number, number[]> = {};
      for (const { row, n: version, destination } of await to.stored())
        if (row !== null && destination !== to.deadLetterTopic) found[row] = [...(found[row] ?? []), version as number];
      return found;
    };
    const kill = async (): Promise<void> => {
      await sleep(random() * 400);
      await running.stop('SIGKILL');
      running.start();
    };
    const settled = async (): Promise<void> => {
      const isStreaming = (): boolean => running.logSinceStart.some(({ msg }) => msg.startsWith('Streaming'));
      await expect.poll(isStreaming, { timeout: 60_000 }).toBe(true);
    };
    return { running, to, write, committed, stored, random, kill, settled };
  }

  const countOf = (found: Readonly<Record<number, number[]>>): number => Object.values(found).reduce((sum, all) => sum + all.length, 0);
  const cases = ['nats', ...(availableKafkas.length > 0 ? ['platformatic', 'kafkajs'] : [])].flatMap((kind) =>
    SEEDS.map((seed) => [kind, seed] as const),
  );

  it.each(cases)(
    '%s, seed %i: dead letters',
    async (kind, seed) => {
      const { running, to, write, committed, stored, kill, settled } = await attack(kind, seed, {
        onError: 'deadLetter',
        deadLetter: { maxPercent: 100 },
      });
      const list = async (): Promise<{ id: string; superseded: boolean }[]> =>
        JSON.parse((await sluice(['dlq', 'list', '--json', running.directory])).stdout) as { id: string; superseded: boolean }[];
      for (let round = 0; round < ROUNDS; round++) {
        await write(12);
        await kill();
        // Twice in a row: the place must not jump over what stands.
        if (round % 2 === 1) await kill();
      }
      await settled();
      await expect.poll(async () => countOf(await stored()) + (await list()).length, { timeout: 90_000, interval: 500 }).toBe(countOf(committed));
      const before = await stored();
      const letters = await list();
      expect(new Set(letters.map(({ id }) => id)).size).toBe(letters.length);
      const open = letters.filter(({ superseded }) => !superseded).length;
      for (const [id, versions] of Object.entries(before))
        expect(versions, `key ${id}`).toEqual(committed[Number(id)]?.filter((n) => versions.includes(n)));
      await to.allow();
      // Killed in the middle of it: at least once for a letter that was sent and not noted, and never over a newer version.
      const replay = sluice(['dlq', 'replay', '--all', running.directory]);
      await kill();
      await replay;
      await settled();
      await sluice(['dlq', 'replay', '--all', running.directory]);
      await expect.poll(async () => (await list()).filter(({ superseded }) => !superseded).length, { timeout: 60_000 }).toBe(0);
      const after = await stored();
      for (const [id, versions] of Object.entries(committed)) expect(after[Number(id)]?.at(-1), `key ${id}`).toBe(versions.at(-1));
      expect(open).toBeLessThanOrEqual(KEYS);
      expect(running.log.filter(({ level }) => level === 'error')).toEqual([]);
    },
    300_000,
  );

  it.each(cases)(
    '%s, seed %i: a stopped table',
    async (kind, seed) => {
      const { running, to, write, committed, stored, kill, settled } = await attack(kind, seed, { onError: 'stopTable' });
      const list = async (): Promise<{ state: string; messages: number | null }[]> =>
        JSON.parse((await sluice(['tables', 'list', '--json', running.directory])).stdout) as { state: string; messages: number | null }[];
      for (let round = 0; round < ROUNDS; round++) {
        await write(12);
        await kill();
        if (round % 2 === 1) await kill();
      }
      await settled();
      const waiting = async (): Promise<number> => (await list()).reduce((sum, { messages }) => sum + (messages ?? 0), 0);
      await expect.poll(async () => countOf(await stored()) + (await waiting()), { timeout: 90_000, interval: 500 }).toBe(countOf(committed));
      await to.allow();
      await expect.poll(async () => (await list()).every(({ messages }) => messages !== null), { timeout: 60_000 }).toBe(true);
      await sluice(['tables', 'resume', '--no-wait', '--table', 'public.t', running.directory]);
      for (let round = 0; round < 3; round++) {
        await kill();
        await write(6);
      }
      await settled();
      await expect.poll(list, { timeout: 90_000 }).toEqual([]);
      await expect.poll(async () => countOf(await stored()), { timeout: 90_000, interval: 500 }).toBe(countOf(committed));
      expect(await stored()).toEqual(committed);
      expect(running.log.filter(({ level }) => level === 'error')).toEqual([]);
    },
    300_000,
  );
});
