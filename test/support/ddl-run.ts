/** One storm of schema changes against the built daemon, from the first row to the verdict. */
import type { TableVersion } from '../../src/record/table.ts';
import type { NatsServer } from '../servers/index.ts';
import { sluice } from './cli.ts';
import { Daemon } from './daemon.ts';
import { checkStorm, type Verdict } from './ddl-check.ts';
import type { StormDatabase } from './ddl-database.ts';
import { lastOf } from './streams.ts';

export interface StormOptions {
  readonly database: StormDatabase;
  readonly nats: NatsServer;
  readonly changes: number;
  readonly kills: number;
  /** kill -9 of the server, spread over the changes. */
  readonly restarts?: number;
  readonly clients: number;
  readonly seed: number;
  /** Announce the changes: the catalogue is asked for each shape then. */
  readonly announces: boolean;
  readonly say: (text: string) => void;
}

export interface StormResult {
  readonly verdict: Verdict;
  readonly made: Readonly<Record<string, number>>;
  readonly transactions: number;
  readonly killed: number;
  readonly restarted: number;
}

const ARRIVES_MS = 300_000;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export async function runStorm({ database, nats, changes, kills, restarts = 0, clients, seed, announces, say }: StormOptions): Promise<StormResult> {
  const stream = `STORM${seed}`;
  const sink = { type: 'nats', servers: [nats.url], stream, subject: `${stream}.{schema}.{table}` };
  const running = (daemon: Daemon): void => {
    if (daemon.child?.exitCode !== null) throw new Error(`it has stopped; the log: ${JSON.stringify(daemon.log.slice(-10), null, 1)}`);
  };
  const daemon = await Daemon.create([
    {
      name: 'storm',
      source: database.source,
      format: { type: 'native' },
      sink,
      ...(announces ? { schemaChanges: { topic: `${stream}.schema-changes` } } : {}),
      checkpoint: { maxDelay: '20ms' },
    },
  ]);
  daemon.start();
  await daemon.waitForLog(({ msg }) => msg.startsWith('Streaming'), 60_000);
  const storm = await database.storm(random(seed));
  const load = database.load(clients, 40);
  let killed = 0;
  let restarted = 0;
  try {
    for (let count = 1; count <= changes; count++) {
      await storm.change();
      await pause(Math.random() * 100);
      if (killed < Math.floor((count * kills) / changes)) {
        running(daemon);
        await daemon.stop('SIGKILL');
        killed++;
        if (Math.random() < 0.5) await storm.change();
        daemon.start();
      }
      if (restarted < Math.floor((count * restarts) / changes)) {
        await database.restart();
        restarted++;
      }
      if (count % 20 === 0) say(`${count} changes, ${storm.refused} refused, ${killed} kills, ${load.transactions} transactions …`);
    }
    await load.stop();
    // Behind everything: one last row of each table, once tables made anew are published too.
    const from = await database.lastStamp();
    for (const table of database.tables) await arrived(daemon, nats.url, `${stream}.${database.schema}.${table}`, from, () => database.put(table));
    const history: TableVersion[] = [];
    for (const table of database.tables) {
      const answer = await sluice(['schema', 'show', '--all', '--json', '--table', `${database.schema}.${table}`, daemon.directory]);
      if (answer.exit !== 0) throw new Error(answer.stderr + answer.stdout);
      history.push(...(JSON.parse(answer.stdout) as { versions: TableVersion[] }).versions);
    }
    await daemon.stop();
    const verdict = await checkStorm(database, nats.url, stream, history, announces);
    return { verdict, made: storm.made, transactions: load.transactions, killed, restarted };
  } finally {
    await load.stop();
    await storm.close();
    await daemon.dispose();
  }
}

/** Writes a row until one stands at the end of the table's subject. */
async function arrived(daemon: Daemon, servers: string, subject: string, from: number, write: () => Promise<unknown>): Promise<void> {
  const end = Date.now() + ARRIVES_MS;
  await write();
  for (;;) {
    for (let look = 0; look < 10; look++) {
      const stamp = /"stamp":"?(\d+)/.exec(await lastOf(servers, subject.split('.')[0] as string, subject))?.[1];
      if (Number(stamp ?? 0) > from) return;
      await pause(200);
    }
    if (Date.now() > end) throw new Error(`nothing more comes to ${subject}; the log: ${JSON.stringify(daemon.log.slice(-10), null, 1)}`);
    await write();
  }
}

/** mulberry32. */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
