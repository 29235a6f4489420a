/** Tables that come to a connector that captures others: created, renamed, named in the configuration. They arrive whole, and nothing else is disturbed (I1, I4, I7, I10). */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type KafkaServer, type NatsServer, type PostgresServer, startKafka, startNats, startPostgres } from '../servers/index.ts';
import { availableKafkas, availableMajors } from '../support/available-servers.ts';
import { sluice } from '../support/cli.ts';
import { Daemon } from '../support/daemon.ts';
import { createTopic, readTopic } from '../support/kafka-topics.ts';
import { LONG } from '../support/long-form.ts';
import { Rebuild, type Rebuilt } from '../support/snapshot-check.ts';
import { fillSql, SNAPSHOT_TABLES, SnapshotLoad } from '../support/snapshot-load.ts';
import { readStream } from '../support/stream-ledger.ts';

const INITIAL = { mode: 'initial' };

interface Run {
  readonly daemon: Daemon;
  readonly sql: (text: string) => Promise<Record<string, unknown>[]>;
  readonly connector: { readonly name: string; readonly source: Record<string, unknown> } & Record<string, unknown>;
  readonly stream: string;
  readonly url: string;
  readonly database: string;
  readonly publication: string;
}

describe.each(availableMajors.filter((major) => major === 17 || (LONG && major === 14)))('PostgreSQL %i', (major) => {
  let postgres: PostgresServer;
  let nats: NatsServer;
  let daemon: Daemon | null = null;
  let load: SnapshotLoad | null = null;
  let count = 0;

  beforeAll(async () => {
    [postgres, nats] = await Promise.all([startPostgres({ major, own: true }), startNats({ own: true })]);
  });

  afterEach(async () => {
    await load?.stop();
    load = null;
    await daemon?.dispose();
    daemon = null;
  });

  afterAll(() => Promise.all([postgres.dispose(), nats.dispose()]));

  /** `rows` in three tables; nothing runs yet. */
  async function begin(source: object, rows = 1_000): Promise<Run> {
    const database = await postgres.createDatabase('new_tables');
    const stream = `NEW${major}_${++count}`;
    const sql = (text: string): Promise<Record<string, unknown>[]> => postgres.query(text, database);
    await sql(SNAPSHOT_TABLES);
    await sql(fillSql(rows));
    const name = `new${count}`;
    const all = { type: 'postgres', url: postgres.url(database), tables: ['public.*'], slot: name, publication: name, newTablesInterval: '300ms' };
    const sink = { type: 'nats', servers: [nats.url], stream, subject: `${stream}.{schema}.{table}` };
    const connector = { name: 'shop', source: { ...all, ...source }, sink, checkpoint: { maxDelay: '20ms' } };
    daemon = await Daemon.create([connector]);
    return { daemon, sql, connector, stream, url: postgres.url(database), database, publication: name };
  }

  const streaming = async ({ daemon: running }: Run): Promise<void> => {
    await expect.poll(() => running.logSinceStart.some(({ msg }) => msg.startsWith('Streaming')), { timeout: 30_000 }).toBe(true);
  };

  async function start(run: Run): Promise<void> {
    run.daemon.start();
    await streaming(run);
  }

  const copied = (run: Run, table: string): Promise<unknown> =>
    expect
      .poll(() => run.daemon.logSinceStart.some(({ msg }) => msg.startsWith(`Copied public.${table}:`)), { timeout: 60_000, interval: 50 })
      .toBe(true);

  const published = async ({ sql, publication }: Run): Promise<string[]> =>
    (await sql(`SELECT tablename::text AS name FROM pg_publication_tables WHERE pubname = '${publication}' ORDER BY 1`)).map(({ name }) =>
      String(name),
    );

  async function arrived(run: Run, table: string, fits: (row: Record<string, unknown>, op: string) => boolean): Promise<number> {
    let found = 0;
    await readStream(nats.url, run.stream, ({ subject, value }) => {
      if (subject.endsWith(`.${table}`) && value !== null && fits({ ...value.after }, value.op)) found++;
    });
    return found;
  }

  /** Until what was committed by now has arrived; then what came, against the source. */
  async function compare(run: Run, tables: readonly string[]): Promise<Rebuilt & { readonly twice: number }> {
    const id = 900_000_000 + ++count;
    await run.sql(`INSERT INTO t (id, n) VALUES (${id}, 0)`);
    await expect.poll(() => arrived(run, 't', (row) => row['id'] === id), { timeout: 60_000, interval: 300 }).toBeGreaterThan(0);
    const rebuild = new Rebuild();
    const ids = new Set<string>();
    const messages = await readStream(nats.url, run.stream, (message) => {
      ids.add(message.id);
      rebuild.add(message);
    });
    return { ...(await rebuild.finish(run.url, tables)), twice: messages - ids.size };
  }

  it('one that was created, filled and committed before it was found arrives whole, and its changes, under load', async () => {
    const run = await begin({ snapshot: { ...INITIAL, parallelism: 4 } }, 5_000);
    await start(run);
    await run.daemon.waitForLog(({ msg }) => msg === 'All tables are copied.');
    load = new SnapshotLoad(run.url, 2, 5_000);
    for (const name of ['late', 'later']) {
      await run.sql(`BEGIN; CREATE TABLE ${name} (id bigint PRIMARY KEY, v bigint NOT NULL DEFAULT nextval('versions'), n int NOT NULL);
        INSERT INTO ${name} (id, n) SELECT g, 0 FROM generate_series(1, 5000) g; COMMIT`);
      for (let n = 1; n <= 20; n++) {
        await run.sql(`UPDATE ${name} SET n = ${n}, v = nextval('versions') WHERE id % 50 = ${n % 50}; DELETE FROM ${name} WHERE id = ${n * 7}`);
      }
    }
    await copied(run, 'late');
    await copied(run, 'later');
    await load.stop();
    const { problems, readTwice, twice } = await compare(run, ['t', 'pair', 'quiet', 'late', 'later']);
    expect({ problems, readTwice, twice }).toEqual({ problems: [], readTwice: 0, twice: 0 });
    expect(run.daemon.log.filter(({ level }) => level === 'error' || level === 'warn').map(({ msg }) => msg)).toEqual([]);
  });

  it('without a first copy it arrives whole all the same, and only it; what was found while nothing ran, too', async () => {
    const run = await begin({ snapshot: { mode: 'no_data' } });
    await start(run);
    await run.sql('CREATE TABLE late (id int PRIMARY KEY, n int); INSERT INTO late SELECT g, 0 FROM generate_series(1, 500) g');
    await copied(run, 'late');
    await run.daemon.stop();
    await run.sql('CREATE TABLE later (id int PRIMARY KEY, n int); INSERT INTO later SELECT g, 0 FROM generate_series(1, 500) g');
    await start(run);
    await copied(run, 'later');
    const { problems, read } = await compare(run, ['late', 'later']);
    expect({ problems, read }).toEqual({ problems: [], read: { late: 500, later: 500 } });
  });

  it('kill -9 once the publication is altered: it is copied by the next start', async () => {
    const run = await begin({ snapshot: INITIAL });
    await start(run);
    await run.daemon.waitForLog(({ msg }) => msg === 'All tables are copied.');
    for (const name of ['one', 'two']) {
      await run.sql(`CREATE TABLE ${name} (id int PRIMARY KEY, n int); INSERT INTO ${name} SELECT g, 0 FROM generate_series(1, 3000) g`);
      while (!(await published(run)).includes(name)) await new Promise((resolve) => setTimeout(resolve, 5));
      await run.daemon.stop('SIGKILL');
      await run.sql(`UPDATE ${name} SET n = 1 WHERE id <= 100; DELETE FROM ${name} WHERE id > 2900`);
      await start(run);
      await expect.poll(() => arrived(run, name, ({ id }) => id === 2900), { timeout: 30_000 }).toBeGreaterThan(0);
    }
    const { problems, twice } = await compare(run, ['t', 'one', 'two']);
    expect({ problems, twice }).toEqual({ problems: [], twice: 0 });
  });

  it('one that is named in the configuration waits for open transactions; one that is not any more leaves the publication, and is copied when it is back', async () => {
    const run = await begin({ tables: ['public.t'], snapshot: INITIAL });
    await start(run);
    await run.daemon.waitForLog(({ msg }) => msg === 'All tables are copied.');
    await run.daemon.stop();
    const writer = await postgres.connect(run.database);
    await writer.query("BEGIN; UPDATE pair SET n = 7, v = nextval('versions') WHERE a = 1");
    await run.daemon.rewrite({ ...run.connector, source: { ...run.connector.source, tables: ['public.t', 'public.pair'] } });
    run.daemon.start();
    await run.daemon.waitForLog(({ code }) => code === 'SLUICE_PG_PUBLICATION_BUSY');
    expect(await published(run)).toEqual(['t']);
    await run.daemon.stop();
    await writer.query('COMMIT; BEGIN; UPDATE quiet SET n = 8 WHERE n = 1');
    await run.daemon.rewrite({ ...run.connector, source: { ...run.connector.source, tables: ['public.t', 'public.pair'] } });
    await start(run);
    await expect.poll(() => published(run)).toEqual(['pair', 't']);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(run.daemon.logSinceStart.some(({ msg }) => msg.startsWith('Copying public.pair'))).toBe(false);
    await writer.query("UPDATE pair SET n = 8, v = nextval('versions') WHERE a = 2; COMMIT");
    await writer.end();
    await copied(run, 'pair');
    expect((await compare(run, ['t', 'pair'])).problems).toEqual([]);
    await run.daemon.stop();
    await run.daemon.rewrite(run.connector);
    await start(run);
    expect(await published(run)).toEqual(['t']);
    const status = await sluice(['snapshot', 'status', '--json', run.daemon.directory]);
    expect((JSON.parse(status.stdout) as { table: string }[]).map(({ table }) => table)).toEqual(['public.t']);
    await run.sql("UPDATE pair SET n = 9, v = nextval('versions') WHERE a = 3");
    await run.daemon.stop('SIGKILL');
    await run.daemon.rewrite({ ...run.connector, source: { ...run.connector.source, tables: ['public.t', 'public.pair'] } });
    await start(run);
    await copied(run, 'pair');
    expect((await compare(run, ['t', 'pair'])).problems).toEqual([]);
  });

  it('one that may not be added, or has no replica identity, is said once and stops nothing, over a restart too; once that is mended it arrives whole (I10)', async () => {
    const run = await begin({ snapshot: INITIAL });
    const role = `owner${major}_${count}`;
    await run.sql(`CREATE ROLE ${role} LOGIN REPLICATION; GRANT ALL ON DATABASE ${run.database} TO ${role}; GRANT ALL ON SCHEMA public TO ${role};
      ALTER TABLE t OWNER TO ${role}; ALTER TABLE pair OWNER TO ${role}; ALTER TABLE quiet OWNER TO ${role}; GRANT pg_read_all_data TO ${role}`);
    await run.daemon.rewrite({ ...run.connector, source: { ...run.connector.source, url: run.url.replace('postgres@', `${role}@`) } });
    await start(run);
    await run.sql('CREATE TABLE foreigners (id int PRIMARY KEY, n int); INSERT INTO foreigners VALUES (1, 1)');
    await run.sql(`CREATE TABLE keyless (id int NOT NULL, n int); ALTER TABLE keyless OWNER TO ${role}; INSERT INTO keyless VALUES (1, 1)`);
    const refused = await run.daemon.waitForLog(({ table }) => table === 'public.foreigners');
    expect(refused).toMatchObject({ level: 'warn', code: 'SLUICE_PG_PUBLICATION_RIGHT' });
    await run.daemon.waitForLog(({ table, code }) => table === 'public.keyless' && code === 'SLUICE_PG_NO_REPLICA_IDENTITY');
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(run.daemon.log.filter(({ table }) => table === 'public.foreigners' || table === 'public.keyless')).toHaveLength(2);
    await run.daemon.stop();
    await start(run);
    expect(run.daemon.logSinceStart.filter(({ table }) => table === 'public.foreigners' || table === 'public.keyless')).toHaveLength(2);
    await run.sql(String(refused.remedy).replace('As the owner of the tables, run: ', ''));
    await run.sql('ALTER TABLE keyless ADD PRIMARY KEY (id)');
    await copied(run, 'foreigners');
    await copied(run, 'keyless');
    expect((await compare(run, ['t', 'foreigners', 'keyless'])).problems).toEqual([]);
  });

  it('one that has no replica identity does not keep a log from being begun anew ("when_needed")', async () => {
    const run = await begin({ snapshot: { mode: 'when_needed' } });
    await start(run);
    await run.sql('CREATE TABLE keyless (id int NOT NULL)');
    await run.daemon.waitForLog(({ table, code }) => table === 'public.keyless' && code === 'SLUICE_PG_NO_REPLICA_IDENTITY');
    await run.daemon.stop();
    await run.sql(`SELECT pg_drop_replication_slot('${run.publication}')`);
    await start(run);
    expect((await compare(run, ['t'])).problems).toEqual([]);
  });

  it('trap: a transaction that has written to it keeps it out of the publication: which of its rows the server sent would depend on where a session began (I1, I4)', async () => {
    const run = await begin({ snapshot: { mode: 'no_data' } });
    await start(run);
    const client = await postgres.connect(run.database);
    try {
      await run.sql(`CREATE TABLE late (id bigint PRIMARY KEY, v bigint NOT NULL DEFAULT nextval('versions'), n int NOT NULL)`);
      await client.query('BEGIN; INSERT INTO late (id, n) VALUES (1, 0); INSERT INTO quiet VALUES (gen_random_uuid(), 7)');
      const refused = await run.daemon.waitForLog(({ code }) => code === 'SLUICE_PG_NEW_TABLE_REFUSED');
      expect([refused['table'], refused.msg]).toEqual(['public.late', expect.stringContaining('55P03')]);
      // Writers of it wait for a moment at the most, now and then.
      await run.sql('INSERT INTO late (id, n) VALUES (2, 0)');
      expect(await published(run)).not.toContain('late');
      await client.query('INSERT INTO late (id, n) VALUES (3, 0); COMMIT');
    } finally {
      await client.end();
    }
    await expect.poll(() => published(run), { timeout: 20_000 }).toContain('late');
    await copied(run, 'late');
    const { problems, twice } = await compare(run, ['late']);
    expect([problems, twice]).toEqual([[], 0]);
  });

  it('one that is locked is tried again, and holds nothing back', async () => {
    const run = await begin({ snapshot: INITIAL });
    await start(run);
    await run.sql('CREATE TABLE locked (id int PRIMARY KEY, n int); INSERT INTO locked VALUES (1, 1)');
    const holder = await postgres.connect(run.database);
    await holder.query('BEGIN; LOCK TABLE locked IN SHARE UPDATE EXCLUSIVE MODE');
    await run.daemon.waitForLog(({ code, table }) => code === 'SLUICE_PG_NEW_TABLE_REFUSED' && table === 'public.locked');
    expect((await compare(run, ['t'])).problems).toEqual([]);
    await holder.query('COMMIT');
    await holder.end();
    await copied(run, 'locked');
    expect((await compare(run, ['t', 'locked'])).problems).toEqual([]);
  });

  it.each(['filtered', 'FOR ALL TABLES'])('"report" says it once and leaves it out, over a restart too, until it is named (%s)', async (kind) => {
    const run = await begin({ newTables: 'report', snapshot: INITIAL });
    if (kind !== 'filtered') await run.sql(`CREATE PUBLICATION ${run.publication} FOR ALL TABLES`);
    await start(run);
    await run.daemon.waitForLog(({ msg }) => msg === 'All tables are copied.');
    await run.sql('CREATE TABLE late (id int PRIMARY KEY, n int); INSERT INTO late VALUES (1, 1)');
    const said = await run.daemon.waitForLog(({ table }) => table === 'public.late');
    expect(said).toMatchObject({ level: 'warn', code: 'SLUICE_PG_NEW_TABLE', remedy: expect.stringContaining('Name it in "tables"') });
    await run.sql('INSERT INTO late VALUES (2, 2)');
    await run.daemon.stop();
    await start(run);
    await run.sql('INSERT INTO late VALUES (3, 3)');
    await compare(run, ['t']);
    expect(await arrived(run, 'late', () => true)).toBe(0);
    expect(run.daemon.log.filter(({ table }) => table === 'public.late')).toHaveLength(2);
    await run.daemon.stop();
    await run.daemon.rewrite({ ...run.connector, source: { ...run.connector.source, tables: ['public.*', 'public.late'] } });
    await start(run);
    await copied(run, 'late');
    expect((await compare(run, ['t', 'late'])).problems).toEqual([]);
  });

  it('renamed so that it matches, made anew under the same name, renamed away and back: it is copied anew', async () => {
    const run = await begin({ snapshot: INITIAL });
    await run.sql(
      'CREATE SCHEMA attic; CREATE TABLE attic.old (id int PRIMARY KEY, n int); INSERT INTO attic.old SELECT g, 0 FROM generate_series(1, 100) g',
    );
    await start(run);
    await run.daemon.waitForLog(({ msg }) => msg === 'All tables are copied.');
    await run.sql('ALTER TABLE attic.old SET SCHEMA public');
    await copied(run, 'old');
    expect((await compare(run, ['old'])).problems).toEqual([]);

    // Renamed away and back between two looks, with a change in between that nobody sent.
    const before = run.daemon.log.length;
    await run.sql('ALTER TABLE old SET SCHEMA attic; UPDATE attic.old SET n = 5 WHERE id = 5; ALTER TABLE attic.old SET SCHEMA public');
    await run.sql('ALTER TABLE old SET SCHEMA attic');
    await run.sql('UPDATE attic.old SET n = 6 WHERE id = 6');
    await run.sql('ALTER TABLE attic.old SET SCHEMA public; UPDATE old SET n = 7 WHERE id = 7');
    await expect.poll(() => run.daemon.log.slice(before).some(({ msg }) => msg.startsWith('Copied public.old:')), { timeout: 30_000 }).toBe(true);
    expect((await compare(run, ['old'])).problems).toEqual([]);

    await run.sql('BEGIN; DROP TABLE quiet; CREATE TABLE quiet (id uuid PRIMARY KEY, n int NOT NULL, extra text); COMMIT');
    await run.sql("INSERT INTO quiet SELECT md5(g::text)::uuid, g + 1, 'x' FROM generate_series(1, 500) g");
    await run.daemon.waitForLog(({ code, table }) => code === 'SLUICE_PG_TABLE_MADE_ANEW' && table === 'public.quiet');
    await expect.poll(() => arrived(run, 'quiet', ({ extra }, op) => extra === 'x' && op === 'r'), { timeout: 30_000 }).toBe(500);
    expect((await compare(run, ['t', 'pair', 'quiet', 'old'])).problems).toEqual([]);
  });

  it('with a publication FOR ALL TABLES a table that begins to match is copied too', async () => {
    const run = await begin({ snapshot: INITIAL });
    await run.sql(`CREATE PUBLICATION ${run.publication} FOR ALL TABLES`);
    await run.sql(
      'CREATE SCHEMA attic; CREATE TABLE attic.old (id int PRIMARY KEY, n int); INSERT INTO attic.old SELECT g, 0 FROM generate_series(1, 100) g',
    );
    await start(run);
    await run.daemon.waitForLog(({ msg }) => msg === 'All tables are copied.');
    await run.sql('ALTER TABLE attic.old SET SCHEMA public; CREATE TABLE late (id int PRIMARY KEY, n int); INSERT INTO late VALUES (1, 1)');
    await copied(run, 'old');
    await copied(run, 'late');
    expect((await compare(run, ['t', 'old', 'late'])).problems).toEqual([]);
  });

  it('a copy that cannot be read on from where it is (no key) is not begun anew for it', async () => {
    const run = await begin({ snapshot: INITIAL });
    await start(run);
    await run.daemon.waitForLog(({ msg }) => msg === 'All tables are copied.');
    const rows = 60_000;
    await run.sql(
      `BEGIN; CREATE TABLE pile (n int); ALTER TABLE pile REPLICA IDENTITY FULL; INSERT INTO pile SELECT generate_series(1, ${rows}); COMMIT`,
    );
    await run.daemon.waitForLog(({ msg }) => msg.startsWith('Copying public.pile'), 30_000);
    await run.sql('CREATE TABLE late (id int PRIMARY KEY); INSERT INTO late VALUES (1)');
    await run.daemon.waitForLog(({ msg }) => msg.startsWith('Copied public.late'), 60_000);
    await run.daemon.waitForLog(({ msg }) => msg.startsWith('Copied public.pile'), 60_000);
    await expect.poll(() => arrived(run, 'pile', (_, op) => op === 'r'), { timeout: 30_000, interval: 2_000 }).toBeGreaterThanOrEqual(rows);
    expect(await arrived(run, 'pile', (_, op) => op === 'r')).toBe(rows);
  });
});

describe.runIf(availableKafkas.length > 0)('a new table whose topic', () => {
  let postgres: PostgresServer;
  let kafka: KafkaServer;
  let daemon: Daemon | null = null;

  beforeAll(async () => {
    [postgres, kafka] = await Promise.all([startPostgres({ major: 17, own: true }), startKafka({ own: true })]);
  }, 240_000);

  afterEach(async () => {
    await daemon?.dispose();
    daemon = null;
  });

  afterAll(() => Promise.all([postgres.dispose(), kafka.dispose()]), 60_000);

  async function begin(name: string, sink: object): Promise<{ readonly daemon: Daemon; readonly sql: (text: string) => Promise<unknown> }> {
    const database = await postgres.createDatabase('topics');
    const sql = (text: string): Promise<unknown> => postgres.query(text, database);
    await sql('CREATE TABLE t (id int PRIMARY KEY)');
    const source = { type: 'postgres', url: postgres.url(database), tables: ['public.*'], slot: name, publication: name, newTablesInterval: '300ms' };
    daemon = await Daemon.create([{ name, source, sink: { type: 'kafka', brokers: kafka.brokers, ...sink }, checkpoint: { maxDelay: '20ms' } }]);
    daemon.start();
    await daemon.waitForLog(({ msg }) => msg.startsWith('Streaming'));
    return { daemon, sql };
  }

  const count = async (topic: string): Promise<number> => (await readTopic(kafka, topic)).length;

  it('may be made arrives whole in it', async () => {
    const run = await begin('made', { createTopics: true });
    await run.sql('CREATE TABLE late (id int PRIMARY KEY); INSERT INTO late SELECT generate_series(1, 100)');
    await run.daemon.waitForLog(({ msg }) => msg.startsWith('Copied public.late: 100 rows'), 30_000);
    await expect.poll(() => count('made.public.late'), { timeout: 20_000 }).toBe(100);
  });

  it('is missing and may not be made is left out alone, over a restart too, and arrives whole once the topic is there (I10)', async () => {
    await createTopic(kafka, 'kept.public.t');
    const run = await begin('kept', { createTopics: false });
    await run.sql('CREATE TABLE late (id int PRIMARY KEY); INSERT INTO late SELECT generate_series(1, 100)');
    const said = await run.daemon.waitForLog(({ table }) => table === 'public.late');
    expect([said.level, said.code]).toEqual(['warn', 'SLUICE_KAFKA_TOPIC_MISSING']);
    await run.daemon.stop();
    run.daemon.start();
    await expect.poll(() => run.daemon.logSinceStart.some(({ msg }) => msg.startsWith('Streaming')), { timeout: 30_000 }).toBe(true);
    await run.sql('INSERT INTO t VALUES (1)');
    await expect.poll(() => count('kept.public.t'), { timeout: 20_000 }).toBe(1);
    await createTopic(kafka, 'kept.public.late');
    await run.daemon.waitForLog(({ msg }) => msg.startsWith('Copied public.late: 100 rows'), 30_000);
    await expect.poll(() => count('kept.public.late'), { timeout: 20_000 }).toBe(100);
  });
});
