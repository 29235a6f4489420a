/** One load from the first row to the verdict: the built daemon carries it from a server to a sink, and it, the server and the sink are killed in between. */
import { Daemon, type LogLine } from './daemon.ts';
import type { LoadSource } from './load-source.ts';
import type { LoadTarget } from './load-target.ts';

export interface LoadRunOptions {
  readonly source: LoadSource;
  readonly target: LoadTarget;
  readonly seconds: number;
  /** kill -9 of the daemon, at random moments of the load. */
  readonly kills: number;
  /** Of the server, spread over the kills; those that the source names where this is left out and there are kills. */
  readonly sourceFaults?: readonly string[];
  /** Of the sink, one after the other, behind the kills. */
  readonly sinkFaults?: readonly string[];
  readonly say: (text: string) => void;
}

export interface LoadVerdict {
  readonly transactions: number;
  readonly messages: number;
  readonly kills: number;
  readonly faults: readonly string[];
  /** Of the rebuilt tables from the source. */
  readonly differences: readonly string[];
  /** Changes of a row that the change before it had left otherwise. */
  readonly misfits: readonly string[];
  readonly duplicates: number;
  readonly disordered: number;
  /** Of the daemon, told to end. */
  readonly exit: number;
  /** Its warnings and errors, by their text. */
  readonly said: Readonly<Record<string, number>>;
  /** Lines of the daemon that are no log. */
  readonly other: readonly string[];
  /** The daemon's last log lines. */
  readonly log: readonly LogLine[];
}

/** What a run without any fault of Sluice tells; `toMatchObject` names what differs. */
export const FAULTLESS = { differences: [], misfits: [], duplicates: 0, disordered: 0, exit: 0, other: [] };

export const CONNECTOR = 'bank';
const SAVED_MS = 180_000;
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export async function runLoad({ source, target, seconds, kills, sourceFaults, sinkFaults = [], say }: LoadRunOptions): Promise<LoadVerdict> {
  const planned = sourceFaults ?? (kills > 0 ? source.usualFaults : []);
  const daemon = await Daemon.create([{ name: CONNECTOR, source: source.source, sink: target.sink }]);
  try {
    daemon.start();
    await daemon.waitForLog(({ msg }) => msg.startsWith('Streaming'), 60_000);
    say('Filling the tables …');
    await source.fill();
    say(`Load of ${seconds} s with ${kills} kills …`);
    const end = Date.now() + seconds * 1000;
    const load = source.startLoad();
    const faults = await disturb({ daemon, source, target, end, kills, planned, say });
    for (const fault of sinkFaults) {
      say(`Fault of the sink: ${fault} …`);
      await (target.faults[fault] as () => Promise<void>)();
      faults.push(`sink ${fault}`);
    }
    await sleep(Math.max(0, end - Date.now()));
    const transactions = await load.stop();
    say(`The load has ended: ${transactions} transactions.`);
    await caughtUp(daemon, source);
    const exit = await daemon.stop('SIGTERM');
    say(`Caught up; the daemon ended with ${exit}. Comparing …`);
    const ledger = await target.ledger(CONNECTOR, source.tables, source.ledgerOptions);
    const { messages, misfits, duplicates, disordered } = ledger;
    const differences = await source.differences(ledger);
    const { other, log } = daemon;
    return {
      transactions,
      messages,
      kills,
      faults,
      differences,
      misfits,
      duplicates,
      disordered,
      exit,
      said: saidIn(log),
      other,
      log: log.slice(-40),
    };
  } finally {
    await daemon.dispose();
  }
}

/** Numbers left out: the same again and again is one. */
function saidIn(log: readonly LogLine[]): Record<string, number> {
  const said: Record<string, number> = {};
  for (const { level, code, msg } of log) {
    if (level === 'info') continue;
    const text = `${code ?? level}: ${msg.replace(/\d+/g, '#').slice(0, 200)}`;
    said[text] = (said[text] ?? 0) + 1;
  }
  return said;
}

interface Disturbance extends Pick<LoadRunOptions, 'source' | 'target' | 'kills' | 'say'> {
  readonly daemon: Daemon;
  readonly end: number;
  readonly planned: readonly string[];
}

/** The kills, and between them what happens to the servers: while the daemon starts, or before it does. */
async function disturb({ daemon, source, target, end, kills, planned, say }: Disturbance): Promise<string[]> {
  const faults: string[] = [];
  const happen = async (name: string, fault: () => Promise<void>): Promise<void> => {
    say(`Fault: ${name} …`);
    await fault();
    faults.push(name);
  };
  const next = (): Promise<void> => {
    const name = planned[faults.filter((fault) => fault !== 'sink restart').length] as string;
    const fault = source.faults[name];
    if (fault === undefined) throw new Error(`no fault "${name}"; known are ${Object.keys(source.faults).join(', ')}`);
    return happen(name, () => fault(daemon));
  };
  for (let kill = 1; kill <= kills; kill++) {
    await sleep(Math.max(0, ((end - Date.now()) / (kills - kill + 1)) * (0.5 + Math.random() * 0.5)));
    await daemon.stop('SIGKILL');
    const isFirst = Math.random() < 0.5;
    if (isFirst) daemon.start();
    const due = Math.floor((kill * planned.length) / kills);
    while (faults.filter((fault) => fault !== 'sink restart').length < due) await next();
    if (!isFirst) daemon.start();
    if (kill === Math.ceil((kills * 2) / 3)) await happen('sink restart', () => target.restart());
  }
  while (faults.length < planned.length) {
    await sleep(Math.max(0, (end - Date.now()) / (planned.length - faults.length + 1)));
    await next();
  }
  return faults;
}

async function caughtUp(daemon: Daemon, source: LoadSource): Promise<void> {
  const place = await source.end();
  for (const end = Date.now() + SAVED_MS; !(await source.hasSaved(daemon, place)); await sleep(200)) {
    if (Date.now() > end) throw new Error(`not caught up; it said ${JSON.stringify(saidIn(daemon.log), null, 1)}`);
  }
}
