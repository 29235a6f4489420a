import type { ConnectorDefinition } from '../config/load.ts';
import type { DeadLetterFile } from '../dead-letters/file.ts';
import type { Checkpoint } from '../pipeline/checkpoints.ts';
import { type PipelineEvents, runPipeline } from '../pipeline/pipeline.ts';
import type { PluginContext, PreviousShutdown, SinkContext, SourceContext } from '../plugin/context.ts';
import type { SluiceError } from '../plugin/error.ts';
import type { Timer } from '../plugin/runtime.ts';
import type { Sink } from '../plugin/sink.ts';
import type { Position } from '../record/position.ts';
import type { TableRegistry } from '../record/table.ts';
import type { SnapshotCommands } from '../snapshot/commands.ts';
import { sinkPlace } from '../stopped-tables/place.ts';
import type { ConnectorPorts } from './connector-ports.ts';
import type { CopyRounds } from './copy-rounds.ts';
import { openDeadLetters } from './dead-letters.ts';
import { definitionsDestination, extraDestinations } from './destinations.ts';
import type { HealthWatch, Watched } from './health.ts';
import { type Judge, refusalOf } from './judge.ts';
import { mappedVersion } from './mapped-version.ts';
import { openAnnouncements, openFormat, openShapes, openTables } from './open.ts';
import { preflight } from './preflight.ts';
import { saveHistoryOf, saveOf } from './saves.ts';
import { openStopped } from './stopped-tables.ts';
import { UndeliveredMessages, type UndeliveredPorts } from './undelivered.ts';

export interface LifeOptions {
  readonly definition: ConnectorDefinition;
  readonly ports: ConnectorPorts;
  readonly rounds: CopyRounds;
  readonly judge: Judge;
  readonly watch: HealthWatch;
  readonly previousShutdown: PreviousShutdown;
  readonly events: {
    /** The sink is open: what the life before had sent is reckoned with. */
    readonly sinkOpened: () => void;
    readonly lettersOpened: (letters: DeadLetterFile | null) => void;
    readonly running: (tables: number) => void;
    readonly saved: () => void;
  };
}

/** How long what is on its way is waited for where the source is to be protected. */
const PROTECT_WAIT_MS = 5_000;

/** One life of a connector: from the stored offset until the end, a failure, or a word that ends it. */
export class Life {
  readonly #options: LifeOptions;
  readonly #ending = new AbortController();
  /** What is under way is waited for no longer. */
  readonly #leaving = new AbortController();
  #patience: Timer | null = null;
  /** Null: it does not run yet, or any more, or its source copies nothing. */
  #snapshots: SnapshotCommands | null = null;
  /** Null: it does not run yet, or any more. */
  #undelivered: UndeliveredMessages | null = null;
  /** Where the next life would go on. */
  #saved: Position | null = null;
  /** It is ended for the good of its source. */
  #protected: { readonly error: SluiceError; readonly givesUp: boolean } | null = null;

  constructor(options: LifeOptions) {
    this.#options = options;
  }

  /** It was asked to end, for another one or for none. */
  get isEnded(): boolean {
    return this.#ending.signal.aborted;
  }

  get snapshots(): SnapshotCommands | null {
    return this.#snapshots;
  }

  get undelivered(): UndeliveredMessages | null {
    return this.#undelivered;
  }

  /** Ends it in order. `withinMs`: what is not confirmed by then is left, and sent again by the next one. */
  end(withinMs?: number): void {
    this.#ending.abort();
    if (withinMs === undefined || this.#patience !== null) return;
    this.#patience = this.#options.ports.runtime.setTimer(() => this.#leaving.abort(new Error('ended without waiting')), withinMs, true);
  }

  /** Resolves when it has ended in order; throws what ended it. */
  async run(drain: AbortSignal, abort: AbortSignal): Promise<void> {
    try {
      await this.#run(AbortSignal.any([drain, this.#ending.signal]), AbortSignal.any([abort, this.#leaving.signal]));
    } finally {
      this.#patience?.clear();
    }
  }

  async #run(drain: AbortSignal, abort: AbortSignal): Promise<void> {
    const { definition, ports, rounds, watch, events: told } = this.#options;
    const { store, runtime, metrics, log } = ports;
    const { name } = definition;
    const stored = await store.load(name);
    const tables = openTables(definition, stored);
    const context = this.#sourceContext(tables, (table) => refusalOf(definition, sink, table, abort));
    // Until streaming begins there is nothing to drain: a stop then ends at once.
    const starting = AbortSignal.any([drain, abort]);
    const { source, snapshots, hold } = rounds.open(stored, context);
    this.#saved = stored.offset?.position ?? null;
    const stopped = await openStopped({ definition, ...ports }, stored.place);
    const { mapping, policy } = await openShapes(definition, stored, store, log);
    const sink: Sink = definition.sink.plugin.create(definition.sink.config, this.#sinkContext());
    const format = openFormat(definition, this.#context(), metrics);
    const observing = new AbortController();
    const broken = new AbortController();
    try {
      const ofLife = { sink, format, policy, stopped, abort, failed: (error: unknown) => broken.abort(error) };
      const undelivered = await this.#openUndelivered(ofLife, (label, version) => mappedVersion(tables.find(label, version), mapping));
      const stop = (error: SluiceError, givesUp: boolean): void => this.#protect({ error, givesUp }, broken);
      const watched = { source, saved: () => this.#saved, hold, stop };
      const captured = await this.#opened(this.#examine({ source, sink }, starting), watched, starting);
      const written = await this.#opened(sink.open(sinkPlace(stored.place), starting), watched, starting);
      told.sinkOpened();
      await undelivered.begin();
      this.#snapshots = snapshots;
      told.running(captured);
      void watch.follow(watched, observing.signal);
      const events = metrics.events(name, () => runtime.nowMicros());
      await runPipeline(
        {
          source,
          sink,
          format,
          read: rounds.from(written),
          runtime,
          maxInFlightBytes: definition.maxInFlightBytes,
          memory: ports.memory,
          maxDelayMs: definition.batch.maxDelay,
          checkpointMaxDelayMs: definition.checkpoint.maxDelay,
          undelivered,
          announcements: openAnnouncements(definition, stored, mapping),
          broken: broken.signal,
          tap: ports.tap,
          save: (checkpoint) => store.save(name, saveOf(checkpoint, undelivered)),
          saveHistory: saveHistoryOf(store, name, tables, policy),
          policy,
          mapping,
          events: { ...events, saved: (checkpoint) => this.#noteSaved(checkpoint, undelivered, events) },
        },
        drain,
        abort,
      );
      if (!drain.aborted) rounds.ended(snapshots);
    } catch (error) {
      if (this.#protected?.givesUp === true && error === this.#protected.error) await source.giveUp?.();
      throw error;
    } finally {
      observing.abort();
      const ended = this.#undelivered?.end();
      this.#undelivered = null;
      this.#snapshots = null;
      await Promise.allSettled([sink.close(), source.close(), ended]);
    }
  }

  /** The number of tables that are captured. Throws what stops the connector before it starts. */
  async #examine(plugins: Parameters<typeof preflight>[1], starting: AbortSignal): Promise<number> {
    const { definition, judge, rounds } = this.#options;
    const { findings, tables } = await preflight(definition, plugins, starting);
    judge.judge(findings, rounds.isLost);
    return tables;
  }

  /** Where the sink is not reached, its server is looked at all the same: nothing is read meanwhile, and it keeps its log. */
  async #opened<T>(opening: Promise<T>, watched: Watched, starting: AbortSignal): Promise<T> {
    try {
      return await opening;
    } catch (error) {
      if (!starting.aborted) await this.#options.watch.lookOnce(watched);
      throw this.#protected?.error ?? error;
    }
  }

  /** Ends it for the good of its source: what is on its way is waited for, but not for long. */
  #protect(stop: { readonly error: SluiceError; readonly givesUp: boolean }, broken: AbortController): void {
    if (this.#protected !== null) return;
    this.#protected = stop;
    broken.abort(stop.error);
    this.#patience ??= this.#options.ports.runtime.setTimer(() => this.#leaving.abort(stop.error), PROTECT_WAIT_MS, true);
  }

  #noteSaved(checkpoint: Checkpoint, undelivered: UndeliveredMessages, events: PipelineEvents): void {
    this.#saved = checkpoint.position;
    this.#snapshots?.saved(checkpoint.progress);
    this.#options.rounds.saved();
    undelivered.saved(checkpoint.place);
    events.saved(checkpoint);
    this.#options.events.saved();
  }

  /** Opened anew for each life: after a disk's failure nothing else would do. */
  async #openUndelivered(
    ofLife: Pick<UndeliveredPorts, 'sink' | 'format' | 'policy' | 'stopped' | 'abort' | 'failed'>,
    versionOf: UndeliveredPorts['versionOf'],
  ): Promise<UndeliveredMessages> {
    const { definition, ports, events } = this.#options;
    const letters = await openDeadLetters(definition, ports);
    events.lettersOpened(letters);
    if (letters !== null) ports.metrics.openDeadLetters(definition.name, letters.size);
    this.#undelivered = new UndeliveredMessages({ ...ports, ...ofLife, definition, letters, versionOf });
    return this.#undelivered;
  }

  #context(): PluginContext {
    const { definition, ports } = this.#options;
    const { store, runtime, metrics, log } = ports;
    const { name } = definition;
    return { connector: name, runtime, log, instance: store.instance, retried: (what) => metrics.retried(name, what) };
  }

  #sinkContext(): SinkContext {
    const { definition, ports, previousShutdown } = this.#options;
    return {
      ...this.#context(),
      previousShutdown,
      savePlace: (entries) => ports.store.savePlace(definition.name, entries),
      undeliverable: (batch, index, error) => this.#undelivered?.undeliverable(batch, index, error) ?? Promise.reject(error),
      isBinary: definition.format.plugin.isBinary === true,
      extraDestinations: extraDestinations(definition),
    };
  }

  #sourceContext(tables: TableRegistry, refusal: SourceContext['refusalOf']): SourceContext {
    const { definition, ports } = this.#options;
    const { store, once, memory, metrics } = ports;
    const { name, batch } = definition;
    return {
      ...this.#context(),
      tables,
      batch: { maxRecords: batch.maxRecords, maxBytes: batch.maxBytes },
      maxBufferedBytes: memory.queueBytes,
      once,
      intent: { get: () => store.getIntent(name), set: (intent) => store.setIntent(name, intent) },
      renew: () => this.end(),
      refusalOf: refusal,
      decoded: (ms) => metrics.spent(name, 'decode', ms),
      tellsDefinitions: definitionsDestination(definition) !== null,
    };
  }
}
