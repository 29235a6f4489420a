/** Looks at a soak once a second, from outside: /proc, the daemon's /metrics, and the slots at the server. */
import { readFile } from 'node:fs/promises';
import { loadavg } from 'node:os';
import type pg from 'pg';
import type { Daemon } from './daemon.ts';
import { SINKS, type SinkName, type SoakSample } from './soak-figures.ts';
import type { SoakLoad } from './soak-load.ts';

const EVERY_MS = 1_000;
const ANSWER_MS = 900;
/** proc(5): CPU is counted in ticks, sysconf(_SC_CLK_TCK) is 100. */
const TICKS_PER_SECOND = 100;
/** For the age of a position: older ones are as good as lost. */
const WAL_KEPT = 600;

export interface Watched {
  readonly daemon: Daemon;
  /** Of the daemon's health listener. */
  readonly health: string;
  /** To the server, for its log and slots. */
  readonly client: pg.Client;
  readonly load: SoakLoad;
  readonly connectors: Readonly<Record<SinkName, string>>;
  readonly slots: Readonly<Record<SinkName, string>>;
}

interface Told {
  readonly lag: number;
  readonly messages: number;
}

export class SoakWatch {
  readonly samples: SoakSample[] = [];
  readonly #watched: Watched;
  readonly #startMs = performance.now();
  readonly #ended: Promise<void>;
  /** Where the log ended, and when. */
  readonly #wal: { readonly atMs: number; readonly position: number }[] = [];
  readonly #earlier: Record<SinkName, number> = { kafka: 0, nats: 0 };
  readonly #now: Record<SinkName, number> = { kafka: 0, nats: 0 };
  /** Seconds by process. */
  readonly #cpu = new Map<number, number>();
  /** The start counts as one: Kafka's machine is cold. */
  #killMs = this.#startMs;
  #running = true;
  #failure: unknown = null;

  constructor(watched: Watched) {
    this.#watched = watched;
    this.#ended = this.#loop().catch((error: unknown) => {
      this.#failure = error;
    });
  }

  async stop(): Promise<void> {
    this.#running = false;
    await this.#ended;
    await this.#readCpu();
    this.check();
  }

  check(): void {
    if (this.#failure !== null) throw new Error('the watch has ended', { cause: this.#failure });
  }

  get cpuSeconds(): number {
    return [...this.#cpu.values()].reduce((sum, seconds) => sum + seconds, 0);
  }

  get messages(): Readonly<Record<SinkName, number>> {
    return { kafka: this.#earlier.kafka + this.#now.kafka, nats: this.#earlier.nats + this.#now.nats };
  }

  /** kill -9 and a new start. Answers with the milliseconds until both connectors are less than `caughtUpSeconds` behind again. */
  async kill(caughtUpSeconds: number, timeoutMs: number): Promise<number> {
    const { daemon } = this.#watched;
    await this.#readCpu();
    const killed = performance.now();
    this.#killMs = killed;
    await daemon.stop('SIGKILL');
    for (const sink of SINKS) {
      this.#earlier[sink] += this.#now[sink];
      this.#now[sink] = 0;
    }
    daemon.start();
    for (;;) {
      const told = await this.#ask();
      // A connector that delivered nothing yet says that it is not behind.
      const caughtUp = SINKS.every((sink) => told !== null && told[sink].messages > 0 && told[sink].lag < caughtUpSeconds);
      const took = performance.now() - killed;
      if (caughtUp) return Math.round(took);
      if (took > timeoutMs) throw new Error(`not caught up ${timeoutMs} ms after a kill: ${JSON.stringify(told)}`);
      await sleep(100);
    }
  }

  async #loop(): Promise<void> {
    for (let tick = 1; this.#running; tick++) {
      await sleep(Math.max(0, this.#startMs + tick * EVERY_MS - performance.now()));
      if (this.#running) await this.#sample();
    }
  }

  async #sample(): Promise<void> {
    const { daemon, load } = this.#watched;
    const now = performance.now();
    const sinceKillMs = Math.round(now - this.#killMs);
    const [told, server, residentBytes] = await Promise.all([this.#ask(), this.#askServer(), daemon.residentBytes().catch(() => 0), this.#readCpu()]);
    this.samples.push({
      atMs: Math.round(now - this.#startMs),
      sinceKillMs,
      residentBytes: residentBytes > 0 ? residentBytes : null,
      lag: { kafka: told?.kafka.lag ?? null, nats: told?.nats.lag ?? null },
      ...server,
      messages: { ...this.messages },
      rowsCommitted: load.rows,
      machineLoad: loadavg()[0] ?? 0,
    });
  }

  /** What the daemon says; null where it does not answer. */
  async #ask(): Promise<Record<SinkName, Told> | null> {
    const { health, connectors, daemon } = this.#watched;
    const { pid } = daemon;
    try {
      const text = await (await fetch(`${health}/metrics`, { signal: AbortSignal.timeout(ANSWER_MS) })).text();
      const value = (name: string, sink: SinkName): number =>
        Number(new RegExp(`^${name}\\{connector="${connectors[sink]}"\\} (\\S+)$`, 'm').exec(text)?.[1] ?? 0);
      const of = (sink: SinkName): Told => ({ lag: value('sluice_lag_seconds', sink), messages: value('sluice_messages_total', sink) });
      const told = { kafka: of('kafka'), nats: of('nats') };
      // An answer of the process before belongs to what was counted already.
      if (pid === daemon.pid) for (const sink of SINKS) this.#now[sink] = told[sink].messages;
      return told;
    } catch {
      return null;
    }
  }

  async #askServer(): Promise<{ readonly slotLag: Record<SinkName, number | null>; readonly retainedBytes: number }> {
    const { client, slots } = this.#watched;
    const { rows } = await client.query<{ slot_name: string; now: string; confirmed: string; retained: string }>(
      `SELECT slot_name, pg_current_wal_lsn() - '0/0' AS now, confirmed_flush_lsn - '0/0' AS confirmed, pg_current_wal_lsn() - restart_lsn AS retained
       FROM pg_replication_slots`,
    );
    const atMs = performance.now();
    this.#wal.push({ atMs, position: Number(rows[0]?.now) });
    if (this.#wal.length > WAL_KEPT) this.#wal.shift();
    const lag = (sink: SinkName): number | null => {
      const row = rows.find(({ slot_name }) => slot_name === slots[sink]);
      return row === undefined ? null : Math.max(0, (atMs - this.#whenWritten(Number(row.confirmed))) / 1000);
    };
    return { slotLag: { kafka: lag('kafka'), nats: lag('nats') }, retainedBytes: Math.max(...rows.map(({ retained }) => Number(retained))) };
  }

  /** When the log ended at this position, between two looks by the straight line: the load is even. */
  #whenWritten(position: number): number {
    const after = this.#wal.findIndex((each) => each.position >= position);
    const to = this.#wal.at(after);
    const before = after < 1 ? undefined : this.#wal[after - 1];
    if (to === undefined || after < 0) return performance.now();
    if (before === undefined) return to.atMs;
    return before.atMs + ((to.atMs - before.atMs) * (position - before.position)) / (to.position - before.position);
  }

  async #readCpu(): Promise<void> {
    const { pid } = this.#watched.daemon;
    const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '');
    const fields = stat.split(') ')[1]?.split(' ') ?? [];
    const seconds = (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
    if (seconds > 0) this.#cpu.set(pid, Math.max(seconds, this.#cpu.get(pid) ?? 0));
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
