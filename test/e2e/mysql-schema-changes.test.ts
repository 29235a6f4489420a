/**
 * Debezium's schema-change events through the whole daemon, which is killed again and again while statements and rows come: each is told once, in order, and before each row
 * stands what its table was (I1, I3, I4).
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type KafkaServer, type MysqlServer, type NatsServer, startKafka, startMysql, startNats } from '../servers/index.ts';
import { availableKafkas, availableMysqls } from '../support/available-servers.ts';
import { Daemon } from '../support/daemon.ts';
import { createTopic, readTopic } from '../support/kafka-topics.ts';
import { type DebeziumValue, readStream } from '../support/stream-ledger.ts';

const KILLS = 4;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

interface Message {
  readonly topic: string;
  readonly id: string;
  readonly value: DebeziumValue | null;
}

interface Told {
  readonly ddl: string | null;
  readonly tableChanges: readonly { readonly table: { readonly columns: readonly { readonly name: string }[] } | null }[];
}

describe.each(availableMysqls)('schema changes of %s', (version) => {
  let server: MysqlServer;
  let nats: NatsServer;
  let kafka: KafkaServer | null = null;
  let daemon: Daemon | null = null;

  beforeAll(async () => {
    [server, nats, kafka] = await Promise.all([
      startMysql({ version, fsync: true }),
      startNats({ own: true }),
      availableKafkas.length > 0 ? startKafka() : null,
    ]);
  });
  afterEach(async () => {
    await daemon?.dispose();
    daemon = null;
  });
  afterAll(() => Promise.all([server.dispose(), nats.dispose(), kafka?.dispose()]));

  /** Statements that add and drop columns, with rows of three clients in between. */
  function startChanges(database: string): { stop(): Promise<readonly string[]> } {
    let isOver = false;
    const statements: string[] = [];
    const writer = async (number: number): Promise<void> => {
      const client = await server.connect(database);
      for (let turn = 0; !isOver; turn++) {
        await client.query(`INSERT INTO t (id) VALUES (${turn * 10 + number}); UPDATE t SET id = id + 1000000 WHERE id = ${turn * 10 + number}`);
        await pause(5);
      }
      await client.end();
    };
    const changer = async (): Promise<void> => {
      const client = await server.connect(database);
      for (let turn = 1; !isOver; turn++) {
        const statement = turn % 3 === 0 ? `ALTER TABLE t DROP COLUMN c${turn - 1}` : `ALTER TABLE t ADD COLUMN c${turn} int DEFAULT ${turn}`;
        await client.query(statement);
        statements.push(statement);
        await pause(Math.random() * 60);
      }
      await client.end();
    };
    const all = [writer(1), writer(2), writer(3), changer()];
    return {
      stop: async () => {
        isOver = true;
        await Promise.all(all);
        return statements;
      },
    };
  }

  /** Runs changes under kills, and reads until the last row has come; what is told is compared with the statements. */
  async function run(name: string, sink: object, read: () => Promise<readonly Message[]>): Promise<readonly Message[]> {
    const database = await server.createDatabase('shapes');
    await server.query('CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE the_end (id int PRIMARY KEY)', database);
    const source = {
      type: server.system,
      url: server.url(),
      tables: [`${database}.*`],
      snapshot: { mode: 'no_data' },
      heartbeat: { interval: '1s' },
    };
    // A checkpoint comes seldom: what stands in the sink is recognised there.
    daemon = await Daemon.create([{ name, source, sink, checkpoint: { maxDelay: '1s' }, batch: { maxRecords: 20 } }]);
    const running = daemon.start();
    await running.waitForLog(({ msg }) => msg.startsWith('Streaming'), 60_000);
    const changes = startChanges(database);
    for (let kill = 0; kill < KILLS; kill++) {
      await pause(400 + Math.random() * 600);
      await running.stop('SIGKILL');
      await pause(100);
      running.start();
    }
    await pause(500);
    const statements = await changes.stop();
    await server.query('INSERT INTO the_end VALUES (1)', database);
    let messages: readonly Message[] = [];
    for (const end = Date.now() + 40_000; !messages.some(({ topic }) => topic.endsWith('.the_end')); await pause(300)) {
      if (Date.now() > end) throw new Error(`it does not catch up: ${JSON.stringify(running.log.slice(-10), null, 1)}`);
      messages = await read();
    }
    expect(running.other).toEqual([]);
    const ids = messages.map(({ id }) => id);
    expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([]);
    expect(statements.length).toBeGreaterThan(10);
    const told = messages.filter(({ topic }) => topic === name).map(({ value }) => value as unknown as Told);
    expect(told.flatMap(({ ddl }) => ddl ?? [])).toEqual(statements);
    return messages;
  }

  it.each([true, false])(
    'are told once, in order and before their rows, over kill -9 (NATS, exclusive: %s)',
    async (exclusive) => {
      const name = `shop${exclusive ? 1 : 2}`;
      const stream = name.toUpperCase();
      const messages = await run(name, { type: 'nats', servers: [nats.url], stream, exclusive }, async () => {
        const found: Message[] = [];
        await readStream(nats.url, stream, ({ subject, id, value }) => void found.push({ topic: subject, id, value }), { headers: false });
        return found;
      });
      // Of the table, by what was told last.
      let columns: string | null = null;
      let rows = 0;
      const misfits: string[] = [];
      for (const { topic, value, id } of messages) {
        if (topic === name) columns = (value as unknown as Told).tableChanges[0]?.table?.columns.map((column) => column.name).join(',') ?? columns;
        if (!topic.endsWith('.t') || value === null || columns === null) continue;
        rows++;
        const shown = Object.keys(value.after ?? value.before ?? {}).join(',');
        if (shown !== columns) misfits.push(`${id}: ${shown}, where ${columns} was told`);
      }
      expect(misfits).toEqual([]);
      expect(rows).toBeGreaterThan(100);
    },
    120_000,
  );

  it.runIf(availableKafkas.length > 0)(
    'are told once and in order over kill -9, in Kafka',
    async () => {
      const broker = kafka as KafkaServer;
      const name = `shop-${version.replace('.', '-')}`;
      const topics = [name, `${name}.t`, `${name}.the_end`];
      // There from the start, so that each life writes more than topics.
      for (const topic of topics) await createTopic(broker, topic);
      await run(name, { type: 'kafka', brokers: broker.brokers, topic: '{connector}.{table}' }, async () => {
        const records = await Promise.all(topics.map(async (topic) => (await readTopic(broker, topic)).map((record) => ({ topic, ...record }))));
        return records.flat().map(({ topic, value, headers }) => ({
          topic,
          id: String(headers.find(([header]) => header === 'sluice.id')?.[1]),
          value: value === null ? null : (JSON.parse(value.toString('utf8')) as DebeziumValue),
        }));
      });
    },
    120_000,
  );

  it('are announced in our own words in every format, a TRUNCATE is none, and rules of compatibility hold', async () => {
    const database = await server.createDatabase('own');
    const source = { type: server.system, url: server.url(), tables: [`${database}.*`], snapshot: { mode: 'no_data' } };
    const connector = {
      name: 'own',
      source,
      format: { type: 'native' },
      sink: { type: 'stdout' },
      schemaChanges: { topic: '{connector}.schema-changes' },
    };
    daemon = await Daemon.create([{ ...connector, compatibility: { level: 'backward', action: 'stop' } }]);
    await server.query('CREATE TABLE t (id int PRIMARY KEY, v varchar(5))', database);
    daemon.start();
    await daemon.waitForLog(({ msg }) => msg.startsWith('Streaming'));
    await server.query(
      "INSERT INTO t VALUES (1, 'a'); TRUNCATE TABLE t; ALTER TABLE t ADD e enum('x', 'y'); INSERT INTO t VALUES (2, 'b', 'x'); ALTER TABLE t DROP v; ALTER TABLE t ADD n int; INSERT INTO t (id) VALUES (3)",
      database,
    );
    const running = daemon;
    const lines = (): readonly { topic: string; value: Record<string, unknown> }[] =>
      running.stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as { topic: string; value: Record<string, unknown> });
    await expect.poll(() => lines().length, { timeout: 20_000 }).toBeGreaterThanOrEqual(6);
    await pause(300);
    const shown = lines().map(({ topic, value }) =>
      topic.endsWith('.schema-changes')
        ? (value['changes'] as { kind: string; column: string }[]).map(({ kind, column }) => `${kind} ${column}`)
        : value['op'],
    );
    expect(shown).toEqual([[], 'create', 'truncate', ['columnAdded e'], 'create', ['columnAdded n', 'columnDropped v'], 'create']);
    expect(running.log.filter(({ level }) => level === 'error')).toEqual([]);
  });
});
