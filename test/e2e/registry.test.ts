/** Avro and JSON Schema with a real registry: what an independent reader makes of the messages is what the server has, whatever becomes of the registry. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  type FaultProxy,
  type KafkaServer,
  type PostgresServer,
  type RegistryServer,
  startKafka,
  startPostgres,
  startProxy,
  startRegistry,
} from '../servers/index.ts';
import { availableKafkas, registryAvailable } from '../support/available-servers.ts';
import { losslessJson } from '../support/avro.ts';
import { sluice } from '../support/cli.ts';
import { Daemon } from '../support/daemon.ts';
import { createTopic, readTopic } from '../support/kafka-topics.ts';
import { type Decoded, RegistryReader, rowOf } from '../support/registry-reader.ts';

const COLUMNS = `id bigint PRIMARY KEY, b boolean, i2 smallint, i4 int NOT NULL DEFAULT 7, i8 bigint, f4 real, f8 double precision, n numeric(12,2), v numeric,
  t text, y bytea, d date, tm time, ts timestamp, tz timestamptz, u uuid, j jsonb, ai int[], at text[], e mood`;
const VALUES = `true, -32768, 2147483647, 9223372036854775807, 0.5, 0.1, -12345.67, 1.5, E'"\\\\ é😀\\n', '\\x000a0dff', '2024-02-29', '23:59:59.999999',
  '1969-12-31 23:59:59.999999', '2024-02-29 12:34:56.789012+00', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{"a": [1, null]}', '{1,NULL,-3}', '{a,NULL,"b,c"}', 'glad'`;
/** Nine changes: with the first shape, ten versions. */
const CHANGES = [
  'ALTER TABLE t ADD c1 text',
  'ALTER TABLE t ADD c2 int NOT NULL DEFAULT 5',
  'ALTER TABLE t RENAME c1 TO renamed',
  'ALTER TABLE t DROP f4',
  'ALTER TABLE t ALTER i2 TYPE int',
  'ALTER TABLE t ALTER n TYPE numeric(20,4)',
  'ALTER TABLE t ALTER i4 DROP NOT NULL',
  'ALTER TABLE t ADD c3 numeric(5,1)[]',
  'ALTER TABLE t DROP renamed',
];

describe.runIf(registryAvailable && availableKafkas.length > 0)('schema registry', () => {
  let postgres: PostgresServer;
  let kafka: KafkaServer;
  let registry: RegistryServer;
  let proxy: FaultProxy;
  let daemon: Daemon | null = null;
  let count = 0;

  beforeAll(async () => {
    [postgres, kafka, registry] = await Promise.all([startPostgres({ major: 17, own: true }), startKafka({ own: true }), startRegistry()]);
    proxy = await startProxy(registry.url);
  });

  afterEach(async () => {
    await daemon?.dispose();
    daemon = null;
    proxy.heal();
  });

  afterAll(() => Promise.all([postgres.dispose(), kafka.dispose(), registry.dispose(), proxy.close()]));

  async function begin(format: Record<string, unknown>, more: Record<string, unknown> = {}) {
    const name = `reg${++count}`;
    const database = await postgres.createDatabase(name);
    const sql = (text: string) => postgres.query<Record<string, unknown>>(text, database);
    await sql(`CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE TABLE t (${COLUMNS}); CREATE TABLE other (id int PRIMARY KEY, w int)`);
    for (const table of ['t', 'other']) await createTopic(kafka, `${name}.public.${table}`, { partitions: 1 });
    const source = { type: 'postgres', url: postgres.url(database), tables: ['public.*'], slot: name, publication: name };
    const urls = [proxy.through(registry.url)];
    const connector = {
      name,
      source,
      format: { ...format, registry: { urls, timeout: '1s' } },
      sink: { type: 'kafka', brokers: kafka.brokers },
      checkpoint: { maxDelay: '20ms' },
      ...more,
    };
    const running = await Daemon.create([connector]);
    daemon = running;
    running.start();
    await running.waitForLog(({ msg }) => msg.startsWith('Streaming'));
    const topic = (table: string): string => `${name}.public.${table}`;
    /** What stands in a table's topic, decoded; null: a tombstone. */
    const stored = async (table = 't'): Promise<(Decoded | null)[]> => {
      const reader = new RegistryReader(registry);
      return Promise.all((await readTopic(kafka, topic(table))).map(({ value }) => (value === null ? null : reader.decode(value))));
    };
    return { name, sql, running, stored, topic };
  }

  /** The source's rows by id, as the server prints them. */
  async function rows(sql: (text: string) => Promise<Record<string, unknown>[]>): Promise<unknown[]> {
    const found = await sql("SET TimeZone = 'UTC'; SELECT to_jsonb(whole)::text AS row FROM t whole ORDER BY id");
    return found.map(({ row }) => losslessJson(String(row).replaceAll(/": (-?\d)/g, '":$1')));
  }

  const insert = (id: number): string =>
    `INSERT INTO t (id, b, i2, i4, i8, f8, n, v, t, y, d, tm, ts, tz, u, j, ai, at, e) VALUES (${id}, ${VALUES.replace(' 0.5,', '')})`;

  it.each([
    ['avro', 'killed'],
    ['json-schema', 'cut off'],
  ])("%s: rows of all types in ten versions, the registry %s in the midst, are the source's (I1, I7, I11)", async (type, fault) => {
    const { sql, running, stored, name } = await begin({ type });
    const url = await running.healthUrl();
    const metric = async (line: string): Promise<boolean> => (await (await fetch(`${url}/metrics`)).text()).includes(line);
    const expected: unknown[] = [];
    for (const [index, change] of ['SELECT', ...CHANGES].entries()) {
      await sql(change);
      if (index === 4) {
        await expect.poll(async () => (await stored()).length, { timeout: 20_000 }).toBe(2 * index);
        const contents = fault === 'killed' ? await registry.take() : null;
        proxy.refuse();
        if (contents !== null) await registry.kill();
        await sql(insert(2 * index));
        await expect.poll(() => metric(`sluice_registry_circuit_state{connector="${name}",state="open"} 1`), { timeout: 20_000 }).toBe(true);
        if (contents !== null) {
          await registry.start();
          await registry.put(contents);
        }
        proxy.heal();
      } else await sql(insert(2 * index));
      await sql(`INSERT INTO t (id) VALUES (${2 * index + 1})`);
      expected.push(...(await rows(sql)).slice(-2));
    }
    await expect.poll(async () => (await stored()).length, { timeout: 20_000 }).toBe(20);
    const messages = (await stored()) as Decoded[];
    expect(messages.map((message) => normal(rowOf(message)))).toEqual(expected.map(normal));
    expect(new Set(messages.map(({ id }) => id)).size).toBe(10);
    expect(await metric(`sluice_registry_circuit_state{connector="${name}",state="closed"} 1`)).toBe(true);
    expect(running.log.filter(({ code }) => code === 'SLUICE_REGISTRY_UNREACHABLE')).toHaveLength(1);
    expect(running.log.filter(({ level }) => level === 'error')).toEqual([]);
  });

  it('a change that the registry refuses stops its table; resumed, what waited has its ids (I1, I3, I8)', async () => {
    const { sql, running, stored, topic } = await begin({ type: 'avro' });
    await sql(`${insert(1)}; INSERT INTO other VALUES (1, 1)`);
    await expect.poll(async () => (await stored()).length, { timeout: 20_000 }).toBe(1);
    await registry.ask(`config/${topic('t')}-value`, 'PUT', { compatibility: 'FULL' });
    await sql('ALTER TABLE t ALTER i8 TYPE text');
    await sql(`${insert(2)}; UPDATE t SET id = 9 WHERE id = 2; INSERT INTO other VALUES (2, 2)`);
    const line = await running.waitForLog(({ code }) => code === 'SLUICE_TABLE_STOPPED');
    expect(line.msg).toContain(`refuses the schema of public.t as a new version of subject "${topic('t')}-value"`);
    await expect.poll(async () => (await stored('other')).length, { timeout: 20_000 }).toBe(2);
    expect(await stored()).toHaveLength(1);
    const list = JSON.parse((await sluice(['tables', 'list', '--json', running.directory])).stdout) as unknown;
    expect(list).toMatchObject([{ table: 'public.t', state: 'stopped', code: 'SLUICE_REGISTRY_INCOMPATIBLE' }]);
    // Still refused: it stays stopped.
    expect((await sluice(['tables', 'resume', '--table', 'public.t', running.directory])).exit).not.toBe(0);
    expect(await stored()).toHaveLength(1);
    await registry.ask(`config/${topic('t')}-value`, 'PUT', { compatibility: 'NONE' });
    const resumed = await sluice(['tables', 'resume', '--table', 'public.t', running.directory]);
    expect([resumed.exit, resumed.stdout]).toEqual([0, 'public.t is live again.\n']);
    await sql('UPDATE t SET i2 = 3 WHERE id = 9');
    await expect.poll(async () => (await stored()).length, { timeout: 20_000 }).toBe(6);
    const messages = await stored();
    expect(messages.map((message) => message?.value.op ?? null)).toEqual(['c', 'c', 'd', null, 'c', 'u']);
    expect(messages.map((message) => (message === null ? null : (rowOf(message)?.i8 ?? null)))).toEqual([
      '9223372036854775807n',
      '9223372036854775807',
      null,
      null,
      '9223372036854775807',
      '9223372036854775807',
    ]);
    const keys = await readTopic(kafka, topic('t'));
    const reader = new RegistryReader(registry);
    expect(await Promise.all(keys.map(async ({ key }) => (await reader.decode(key as Buffer)).value.id))).toEqual([1, 2, 2, 2, 9, 9]);
    expect(
      keys
        .flatMap(({ headers }) => headers)
        .filter(([header]) => header.startsWith('__debezium'))
        .map(([header, value]) => [header, String(value)]),
    ).toEqual([
      ['__debezium.newkey', '{"id":9}'],
      ['__debezium.newkey', '{"id":9}'],
      ['__debezium.oldkey', '{"id":2}'],
    ]);
  });

  it('told to end while it waits for the registry it ends, and goes on at the next start (I1)', async () => {
    const { sql, running, stored } = await begin({ type: 'avro' });
    await sql(insert(1));
    await expect.poll(async () => (await stored()).length, { timeout: 20_000 }).toBe(1);
    proxy.refuse();
    await sql(`ALTER TABLE t ADD more int; ${insert(2)}`);
    await running.waitForLog(({ code }) => code === 'SLUICE_REGISTRY_UNREACHABLE');
    expect(await running.stop()).toBe(0);
    proxy.heal();
    running.start();
    await expect.poll(async () => (await stored()).map((message) => message?.value.op), { timeout: 20_000 }).toEqual(['c', 'c']);
  });

  it('where the file says "stop", it stops the connector, and says why', async () => {
    const { sql, running, stored, topic } = await begin({ type: 'json-schema' }, { compatibility: { action: 'stop' } });
    await sql(insert(1));
    await expect.poll(async () => (await stored()).length, { timeout: 20_000 }).toBe(1);
    await registry.ask(`config/${topic('t')}-value`, 'PUT', { compatibility: 'FULL' });
    await sql(`ALTER TABLE t ALTER i8 TYPE text; ${insert(2)}`);
    expect(await running.exit()).toBe(3);
    const [line] = running.log.filter(({ level }) => level === 'error');
    expect(line).toMatchObject({ code: 'SLUICE_REGISTRY_INCOMPATIBLE', table: 'public.t' });
  });
});

/** Numbers as the server prints them: numeric without a float's loss, floats in any form. */
function normal(row: unknown): unknown {
  if (Array.isArray(row)) return row.map(normal);
  if (typeof row === 'number') return String(row);
  if (typeof row !== 'object' || row === null) return typeof row === 'string' ? row.replace(/^(-?\d+)n$/, '$1') : row;
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, normal(value)]));
}
