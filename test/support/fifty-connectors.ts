/** A daemon with fifty connectors: most of them well, and one in each of the ways in which a connector is not. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { type FaultProxy, type NatsServer, type PostgresServer, startNats, startPostgres, startProxy } from '../servers/index.ts';
import { sluice } from './cli.ts';
import { Daemon } from './daemon.ts';

export const WELL = 43;

/** What becomes of the others. */
export const TROUBLED = {
  unreachable: 'retrying',
  refused: 'failed',
  lost: 'failed',
  poisoned: 'failed',
  sinkless: 'retrying',
  stuck: 'running',
  resting: 'paused',
} as const;
type Trouble = keyof typeof TROUBLED;

export interface Delays {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly rows: number;
}

const LARGE = 40_000;

export class FiftyConnectors {
  readonly postgres: PostgresServer;
  readonly nats: NatsServer;
  readonly database: string;
  readonly daemon: Daemon;
  readonly #proxy: FaultProxy;
  readonly #watcher: NatsConnection;
  #nextId = 1;
  #arrived: { onRow: (table: string, id: number, delayMs: number) => void } = { onRow: () => undefined };

  private constructor(parts: {
    postgres: PostgresServer;
    nats: NatsServer;
    database: string;
    daemon: Daemon;
    proxy: FaultProxy;
    watcher: NatsConnection;
  }) {
    this.postgres = parts.postgres;
    this.nats = parts.nats;
    this.database = parts.database;
    this.daemon = parts.daemon;
    this.#proxy = parts.proxy;
    this.#watcher = parts.watcher;
    this.#watcher.subscribe('*.public.*', {
      callback: (_error, message) => {
        const now = (performance.timeOrigin + performance.now()) * 1000;
        const [, id, micros] = /"after":\{"id":(\d+).*?"ts_us":(\d+)/.exec(message.string()) ?? [];
        this.#arrived.onRow(message.subject, Number(id), (now - Number(micros)) / 1000);
      },
    });
  }

  /** Resolves when those that are well stream; the others have not begun. */
  static async begin(): Promise<FiftyConnectors> {
    const settings = { max_replication_slots: 60, max_wal_senders: 60, max_connections: 200 };
    const [postgres, nats] = await Promise.all([startPostgres({ major: 17, own: true, password: true, settings }), startNats({ own: true })]);
    const database = await postgres.createDatabase('fifty');
    const tables = [...wellNames(), ...Object.keys(TROUBLED)];
    await postgres.query(tables.map((name) => `CREATE TABLE ${name} (id int PRIMARY KEY, body text);`).join(''), database);
    await postgres.query("CREATE ROLE somebody LOGIN REPLICATION PASSWORD 'right'", database);
    const proxy = await startProxy(nats.url);
    const daemon = await Daemon.create(wellNames().map((name) => connector(name, postgres.url(database), nats.url)));
    const watcher = await connect({ servers: nats.url });
    const fleet = new FiftyConnectors({ postgres, nats, database, daemon, proxy, watcher });
    await watcher.flush();
    daemon.start();
    await fleet.until((states) => wellNames().every((name) => states[name] === 'running'));
    return fleet;
  }

  /** The states of all connectors, by name. */
  async states(): Promise<Record<string, string>> {
    const { stdout } = await sluice(['status', '--json', this.daemon.directory]);
    const all = JSON.parse(stdout) as { name: string; state: string }[];
    return Array.isArray(all) ? Object.fromEntries(all.map(({ name, state }) => [name, state])) : {};
  }

  async until(holds: (states: Record<string, string>) => boolean): Promise<void> {
    const end = Date.now() + 60_000;
    for (;;) {
      const states = await this.states();
      if (holds(states)) return;
      if (Date.now() > end)
        throw new Error(`they are ${JSON.stringify(states)}: ${JSON.stringify(this.daemon.log.filter(({ level }) => level === 'error'))}`);
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }

  /** Adds the troubled ones while the others run, and brings each into its trouble. */
  async trouble(): Promise<void> {
    const { postgres, nats, database } = this;
    const url = postgres.url(database);
    const streams = await jetstreamManager(this.#watcher);
    await streams.streams.add({ name: 'poisoned', subjects: ['poisoned.>'], max_msg_size: 10_000 });
    const files: Record<Trouble, object> = {
      unreachable: connector('unreachable', url.replace(`:${postgres.port}`, ':1'), nats.url),
      refused: connector('refused', postgres.url(database, { user: 'somebody', password: 'wrong' }), nats.url),
      lost: connector('lost', url, nats.url),
      poisoned: connector('poisoned', url, nats.url),
      sinkless: connector('sinkless', url, 'nats://127.0.0.1:1'),
      stuck: connector('stuck', url, this.#proxy.through(nats.url)),
      resting: connector('resting', url, nats.url),
    };
    for (const [name, file] of Object.entries(files))
      await writeFile(join(this.daemon.directory, 'connectors', `${name}.json`), JSON.stringify(file));
    const begun = ['lost', 'poisoned', 'stuck', 'resting'];
    await this.until((states) => begun.every((name) => states[name] === 'running') && states['refused'] === 'failed');
    await sluice(['pause', '--connector', 'resting', this.daemon.directory]);
    await sluice(['pause', '--connector', 'lost', this.daemon.directory]);
    await postgres.query("SELECT pg_drop_replication_slot('sluice_lost')");
    await sluice(['resume', '--connector', 'lost', '--no-wait', this.daemon.directory]);
    this.#proxy.blackhole();
    await postgres.query(
      `INSERT INTO poisoned VALUES (1, repeat('x', ${LARGE})); INSERT INTO stuck SELECT id, 'x' FROM generate_series(1, 1000) id`,
      database,
    );
    await this.until((states) => Object.entries(TROUBLED).every(([name, state]) => states[name] === state));
  }

  /** Writes one row a transaction into each table in turn, so many a second; resolves with how long each took from its commit to the stream, once all have come. */
  async load(perSecond: number, seconds: number): Promise<Delays> {
    const total = perSecond * seconds;
    const delays: number[] = [];
    const missing = new Set<string>();
    this.#arrived = {
      onRow: (subject, id, delayMs) => {
        if (missing.delete(`${subject}/${id}`)) delays.push(delayMs);
      },
    };
    const names = wellNames();
    const clients = await Promise.all(Array.from({ length: 4 }, () => this.postgres.connect(this.database)));
    const begun = performance.now();
    let sent = 0;
    // One after the other on each of them.
    const writes: Promise<unknown>[] = clients.map(() => Promise.resolve());
    while (sent < total) {
      const due = Math.min(total, Math.floor(((performance.now() - begun) / 1000) * perSecond) + 1);
      for (; sent < due; sent++) {
        const name = names[sent % names.length] as string;
        const id = this.#nextId++;
        missing.add(`${name}.public.${name}/${id}`);
        const at = sent % clients.length;
        writes[at] = (writes[at] as Promise<unknown>).then(() => clients[at]?.query(`INSERT INTO ${name} VALUES (${id}, 'x')`));
      }
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await Promise.all(writes);
    const end = Date.now() + 60_000;
    while (missing.size > 0 && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 50));
    await Promise.all(clients.map((client) => client.end()));
    if (missing.size > 0) throw new Error(`${missing.size} of ${total} rows have not arrived: ${[...missing].slice(0, 5).join(', ')}`);
    delays.sort((a, b) => a - b);
    const at = (share: number): number => delays[Math.min(total - 1, Math.floor(total * share))] as number;
    return { p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1), rows: total };
  }

  async dispose(): Promise<void> {
    await this.#watcher.close();
    await this.daemon.dispose();
    await this.#proxy.close();
    await Promise.all([this.postgres.dispose(), this.nats.dispose()]);
  }
}

function wellNames(): readonly string[] {
  return Array.from({ length: WELL }, (_, index) => `t${index + 1}`);
}

function connector(name: string, url: string, servers: string): { readonly name: string } & Record<string, unknown> {
  return {
    name,
    source: { type: 'postgres', url, tables: [`public.${name}`] },
    sink: { type: 'nats', servers: [servers], stream: name, storage: 'memory' },
    retry: { maxDelay: '2s' },
  };
}
