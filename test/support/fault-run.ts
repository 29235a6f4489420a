/** One fault on real servers: a load with a ledger, the built daemon, a sink; then what arrived is judged. */
import { appendFile } from 'node:fs/promises';
import { expect } from 'vitest';
import type { KafkaServer, NatsServer, PostgresServer } from '../servers/index.ts';
import { Daemon } from './daemon.ts';
import { type FaultVerdict, judge } from './fault-ledger.ts';
import { FaultLoad } from './fault-load.ts';
import type { FaultSource } from './fault-source.ts';
import { readTopic } from './kafka-topics.ts';
import { LONG } from './long-form.ts';
import { postgresFaultSource } from './postgres-fault-source.ts';
import { type DebeziumValue, readStream, type StoredMessage } from './stream-ledger.ts';

/** Where the messages of a run go, and how they are read back without Sluice. */
export interface FaultSink {
  /** For the connector's file. */
  readonly config: Readonly<Record<string, unknown>>;
  messages(): Promise<StoredMessage[]>;
}

export function natsFaultSink(nats: NatsServer, stream: string, options: Readonly<Record<string, unknown>> = {}): FaultSink {
  return {
    config: { type: 'nats', servers: [nats.url], stream, subject: `${stream}.{schema}.{table}`, ...options },
    messages: async () => {
      const messages: StoredMessage[] = [];
      await readStream(nats.url, stream, (message) => messages.push(message));
      return messages;
    },
  };
}

export function kafkaFaultSink(kafka: KafkaServer, prefix: string, options: Readonly<Record<string, unknown>> = {}): FaultSink {
  const config = { type: 'kafka', brokers: kafka.brokers, topic: `${prefix}.{schema}.{table}`, partitions: 3, ...options };
  return {
    config,
    messages: async () => {
      const topics = await Promise.all(
        ['item', 'entry'].map((table) => readTopic(kafka, config.topic.replace('{schema}', 'public').replace('{table}', table))),
      );
      return topics.flat().map((record) => ({
        sequence: Number(record.offset),
        subject: '',
        id: String(record.headers.find(([name]) => name === 'sluice.id')?.[1]),
        key: record.key === null ? null : record.key.toString('utf8'),
        value: record.value === null ? null : (JSON.parse(record.value.toString('utf8')) as DebeziumValue),
      }));
    },
  };
}

export interface FaultRunOptions {
  readonly name: string;
  readonly sink: FaultSink;
  readonly source?: Readonly<Record<string, unknown>>;
  /** Of the connector's file. */
  readonly top?: Readonly<Record<string, unknown>>;
  /** Of sluice.json. */
  readonly settings?: Record<string, unknown>;
  readonly load?: ConstructorParameters<typeof FaultLoad>[1];
  /** Through which the daemon reaches the database; the load does not. */
  readonly through?: (url: string) => string;
  /** In place of a plain start, when tables and configuration are there. */
  readonly start?: (run: FaultRun) => Promise<unknown>;
}

interface PostgresRunOptions extends FaultRunOptions {
  readonly postgres: PostgresServer;
}

/** I10. A machine that has other work needs longer, and may say how long. */
const RECOVERY_MS = Number(process.env['SLUICE_CHAOS_RECOVERY_MS'] ?? 5_000);
const CATCH_UP_MS = 60_000;

export class FaultRun {
  readonly daemon: Daemon;
  readonly database: string;
  readonly #options: FaultRunOptions;
  #source: FaultSource;
  #load: FaultLoad | null = null;

  private constructor(options: FaultRunOptions, source: FaultSource, database: string, daemon: Daemon) {
    this.#options = options;
    this.#source = source;
    this.database = database;
    this.daemon = daemon;
  }

  /** Resolves when the daemon streams and the load runs. */
  static begin({ postgres, ...options }: PostgresRunOptions): Promise<FaultRun> {
    return FaultRun.on(postgresFaultSource(postgres), options);
  }

  /** As `begin`, on any database. */
  static async on(from: FaultSource, options: FaultRunOptions): Promise<FaultRun> {
    const { name, sink, source, top, settings, through = (url: string) => url } = options;
    const database = await from.createDatabase(name);
    const connector = {
      name,
      source: {
        ...from.config(database, through),
        snapshot: { mode: 'no_data' },
        heartbeat: { interval: '1s' },
        ...source,
      },
      sink: sink.config,
      ...top,
    };
    const run = new FaultRun(options, from, database, await Daemon.create([connector], settings));
    try {
      if (options.start === undefined) run.daemon.start();
      else await options.start(run);
      // A machine that is busy with other servers starts slowly.
      await run.streams();
    } catch (error) {
      await run.dispose().catch(() => undefined);
      throw new Error(`${name} did not begin: ${run.daemon.stderr.slice(-3000)}`, { cause: error });
    }
    run.resume();
    return run;
  }

  /** The stream is connected, once more than `times` before. */
  async streams(times = 0, timeoutMs = 60_000): Promise<void> {
    await expect
      .poll(() => this.daemon.log.filter(({ msg }) => msg.startsWith('Streaming')).length, { timeout: timeoutMs, interval: 20 })
      .toBeGreaterThan(times);
  }

  get streamed(): number {
    return this.daemon.log.filter(({ msg }) => msg.startsWith('Streaming')).length;
  }

  get transactions(): number {
    return this.#load?.transactions ?? 0;
  }

  /** Begins the load (again). */
  resume(): void {
    this.#load ??= new FaultLoad(() => this.#source.connect(this.database), this.#options.load);
  }

  /** Another server has taken the place of the first one: from now on the load, the look at what is acknowledged and the judgement go there. */
  moveTo(source: FaultSource): void {
    this.#source = source;
  }

  async pause(): Promise<void> {
    await this.#load?.stop();
    this.#load = null;
  }

  /** Lets the load run until so many more transactions were committed. */
  async committed(more: number, timeoutMs = 30_000): Promise<void> {
    const from = this.transactions;
    await expect.poll(() => this.transactions - from, { timeout: timeoutMs, interval: 10 }).toBeGreaterThanOrEqual(more);
  }

  /** The daemon is killed with SIGKILL and started again. */
  async kill(): Promise<void> {
    await this.daemon.stop('SIGKILL');
    this.daemon.start();
  }

  /** Waits until what is committed by now is durable and saved, and acknowledged where the server is told (I5). Answers with the milliseconds. */
  async caughtUp(timeoutMs = CATCH_UP_MS): Promise<number> {
    const started = performance.now();
    const progress = await this.#source.progress(this.name, this.daemon, this.database);
    try {
      for (;;) {
        const isDone = await progress.isDone();
        const took = performance.now() - started;
        if (isDone) return took;
        if (took > timeoutMs) throw new Error(`not caught up after ${timeoutMs} ms: ${JSON.stringify(this.daemon.log.slice(-10), null, 1)}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    } finally {
      await progress.end();
    }
  }

  /**
   * I10: from when a raw client of the server succeeds, progress within five seconds. `works` tries it; called again until it resolves. The time is
   * judged in the long form only, on a machine that has nothing else to do.
   */
  async recovers(fault: string, works: () => Promise<unknown>, withinMs = RECOVERY_MS): Promise<number> {
    const end = Date.now() + 60_000;
    for (;;) {
      try {
        await works();
        break;
      } catch (error) {
        if (Date.now() > end) throw error;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
    const took = await this.caughtUp();
    await report({ fault, sink: String(this.#options.sink.config['type']), recoveryMs: Math.round(took) });
    if (LONG) expect(took, `${fault}: recovery time in ms (I10)`).toBeLessThan(withinMs);
    return took;
  }

  /** The connector has stopped for good with this error; answers with the line. */
  async stopsWith(code: string, timeoutMs = 30_000): Promise<{ readonly msg: string; readonly remedy: string }> {
    const line = await this.daemon.waitForLog((each) => each.level === 'error' && each.code !== undefined, timeoutMs);
    expect(line.code).toBe(code);
    expect(line.remedy ?? '').not.toBe('');
    return { msg: line.msg, remedy: line.remedy ?? '' };
  }

  /** Ends the load, waits for the rest, and judges: nothing lost, made up or out of order, and nothing doubled but where `duplicates` says so. */
  async verify(fault: string, { duplicates = 0 }: { duplicates?: number } = {}): Promise<FaultVerdict> {
    await this.pause();
    await this.caughtUp();
    const verdict = await this.verdict();
    await report({ fault, sink: String(this.#options.sink.config['type']), ...verdict });
    expect(verdict.examples.filter((example) => !example.startsWith('duplicates'))).toEqual([]);
    expect(verdict.duplicates).toBeLessThanOrEqual(duplicates);
    expect(verdict.committed).toBeGreaterThan(0);
    // No line that was no JSON, no stack: what happened was foreseen.
    expect(this.daemon.other).toEqual([]);
    expect(this.daemon.log.filter(({ code }) => code === 'SLUICE_INTERNAL')).toEqual([]);
    return verdict;
  }

  /** Of the connector. */
  get name(): string {
    return this.#options.name;
  }

  /** What a daemon that must not work may not change: what is acknowledged, and the number of messages in the sink. */
  async standing(): Promise<{ readonly acknowledged: string; readonly messages: number }> {
    const acknowledged = await this.#source.acknowledged(this.name, this.daemon);
    return { acknowledged, messages: (await this.#options.sink.messages()).length };
  }

  async verdict(): Promise<FaultVerdict> {
    return judge(this.#source, this.database, await this.#options.sink.messages());
  }

  async dispose(): Promise<void> {
    await this.pause();
    await this.daemon.dispose();
    await this.#source.forget(this.name).catch(() => undefined);
  }
}

/** For docs/guarantees.md: one JSON line for each thing that was measured, where the environment asks for it. */
async function report(line: Readonly<Record<string, unknown>>): Promise<void> {
  const file = process.env['SLUICE_CHAOS_REPORT'];
  if (file !== undefined) await appendFile(file, `${JSON.stringify(line)}\n`);
}
