/** MySQL and MariaDB to NATS under load and kill -9: the stream rebuilds the tables, and every change finds the row as the change before it left it (I1, I3, I4, I7). */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type MysqlServer, type NatsServer, startMysql, startNats } from '../servers/index.ts';
import { mysqlVariants } from '../support/available-servers.ts';
import { Daemon } from '../support/daemon.ts';
import { readStream, type StoredMessage } from '../support/stream-ledger.ts';

type Row = Readonly<Record<string, unknown>>;

const CLIENTS = 4;
const ACCOUNTS = 200;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Four clients whose transactions change, add and delete rows, and keys; ones that the server's end breaks off are tried anew. */
function startLoad(server: MysqlServer, database: string): { stop(): Promise<number> } {
  let isOver = false;
  let committed = 0;
  const client = async (number: number): Promise<void> => {
    for (let turn = 0; !isOver; ) {
      try {
        const connection = await server.connect(database);
        for (; !isOver; turn++) {
          const id = 1 + ((turn * 7 + number * 13) % ACCOUNTS);
          await connection.query(
            `BEGIN; UPDATE accounts SET balance = balance + ${turn} WHERE id = ${id}; INSERT INTO history(account, note) VALUES (${id}, 'é${turn}');
             DELETE FROM history WHERE id % 5 = ${number} ORDER BY id LIMIT 1; UPDATE renamed SET id = id + 1000 WHERE id % 1000 = ${number};
             ${turn % 9 === 0 ? 'ROLLBACK' : 'COMMIT'}`,
          );
          committed++;
        }
        await connection.end();
      } catch {
        await pause(50);
      }
    }
  };
  const clients = Array.from({ length: CLIENTS }, (_, number) => client(number));
  return {
    stop: async () => {
      isOver = true;
      await Promise.all(clients);
      return committed;
    },
  };
}

/** Rebuilds the tables; what does not fit is kept. */
class Rebuilt {
  readonly tables = new Map<string, Map<string, Row>>();
  readonly misfits: string[] = [];
  readonly #ids = new Set<string>();
  hasEnd = false;

  take({ id, subject, key, value }: StoredMessage): void {
    if (this.#ids.has(id)) this.misfits.push(`${id} stands twice`);
    this.#ids.add(id);
    if (value === null) return;
    const table = subject.slice(subject.lastIndexOf('.') + 1);
    const rows = this.tables.get(table) ?? new Map<string, Row>();
    this.tables.set(table, rows);
    if (value.op === 'c' && table === 'the_end') this.hasEnd = true;
    const now = rows.get(key ?? '') ?? null;
    if (JSON.stringify(now) !== JSON.stringify(value.before)) this.misfits.push(`${id} ${value.op} of ${key}: ${JSON.stringify(now)}`);
    if (value.after === null) rows.delete(key ?? '');
    else rows.set(key ?? '', value.after);
  }
}

describe.each(mysqlVariants)('$title to NATS', ({ options }) => {
  let server: MysqlServer;
  let nats: NatsServer;
  let daemon: Daemon | null = null;

  beforeAll(async () => {
    [server, nats] = await Promise.all([startMysql({ ...options, fsync: true }), startNats({ own: true })]);
  });
  afterAll(async () => {
    await daemon?.dispose();
    await Promise.all([server.dispose(), nats.dispose()]);
  });

  async function read(): Promise<Rebuilt> {
    const rebuilt = new Rebuilt();
    await readStream(nats.url, 'SHOP', (message) => rebuilt.take(message), { headers: false });
    return rebuilt;
  }

  it('under kill -9 of the daemon and of the server: nothing lost, disordered or doubled', async () => {
    const database = await server.createDatabase('shop');
    await server.query(
      `CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL); CREATE TABLE renamed (id int PRIMARY KEY);
       CREATE TABLE history (id int AUTO_INCREMENT PRIMARY KEY, account int, note varchar(20)); CREATE TABLE the_end (id int PRIMARY KEY)`,
      database,
    );
    const source = {
      type: server.system,
      url: server.url(),
      tables: [`${database}.*`],
      snapshot: { mode: 'no_data' },
      heartbeat: { interval: '1s' },
    };
    // Batches that end inside transactions, so that kills find them there.
    daemon = await Daemon.create([{ name: 'shop', source, sink: { type: 'nats', servers: [nats.url], stream: 'SHOP' }, batch: { maxRecords: 3 } }]);
    daemon.start();
    await daemon.waitForLog(({ msg }) => msg.startsWith('Streaming'));
    const accounts = Array.from({ length: ACCOUNTS }, (_, index) => `(${index + 1}, 0)`).join(', ');
    await server.query(`INSERT INTO accounts VALUES ${accounts}; INSERT INTO renamed VALUES (0), (1), (2), (3)`, database);
    const load = startLoad(server, database);
    for (let kill = 0; kill < 5; kill++) {
      await pause(300 + Math.random() * 700);
      await daemon.stop('SIGKILL');
      daemon.start();
      if (kill === 1) await server.query('FLUSH BINARY LOGS');
      if (kill === 2) await server.restart('kill');
      if (kill === 3) await nats.restart('kill');
    }
    await pause(500);
    expect(await load.stop()).toBeGreaterThan(50);
    await server.query('INSERT INTO the_end VALUES (1)', database);
    let rebuilt = await read();
    for (const end = Date.now() + 40_000; !rebuilt.hasEnd; rebuilt = await read()) {
      if (Date.now() > end) throw new Error(`it does not catch up: ${JSON.stringify(daemon.log.slice(-10), null, 1)}`);
      await pause(300);
    }
    expect(await daemon.stop('SIGTERM')).toBe(0);
    expect(daemon.other).toEqual([]);
    expect(rebuilt.misfits).toEqual([]);
    for (const table of ['accounts', 'renamed', 'history']) {
      const rows = await server.query(`SELECT * FROM ${table} ORDER BY id`, database);
      const ours = [...(rebuilt.tables.get(table)?.values() ?? [])].sort((one, other) => Number(one['id']) - Number(other['id']));
      const text = (all: readonly Row[]) => all.map((row) => JSON.stringify(Object.values(row).map(String)));
      expect(text(ours)).toEqual(text(rows));
    }
  }, 120_000);
});
