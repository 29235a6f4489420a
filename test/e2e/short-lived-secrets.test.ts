/** Passwords and tokens that are exchanged while a daemon runs: each connection gets them anew, nothing restarts, and none is shown (security.md 11, 12, 26; I10, I12). */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  type KafkaServer,
  type MysqlServer,
  type NatsServer,
  type PostgresServer,
  startKafka,
  startMysql,
  startNats,
  startPostgres,
} from '../servers/index.ts';
import { availableKafkas, mysqlVariants } from '../support/available-servers.ts';
import { sluice } from '../support/cli.ts';
import { Daemon } from '../support/daemon.ts';
import { KAFKA_DRIVERS } from '../support/kafka-sinks.ts';
import { allow, readTopic } from '../support/kafka-topics.ts';
import { readStream } from '../support/stream-ledger.ts';

/** A secret that a program prints, which counts how often it was asked. */
class Printed {
  readonly #directory: string;
  readonly #name: string;
  /** All that were ever given. */
  readonly given: string[] = [];

  constructor(directory: string, name: string) {
    this.#directory = directory;
    this.#name = name;
  }

  async set(secret: string): Promise<void> {
    this.given.push(secret);
    await writeFile(this.path, `${secret}\n`, { mode: 0o600 });
  }

  get path(): string {
    return join(this.#directory, this.#name);
  }

  get credential(): { readonly command: readonly string[] } {
    return { command: ['/bin/sh', '-c', `echo run >> ${this.path}.runs; cat ${this.path}`] };
  }

  async runs(): Promise<number> {
    return (await readFile(`${this.path}.runs`, 'utf8').catch(() => '')).split('\n').length - 1;
  }
}

let directory: string;
let daemon: Daemon | null = null;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sluice-secrets-'));
});

afterEach(async () => {
  await daemon?.dispose();
  daemon = null;
});

afterAll(() => rm(directory, { recursive: true }));

/** Each secret is sought in everything that the daemon has said, and in what its commands say. */
async function showsNone(of: Daemon, secrets: readonly string[]): Promise<void> {
  const answers = [await sluice(['status', '--json', of.directory]), await sluice(['doctor', '--json', of.directory])];
  const said = [of.stderr, of.stdout, ...answers.flatMap(({ stdout, stderr }) => [stdout, stderr])].join('\n');
  for (const secret of secrets) expect(said.includes(secret), 'a secret was shown').toBe(false);
}

describe('PostgreSQL with a command, NATS with a file', () => {
  let postgres: PostgresServer;
  let nats: NatsServer;

  const users = (password: string): string =>
    `no_auth_user: reader\nauthorization { users: [{user: reader, password: r}, {user: sluice, password: "${password}"}] }`;

  beforeAll(async () => {
    [postgres, nats] = await Promise.all([startPostgres({ major: 17, password: true }), startNats({ config: users('nats-secret-1') })]);
  }, 120_000);

  afterAll(() => Promise.all([postgres.dispose(), nats.dispose()]));

  const messages = async (): Promise<number> => {
    let count = 0;
    await readStream(nats.url, 'SHOP', () => void count++);
    return count;
  };

  it('the password of both is exchanged: the log, its questions and the sink connect again with the new one', async () => {
    const [role, user] = [new Printed(directory, 'pg'), new Printed(directory, 'nats')];
    await role.set('pg-secret-1');
    await user.set('nats-secret-1');
    const database = await postgres.createDatabase();
    await postgres.query(
      `CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1); CREATE ROLE short LOGIN REPLICATION PASSWORD 'pg-secret-1';
       GRANT ALL ON SCHEMA public TO short; ALTER TABLE t OWNER TO short; GRANT CREATE ON DATABASE ${database} TO short`,
      database,
    );
    daemon = await Daemon.create(
      [
        {
          name: 'shop',
          source: {
            type: 'postgres',
            url: `postgres://short@${postgres.host}:${postgres.port}/${database}`,
            password: role.credential,
            tables: ['public.t'],
            heartbeat: { interval: '500ms' },
          },
          sink: { type: 'nats', servers: [nats.url], stream: 'SHOP', auth: { user: 'sluice', password: { file: user.path } } },
        },
      ],
      { log: { level: 'debug', format: 'json' } },
    );
    daemon.start();
    await expect.poll(messages, { timeout: 30_000 }).toBe(1);
    const before = await role.runs();
    expect(before).toBeGreaterThan(1);

    await postgres.query("ALTER ROLE short PASSWORD 'pg-secret-2'; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'short'");
    await role.set('pg-secret-2');
    await postgres.query('INSERT INTO t VALUES (2)', database);
    await expect.poll(messages, { timeout: 30_000 }).toBe(2);
    expect(await role.runs()).toBeGreaterThan(before + 1);

    const conf = join((nats.nodes[0] as NatsServer['nodes'][number]).directory, 'nats.conf');
    await writeFile(conf, (await readFile(conf, 'utf8')).replace('nats-secret-1', 'nats-secret-2'));
    await user.set('nats-secret-2');
    await nats.restart();
    await postgres.query('INSERT INTO t VALUES (3)', database);
    await expect.poll(messages, { timeout: 30_000 }).toBe(3);

    // Nothing was restarted for it: the configuration is what it was.
    expect(daemon.log.filter(({ msg }) => msg.includes('configuration has changed'))).toEqual([]);
    await showsNone(daemon, [...role.given, ...user.given]);
  }, 120_000);

  it('a command that fails is said without what it printed, and tried again until it gives the secret', async () => {
    const role = new Printed(directory, 'failing');
    const database = await postgres.createDatabase();
    await postgres.query('CREATE TABLE t (id int PRIMARY KEY)', database);
    const password = { command: ['/bin/sh', '-c', `cat ${role.path} || { echo canary-of-output; echo canary-of-output >&2; exit 7; }`] };
    daemon = await Daemon.create([
      {
        name: 'late',
        source: { type: 'postgres', url: postgres.url(database), password, tables: ['public.t'] },
        sink: { type: 'blackhole' },
      },
    ]);
    daemon.start();
    const { msg, remedy } = await daemon.waitForLog(({ code }) => code === 'SLUICE_CREDENTIAL_COMMAND');
    expect(msg).toContain('The program "/bin/sh" gave no secret: it ended with 7.');
    expect(remedy).toContain('Run its "command" by hand');
    expect(daemon.stderr).not.toContain('canary-of-output');
    await role.set('unused');
    await expect
      .poll(async () => (await sluice(['status', '--json', (daemon as Daemon).directory])).stdout, { timeout: 20_000 })
      .toContain('"running"');
  }, 60_000);
});

describe.each(mysqlVariants.slice(0, 2))('$title', ({ options }) => {
  let mysql: MysqlServer;

  beforeAll(async () => {
    mysql = await startMysql({ ...options, own: true });
  }, 120_000);

  afterAll(() => mysql.dispose());

  it('the password is exchanged: the log, its questions and copies connect with the new one', async () => {
    const account = new Printed(directory, options.version);
    await account.set('my-secret-1');
    await mysql.query(
      `CREATE DATABASE shop; CREATE TABLE shop.t (id int PRIMARY KEY); INSERT INTO shop.t VALUES (1); CREATE USER short@'%' IDENTIFIED BY 'my-secret-1';
       GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO short@'%'; GRANT SELECT ON shop.* TO short@'%'`,
    );
    daemon = await Daemon.create(
      [
        {
          name: 'shop',
          source: {
            type: mysql.system,
            url: `mysql://short@${mysql.host}:${mysql.port}`,
            password: account.credential,
            tables: ['shop.t'],
          },
          sink: { type: 'stdout' },
        },
      ],
      { log: { level: 'debug', format: 'json' } },
    );
    daemon.start();
    const rows = (): number => (daemon as Daemon).stdout.split('\n').filter((line) => line.includes('"topic":"shop.shop.t"')).length;
    await expect.poll(rows, { timeout: 30_000 }).toBe(1);
    const before = await account.runs();

    await mysql.query("ALTER USER short@'%' IDENTIFIED BY 'my-secret-2'");
    await account.set('my-secret-2');
    const sessions = await mysql.query<{ id: string }>("SELECT id FROM information_schema.processlist WHERE user = 'short'");
    for (const { id } of sessions) await mysql.query(`KILL ${id}`).catch(() => undefined);
    await mysql.query('INSERT INTO shop.t VALUES (2)');
    await expect.poll(rows, { timeout: 30_000 }).toBe(2);
    expect(await account.runs()).toBeGreaterThan(before);
    await showsNone(daemon, account.given);
  }, 120_000);
});

describe.runIf(availableKafkas.length > 0)('Kafka with OAUTHBEARER', () => {
  let postgres: PostgresServer;
  let kafka: KafkaServer;

  beforeAll(async () => {
    [postgres, kafka] = await Promise.all([startPostgres({ major: 17, own: true }), startKafka({ secure: true })]);
    await allow(kafka, {
      user: 'sluice',
      resource: 'topic',
      name: 'tokens-',
      prefix: true,
      operations: ['create', 'describe', 'describe-configs', 'write', 'read'],
    });
    await allow(kafka, { user: 'sluice', resource: 'group', name: 'sluice-', prefix: true, operations: ['read'] });
  }, 180_000);

  afterAll(() => Promise.all([postgres.dispose(), kafka.dispose()]));

  it.each(KAFKA_DRIVERS)(
    'tokens of 12 s: %s proves itself again before each ends (KIP-368), and after the broker was down for longer',
    async (driver) => {
      const token = new Printed(directory, `token-${driver}`);
      const renew = (): Promise<void> => token.set(kafka.token('sluice', 12));
      await renew();
      const renewing = setInterval(() => void renew(), 3_000);
      const name = `tokens-${driver}`;
      const database = await postgres.createDatabase();
      await postgres.query('CREATE TABLE t (id int PRIMARY KEY)', database);
      const tls = { ca: kafka.certificates?.ca };
      const sasl = { mechanism: 'oauthbearer', token: token.credential };
      daemon = await Daemon.create(
        [
          {
            name,
            source: { type: 'postgres', url: postgres.url(database), tables: ['public.t'] },
            sink: { type: 'kafka', driver, brokers: kafka.saslBrokers, tls, sasl, partitions: 1, replication: 1 },
          },
        ],
        { log: { level: 'debug', format: 'json' } },
      );
      daemon.start();
      const count = async (): Promise<number> => (await readTopic(kafka, `${name}.public.t`).catch(() => [])).length;
      try {
        await postgres.query('INSERT INTO t VALUES (0)', database);
        await expect.poll(count, { timeout: 40_000 }).toBe(1);
        const before = await token.runs();
        for (let id = 1; id <= 30; id++) {
          await postgres.query(`INSERT INTO t VALUES (${id})`, database);
          await sleep(1_000);
        }
        await expect.poll(count, { timeout: 20_000 }).toBe(31);
        // Two lives of a token at the least, on the connection that writes.
        expect(await token.runs()).toBeGreaterThanOrEqual(before + 2);
        expect(daemon.log.filter(({ level }) => level === 'error' || level === 'warn')).toEqual([]);

        const beforeStop = await token.runs();
        await kafka.stop();
        await postgres.query('INSERT INTO t VALUES (31)', database);
        await sleep(13_000);
        await kafka.start();
        await expect.poll(count, { timeout: 60_000 }).toBe(32);
        expect(await token.runs()).toBeGreaterThan(beforeStop);
        await showsNone(daemon, token.given);
      } finally {
        clearInterval(renewing);
      }
    },
    240_000,
  );
});
