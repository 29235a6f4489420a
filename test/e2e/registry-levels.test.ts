/** Ten versions of a table under each level of compatibility: what is not allowed stops where it should, what is let through comes whole, and an independent reader makes the source's rows of it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type KafkaServer, type PostgresServer, type RegistryServer, startKafka, startPostgres, startRegistry } from '../servers/index.ts';
import { availableKafkas, registryAvailable } from '../support/available-servers.ts';
import { sluice } from '../support/cli.ts';
import { Daemon } from '../support/daemon.ts';
import { createTopic, readTopic } from '../support/kafka-topics.ts';
import { LONG } from '../support/long-form.ts';
import { RegistryReader, rowOf } from '../support/registry-reader.ts';

const ALL = ['none', 'backward', 'backward-transitive', 'forward', 'forward-transitive', 'full', 'full-transitive'] as const;
type Level = (typeof ALL)[number];
const LEVELS: readonly Level[] = LONG ? ALL : ['backward', 'full-transitive'];

/** What each change asks of a level: `b`, the new shape reads rows of the old; `f`, the reverse; `t`, also of all before it. */
interface Change {
  readonly sql: string;
  readonly avro: string;
  readonly jsonSchema: string;
}
const CHANGES: readonly Change[] = [
  { sql: 'ADD c1 text', avro: 'bft', jsonSchema: 'bt' },
  { sql: 'ADD c2 int NOT NULL DEFAULT 5', avro: 'bft', jsonSchema: 'bt' },
  { sql: 'ALTER i DROP NOT NULL', avro: 'bt', jsonSchema: 'bt' },
  { sql: 'ALTER s TYPE int', avro: 'bft', jsonSchema: 'bt' },
  { sql: 'ALTER i TYPE bigint', avro: 'bt', jsonSchema: 'bt' },
  { sql: 'DROP c1', avro: 'bft', jsonSchema: 'f' },
  // The rows of another version had a text of that name.
  { sql: 'ADD c1 int', avro: 'bf', jsonSchema: 'b' },
  { sql: 'ADD c3 timestamptz NOT NULL DEFAULT now()', avro: 'ft', jsonSchema: '' },
  { sql: 'ALTER n TYPE text', avro: '', jsonSchema: '' },
];

function isAllowed(level: Level, answer: string, isFirstSinceAnew: boolean): boolean {
  if (level === 'none') return true;
  const [direction] = level.split('-');
  const isOk = (direction === 'forward' || answer.includes('b')) && (direction === 'backward' || answer.includes('f'));
  return isOk && (!level.endsWith('transitive') || answer.includes('t') || isFirstSinceAnew);
}

describe.runIf(registryAvailable && availableKafkas.length > 0)('a registry and levels of compatibility', () => {
  let postgres: PostgresServer;
  let kafka: KafkaServer;
  let registry: RegistryServer;

  beforeAll(async () => {
    [postgres, kafka, registry] = await Promise.all([startPostgres({ major: 17, own: true }), startKafka({ own: true }), startRegistry()]);
  });

  afterAll(() => Promise.all([postgres.dispose(), kafka.dispose(), registry.dispose()]));

  const KINDS = [
    { type: 'avro', rules: 'avro' },
    { type: 'json-schema', rules: 'jsonSchema' },
  ] as const;

  it.each(LONG ? KINDS : KINDS.slice(0, 1))(
    '$type: each change stops the tables whose level does not allow it, and no other (I1, I3, I7, I11)',
    async ({ type, rules }) => {
      const name = rules.toLowerCase();
      const database = await postgres.createDatabase(name);
      const sql = (text: string) => postgres.query<Record<string, unknown>>(text, database);
      const tableOf = (level: Level): string => `of_${level.replace('-', '_')}`;
      for (const level of LEVELS) {
        await sql(`CREATE TABLE ${tableOf(level)} (id int PRIMARY KEY, s smallint NOT NULL, i int NOT NULL, n numeric(9,2))`);
        await createTopic(kafka, `${name}.public.${tableOf(level)}`, { partitions: 1 });
      }
      const source = {
        type: 'postgres',
        url: postgres.url(database),
        tables: ['public.*'],
        slot: name,
        publication: name,
        snapshot: { mode: 'no_data' },
      };
      const daemon = await Daemon.create([
        {
          name,
          source,
          format: { type, registry: { urls: [registry.url] } },
          sink: { type: 'kafka', brokers: kafka.brokers },
          checkpoint: { maxDelay: '20ms' },
          compatibility: { levels: Object.fromEntries(LEVELS.map((level) => [`public.${tableOf(level)}`, level])), rules },
        },
      ]);
      const ask = async (...args: string[]): Promise<unknown> => JSON.parse((await sluice([...args, '--json', daemon.directory])).stdout) as unknown;
      const stopped = async (): Promise<string[]> => ((await ask('tables', 'list')) as { table: string }[]).map(({ table }) => table).sort();
      try {
        daemon.start();
        await daemon.waitForLog(({ msg }) => msg.startsWith('Streaming'));
        const anew = new Map<Level, number>();
        for (const [index, change] of [null, ...CHANGES].entries()) {
          for (const level of LEVELS) {
            const table = tableOf(level);
            const alter = change === null ? '' : `ALTER TABLE ${table} ${change.sql};`;
            await sql(`${alter} INSERT INTO ${table} (id, s, i, n) VALUES (${index}, -7, ${index === 9 ? 'NULL' : 3}, '1.25')`);
          }
          const forbidden = LEVELS.filter((level) => change !== null && !isAllowed(level, change[rules], anew.get(level) === index - 1));
          const expected = forbidden.map((level) => `public.${tableOf(level)}`).sort();
          await expect.poll(stopped, { timeout: 30_000, message: change?.sql ?? 'the first shape' }).toEqual(expected);
          for (const level of forbidden) {
            expect(await ask('schema', 'accept', '--table', `public.${tableOf(level)}`)).toMatchObject({ isResumed: true });
            anew.set(level, index);
          }
          await expect.poll(stopped, { timeout: 30_000 }).toEqual([]);
          for (const level of LEVELS)
            await expect.poll(async () => (await readTopic(kafka, `${name}.public.${tableOf(level)}`)).length, { timeout: 30_000 }).toBe(index + 1);
        }
        for (const level of LEVELS) {
          const reader = new RegistryReader(registry);
          const messages = await readTopic(kafka, `${name}.public.${tableOf(level)}`);
          const decoded = await Promise.all(messages.map(({ value }) => reader.decode(value as Buffer)));
          const told = decoded.map((message) => rowOf(message) as Record<string, unknown>);
          expect(
            told.map(({ id, s, i, n }) => [id, s, i, n].map(String)),
            level,
          ).toEqual(Array.from({ length: 10 }, (_, id) => [String(id), '-7', id === 9 ? 'null' : '3', '1.25']));
          expect(new Set(decoded.map(({ id }) => id)).size, level).toBe(10);
        }
      } finally {
        await daemon.dispose();
      }
    },
  );
});
