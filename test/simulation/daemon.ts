import { KafkaSink } from '../../connectors/kafka/sink.ts';
import type { ConnectorDefinition } from '../../src/config/definition.ts';
import { Connector } from '../../src/daemon/connector.ts';
import { native } from '../../src/formats/native/index.ts';
import { type MemoryShare, shareMemory } from '../../src/pipeline/memory.ts';
import type { Logger, SinkContext } from '../../src/plugin/context.ts';
import type { Runtime } from '../../src/plugin/runtime.ts';
import type { Sink } from '../../src/plugin/sink.ts';
import { openStore, type StoreOptions } from '../../src/state/store.ts';
import { TailPoint } from '../../src/tail/tail.ts';
import type { Metrics } from '../../src/telemetry/metrics.ts';
import { BinlogServer } from './binlog/server.ts';
import { binlogSource } from './binlog/source.ts';
import type { Checks } from './checks.ts';
import type { Cluster } from './cluster.ts';
import { givenCredentials } from './credentials.ts';
import { CONNECTOR, DIRECTORY, type Disk } from './disk.ts';
import { SimulatedDriver } from './driver.ts';
import { PlainDriver } from './plain-driver.ts';
import type { Plan } from './plan.ts';
import type { Server } from './server.ts';
import { slotSource } from './source.ts';
import type { Owner, World } from './world.ts';

/** Everything that outlives a process. */
export interface Surroundings {
  readonly world: World;
  readonly plan: Plan;
  readonly checks: Checks;
  readonly disk: Disk;
  readonly server: Server;
  readonly cluster: Cluster;
}

/** One for all lives: new buffers for each one, and the collector behind them, would be a tenth of the time. What stands in a used one is nonsense to the next. */
const [MEMORY] = shareMemory(null, [{ batchBytes: 0, inFlightBytes: 0 }]) as [MemoryShare];

/** One life of the daemon: the real store, supervisor, pipeline and sink on the simulated surroundings. */
export class Daemon implements Owner {
  readonly name: string;
  readonly #around: Surroundings;
  readonly #drain = new AbortController();
  readonly #abort = new AbortController();
  readonly runtime: Runtime;
  #connector: Connector | null = null;

  constructor(name: string, around: Surroundings) {
    this.name = name;
    this.#around = around;
    this.runtime = this.#runtimeOf(around);
  }

  /** Resolves when it has ended by itself: null after `stop`, else with what ended it. */
  async run(): Promise<unknown> {
    let store: Awaited<ReturnType<typeof openStore>>;
    try {
      store = await openStore(this.storeOptions());
    } catch (error) {
      return error;
    }
    const { world } = this.#around;
    world.tell(`${this.name} has opened the state, shutdown before: ${store.previousShutdown}`);
    this.#around.checks.opened(this.#around.disk.storedLsn);
    const own = { store, memory: MEMORY, runtime: this.runtime, metrics: silentMetrics(), log: this.log() };
    const ports = { ...own, tap: new TailPoint(), once: false, isPaused: false, dataDir: DIRECTORY, showsCopies: false };
    this.#connector = new Connector(this.definition(), ports);
    await this.#connector.run(this.#drain.signal, this.#abort.signal);
    const failed = await store.close().then(
      () => null,
      (error: unknown) => error,
    );
    return this.#connector.error ?? failed;
  }

  get isRunning(): boolean {
    return this.#connector?.state === 'running';
  }

  /** It does not exist any more: nobody reads what it held. */
  gone(): void {
    MEMORY.releaseAll();
  }

  /** Somebody has asked for its end. */
  get mayEnd(): boolean {
    return this.#drain.signal.aborted;
  }

  stop(): void {
    this.#drain.abort();
  }

  abort(): void {
    this.#abort.abort(new Error('aborted'));
  }

  storeOptions(): StoreOptions {
    return { directory: DIRECTORY, runtime: this.runtime, openEngine: (location, create) => this.#around.disk.open(this, location, create) };
  }

  log(): Logger {
    const { world } = this.#around;
    const at =
      (level: string) =>
      (message: string): void =>
        world.tell(`${this.name} ${level}: ${message}`);
    return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  }

  definition(): ConnectorDefinition {
    const { world, plan, server } = this.#around;
    const definition = {
      name: CONNECTOR,
      file: 'sim.json',
      source: {
        config: {},
        plugin: server instanceof BinlogServer ? binlogSource({ world, plan, owner: this, server }) : slotSource(world, this, server),
      },
      format: { config: { tombstones: true }, plugin: native },
      sink: { config: {}, plugin: { role: 'sink', type: 'kafka', fields: {}, errors: [], create: (_, context) => this.#sink(context) } },
      batch: { maxRecords: plan.maxRecords, maxBytes: plan.maxBatchBytes, maxDelay: plan.maxDelayMs },
      checkpoint: { maxDelay: plan.checkpointMaxDelayMs },
      retry: { initialDelay: 200, maxDelay: 2000, exponentialBase: 2, jitter: true },
      onError: 'stop',
      deadLetter: { routes: {}, maxPercent: 5, window: 60_000, maxBytes: 2 ** 30 },
      spool: { maxBytes: 2 ** 30 },
      schemaChanges: {},
      compatibility: { level: 'none', levels: {}, rules: 'avro', action: 'stopTable', actions: {}, deprecated: [] },
      mapping: { rename: {}, cast: {}, defaults: {}, fixed: {}, rest: 'rest' },
      protect: { warn: { retained: 0, freePercent: 0 }, pauseSnapshot: { freePercent: 0 }, patience: 60_000 },
      maxInFlightBytes: plan.maxInFlightBytes,
    } satisfies Omit<ConnectorDefinition, 'format'> & { readonly format: unknown };
    return definition as unknown as ConnectorDefinition;
  }

  /** The real sink; what goes into it is counted (I9). */
  #sink(context: SinkContext): Sink {
    const { world, plan, cluster, checks } = this.#around;
    const config = {
      brokers: ['simulated:9092'],
      driver: 'platformatic' as const,
      topic: plan.topicTemplate,
      createTopics: true,
      topicSettings: [],
      addedPartitions: 'ignore' as const,
      compression: 'none' as const,
      request: plan.request,
      window: { bytes: plan.windowBytes },
    };
    const Driver = plan.choosesIdentity ? SimulatedDriver : PlainDriver;
    const sink = new KafkaSink(config, context, () => Promise.resolve(new Driver(world, this, cluster, plan.request.timeout)));
    const write = sink.write.bind(sink);
    sink.write = (batch, signal) => {
      const bytes = batch.bytesLength;
      checks.written(bytes);
      const done = (): void => {
        checks.inFlight -= bytes;
      };
      const written = write(batch, signal);
      written.then(done, done);
      return written;
    };
    return sink;
  }

  #runtimeOf({ world, disk }: Surroundings): Runtime {
    return {
      nowMicros: () => 1_790_000_000_000_000 + Math.floor(world.now * 1000),
      monotonicMs: () => world.now,
      random: () => world.random.next(),
      setTimer: (callback, ms) => {
        const event = world.after(this, ms, `timer of ${ms.toFixed(0)} ms`, callback);
        return { clear: () => world.cancel(event) };
      },
      files: disk.filesOf(this),
      credentials: givenCredentials,
    };
  }
}

/** prom-client's registry is made once per process; nothing here reads it. */
function silentMetrics(): Metrics {
  const nothing = (): void => undefined;
  const events = { durable: nothing, idle: nothing, inFlight: nothing, saved: nothing, spent: nothing, waited: nothing };
  return {
    events: () => events,
    figures: () => ({ rows: 0, messages: 0, bytes: 0, lagSeconds: 0, inFlightBytes: 0 }),
    retried: nothing,
    spent: nothing,
    pressure: nothing,
    health: nothing,
    disconnected: nothing,
    state: nothing,
    stoppedTables: nothing,
  } as unknown as Metrics;
}
