import type { ConnectorDefinition } from '../config/load.ts';
import type { DeadLetters } from '../dead-letters/dead-letters.ts';
import { DEAD_LETTER_STOPPED } from '../dead-letters/errors.ts';
import type { DeadLetterFile } from '../dead-letters/file.ts';
import type { Checkpoint } from '../pipeline/checkpoints.ts';
import { type PipelineEvents, runPipeline } from '../pipeline/pipeline.ts';
import type { Logger, PluginContext, SinkContext, SourceContext } from '../plugin/context.ts';
import { SluiceError } from '../plugin/error.ts';
import { sleep } from '../plugin/runtime.ts';
import type { Sink } from '../plugin/sink.ts';
import type { TableRegistry } from '../record/table.ts';
import { SCHEMA_INCOMPATIBLE } from '../schema-policy/errors.ts';
import { isAboutSegments } from '../segments/errors.ts';
import type { SnapshotCommands } from '../snapshot/commands.ts';
import { SNAPSHOT_NOT_RUNNING } from '../snapshot/errors.ts';
import type { CopyView } from '../snapshot/view.ts';
import { TABLE_STOPPED, TABLES_NOT_RUNNING } from '../stopped-tables/errors.ts';
import { sinkPlace } from '../stopped-tables/place.ts';
import type { StoppedTableView } from '../stopped-tables/state.ts';
import { type AcceptedView, acceptVersions } from './accept.ts';
import { backoffMs } from './backoff.ts';
import type { ConnectorPorts, ConnectorStatus } from './connector-ports.ts';
import { CopyRounds } from './copy-rounds.ts';
import { chosenLetters, type DeadLetterView, discardLetters, openDeadLetters, openToDiscard, viewsOf } from './dead-letters.ts';
import { definitionsDestination, extraDestinations } from './destinations.ts';
import { asSluiceError, stackOf } from './failure.ts';
import { HealthWatch } from './health.ts';
import { Judge, refusalOf } from './judge.ts';
import { type ConnectorState, isFinal, mayFollow } from './lifecycle.ts';
import { mappedVersion } from './mapped-version.ts';
import { openAnnouncements, openFormat, openShapes, openTables } from './open.ts';
import { preflight } from './preflight.ts';
import { saveHistoryOf, saveOf } from './saves.ts';
import { storedCopies } from './snapshots.ts';
import { discardSpool, openStopped, storedViews } from './stopped-tables.ts';
import { UndeliveredMessages, type UndeliveredPorts } from './undelivered.ts';

/** How often a trouble that lasts is said again. */
const SAY_AGAIN_MS = 30_000;

/**
 * Runs one connector for as long as the process lives: run → fail → back off → run. Transient errors are tried again, everything else stops this
 * connector, and only this one, with its cause and remedy.
 */
export class Connector {
  readonly name: string;
  readonly #definition: ConnectorDefinition;
  readonly #ports: ConnectorPorts;
  readonly #log: Logger;
  readonly #rounds: CopyRounds;
  readonly #judge: Judge;
  #state: ConnectorState = 'starting';
  #error: SluiceError | null = null;
  #attempts = 0;
  #lastError = '';
  #saidAt = 0;
  readonly #watch: HealthWatch;
  /** This process has opened the sink: what the process before it had sent was reckoned with. */
  #opened = false;
  /** Ends this life in order, for another one. */
  #life = new AbortController();
  #letterFile: DeadLetterFile | null = null;
  #ended: Promise<void> = Promise.resolve();
  #again: (() => Promise<void>) | null = null;
  /** Of this life; null: between two, or the source copies nothing. */
  #snapshots: SnapshotCommands | null = null;
  /** Of this life; null: between two. */
  #undelivered: UndeliveredMessages | null = null;

  constructor(definition: ConnectorDefinition, ports: ConnectorPorts) {
    this.name = definition.name;
    this.#definition = definition;
    this.#ports = ports;
    this.#log = ports.log;
    this.#watch = new HealthWatch(definition.name, ports);
    this.#rounds = new CopyRounds(definition, ports.log, ports.showsCopies);
    this.#judge = new Judge(definition, ports.log);
    ports.metrics.state(this.name, this.#state);
  }

  get state(): ConnectorState {
    return this.#state;
  }

  /** Why the connector stopped; null while it runs, or when it stopped because it was asked to. */
  get error(): SluiceError | null {
    return this.#error;
  }

  status(): ConnectorStatus {
    const error = this.#error === null ? {} : { error: { code: this.#error.code, message: this.#error.message, remedy: this.#error.remedy } };
    return { name: this.name, state: this.#state, attempts: this.#attempts, health: this.#watch.health, ...error };
  }

  /** Resolves when the connector has stopped for good, or until a command makes it go on. Never throws: see `error`. */
  run(drain: AbortSignal, abort: AbortSignal): Promise<void> {
    this.#again = () => this.run(drain, abort);
    this.#ended = this.#run(drain, abort);
    return this.#ended;
  }

  /** Resolves as the last `run` does. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  async #run(drain: AbortSignal, abort: AbortSignal): Promise<void> {
    while (!isFinal(this.#state)) {
      const life = new AbortController();
      this.#life = life;
      let failure: unknown = null;
      try {
        await this.#runOnce(AbortSignal.any([drain, life.signal]), abort);
      } catch (error) {
        failure = error;
      }
      if (life.signal.aborted && !drain.aborted && !abort.aborted) {
        // Ended for another one, wherever it was: what was wrong with it, the next one meets as well.
        this.#become('retrying');
        this.#become('starting');
      } else if (failure === null) this.#become('stopped');
      else await this.#afterFailure(asSluiceError(failure), drain, abort);
    }
  }

  async #afterFailure(error: SluiceError, drain: AbortSignal, abort: AbortSignal): Promise<void> {
    if (drain.aborted || abort.aborted) {
      if (!abort.aborted) this.#log.warn(error.message, { code: error.code, remedy: error.remedy });
      this.#become('stopped');
      return;
    }
    const isAside = error.kind === TABLE_STOPPED;
    if (isAside) this.#log.warn(error.message, { code: error.code, remedy: error.remedy, table: error.table ?? '' });
    if (isAside || this.#rounds.takes(error)) {
      // Nothing to wait for: the next life begins with the table aside, or the log anew.
      this.#become('retrying');
      this.#become('starting');
      return;
    }
    const { retry } = this.#definition;
    this.#attempts++;
    if (error.kind.retry !== 'auto' || (retry.maxAttempts !== undefined && this.#attempts > retry.maxAttempts)) {
      this.#error = error;
      this.#log.error(error.message, {
        code: error.code,
        remedy: error.remedy,
        ...(error.table === undefined ? {} : { table: error.table }),
        ...stackOf(error),
      });
      this.#become('failed');
      return;
    }
    this.#become('retrying');
    this.#ports.metrics.retried(this.name, 'connector');
    const waitMs = backoffMs(retry, this.#attempts, () => this.#ports.runtime.random());
    // The same trouble is said now and then, not at every attempt.
    const text = `${error.code} ${error.message}`;
    const now = this.#ports.runtime.monotonicMs();
    const isSaid = text === this.#lastError && now - this.#saidAt < SAY_AGAIN_MS;
    if (!isSaid) this.#saidAt = now;
    this.#log[isSaid ? 'debug' : 'warn'](`${error.message} Trying again.`, {
      code: error.code,
      remedy: error.remedy,
      attempt: this.#attempts,
    });
    this.#lastError = text;
    await sleep(this.#ports.runtime, waitMs, AbortSignal.any([drain, abort])).catch(() => undefined);
    if (drain.aborted || abort.aborted) this.#become('stopped');
    else this.#become('starting');
  }

  /** One life: from the stored offset until the end, a failure, or `drain`. */
  async #runOnce(drain: AbortSignal, abort: AbortSignal): Promise<void> {
    const { store, runtime, metrics } = this.#ports;
    const definition = this.#definition;
    const stored = await store.load(this.name);
    const tables = openTables(definition, stored);
    const context = this.#sourceContext(tables, (table) => refusalOf(definition, sink, table, abort));
    // Until streaming begins there is nothing to drain: a stop then ends at once.
    const starting = AbortSignal.any([drain, abort]);
    const { source, snapshots } = this.#rounds.open(stored, context);
    const stopped = await openStopped({ definition, ...this.#ports }, stored.place);
    const { mapping, policy } = await openShapes(definition, stored, store, this.#log);
    const sink: Sink = definition.sink.plugin.create(definition.sink.config, this.#sinkContext());
    const format = openFormat(definition, this.#context(), metrics);
    const observing = new AbortController();
    const broken = new AbortController();
    try {
      const ofLife = { sink, format, policy, stopped, abort, failed: (error: unknown) => broken.abort(error) };
      const undelivered = await this.#openUndelivered(ofLife, (label, version) => mappedVersion(tables.find(label, version), mapping));
      this.#judge.judge(await preflight(definition, { source, sink }, starting), this.#rounds.isLost);
      const written = await sink.open(sinkPlace(stored.place), starting);
      this.#opened = true;
      await undelivered.begin();
      this.#snapshots = snapshots;
      this.#become('running');
      void this.#watch.follow(source, observing.signal);
      const events = metrics.events(this.name, () => runtime.nowMicros());
      await runPipeline(
        {
          source,
          sink,
          format,
          read: this.#rounds.from(written),
          runtime,
          maxInFlightBytes: definition.maxInFlightBytes,
          memory: this.#ports.memory,
          maxDelayMs: definition.batch.maxDelay,
          checkpointMaxDelayMs: definition.checkpoint.maxDelay,
          undelivered,
          announcements: openAnnouncements(definition, stored, mapping),
          broken: broken.signal,
          save: (checkpoint) => store.save(this.name, saveOf(checkpoint, undelivered)),
          saveHistory: saveHistoryOf(store, this.name, tables, policy),
          policy,
          mapping,
          events: { ...events, saved: (checkpoint) => this.#saved(checkpoint, undelivered, events) },
        },
        drain,
        abort,
      );
      if (!drain.aborted) this.#rounds.ended(snapshots);
    } finally {
      observing.abort();
      const ended = this.#undelivered?.end();
      this.#undelivered = null;
      this.#snapshots = null;
      await Promise.allSettled([sink.close(), source.close(), ended]);
    }
  }

  #saved(checkpoint: Checkpoint, undelivered: UndeliveredMessages, events: PipelineEvents): void {
    this.#snapshots?.saved(checkpoint.progress);
    this.#rounds.saved();
    undelivered.saved(checkpoint.place);
    events.saved(checkpoint);
    // Progress: the trouble is over.
    this.#attempts = 0;
    this.#lastError = '';
  }

  #context(): PluginContext {
    const { store, runtime, metrics } = this.#ports;
    return { connector: this.name, runtime, log: this.#log, instance: store.instance, retried: (what) => metrics.retried(this.name, what) };
  }

  #sinkContext(): SinkContext {
    const { store } = this.#ports;
    // An attempt that failed before has waited for nothing: the next one still follows a process that was killed (I4).
    const previousShutdown = this.#opened ? 'clean' : store.previousShutdown;
    return {
      ...this.#context(),
      previousShutdown,
      savePlace: (entries) => store.savePlace(this.name, entries),
      undeliverable: (batch, index, error) => this.#undelivered?.undeliverable(batch, index, error) ?? Promise.reject(error),
      isBinary: this.#definition.format.plugin.isBinary === true,
      extraDestinations: extraDestinations(this.#definition),
    };
  }

  /** What the commands `sluice dlq …` ask for. */
  async deadLetters(): Promise<readonly DeadLetterView[]> {
    return viewsOf(this.name, await this.#file());
  }

  async discardDeadLetters(id: string | undefined): Promise<readonly DeadLetterView[]> {
    const isOver = isFinal(this.#state);
    // What is known of a file by a life that is over may not be so any more.
    const file = (isOver ? null : this.#letterFile) ?? (await openToDiscard(this.#definition, this.#ports, id));
    const discard = (): ReturnType<typeof discardLetters> => discardLetters(this.name, file, id);
    const discarded = await (this.#undelivered?.letters?.alone(discard) ?? discard());
    this.#ports.metrics.openDeadLetters(this.name, file?.size ?? 0);
    if (!isOver) return discarded;
    const known = viewsOf(this.name, this.#letterFile);
    this.#letterFile = file;
    this.#goOn();
    return file === null ? known : discarded;
  }

  /** Throws SLUICE_DEAD_LETTER_STOPPED unless the connector is running. */
  async replayDeadLetters(id: string | undefined): Promise<Awaited<ReturnType<DeadLetters['replay']>>> {
    const [letters, file] = [this.#undelivered?.letters ?? null, this.#letterFile];
    if (letters === null || this.#state !== 'running') throw new SluiceError(DEAD_LETTER_STOPPED, { connector: this.name });
    const replayed = await letters.replay(chosenLetters(this.name, file, id));
    this.#ports.metrics.openDeadLetters(this.name, file?.size ?? 0);
    return replayed;
  }

  async #file(): Promise<DeadLetterFile | null> {
    this.#letterFile ??= await openDeadLetters(this.#definition, this.#ports);
    return this.#letterFile;
  }

  /** What the commands `sluice snapshot …` ask for. Throws SLUICE_SNAPSHOT_NOT_RUNNING. */
  get snapshots(): SnapshotCommands {
    if (this.#snapshots === null) throw new SluiceError(SNAPSHOT_NOT_RUNNING, { connector: this.name });
    return this.#snapshots;
  }

  /** Of this life; none between two. */
  copiesUnderWay(): readonly CopyView[] {
    return this.#snapshots?.views() ?? [];
  }

  async copies(): Promise<readonly CopyView[]> {
    return this.#snapshots?.views() ?? storedCopies(this.name, this.#ports.store);
  }

  /** What the commands `sluice tables …` ask for. */
  async stoppedTables(): Promise<readonly StoppedTableView[]> {
    if (this.#undelivered !== null && this.#state === 'running') return this.#undelivered.tables.views();
    const { error } = this.status();
    return (await storedViews(this.name, this.#ports.store)).map((view) => (error === undefined ? view : { ...view, stopped: error }));
  }

  /**
   * What waits is sent by the next life, whose sink sees what was mended meanwhile (a limit that was raised); this one ends in order. Throws
   * SLUICE_TABLES_NOT_RUNNING unless the connector is running, SLUICE_TABLE_NOT_STOPPED.
   */
  async resumeTable(table: string): Promise<StoppedTableView> {
    if (this.#undelivered === null || this.#state !== 'running') throw new SluiceError(TABLES_NOT_RUNNING, { connector: this.name });
    // Another one may have begun when that is saved.
    const life = this.#life;
    const view = await this.#undelivered.tables.resume(table);
    life.abort();
    return view;
  }

  /** Throws SLUICE_TABLE_NOT_STOPPED, SLUICE_TABLE_RESUMING, and SLUICE_TABLES_NOT_RUNNING while it is between two lives. */
  async discardTable(table: string): Promise<StoppedTableView> {
    if (isFinal(this.#state)) {
      const discarded = await discardSpool({ definition: this.#definition, ...this.#ports }, table);
      this.#goOn();
      return discarded;
    }
    if (this.#undelivered === null || this.#state !== 'running') throw new SluiceError(TABLES_NOT_RUNNING, { connector: this.name });
    return this.#undelivered.tables.discard(table);
  }

  /** Lets all known versions of a table through; where it was stopped for one it is resumed. Throws SLUICE_SCHEMA_ACCEPT_NOTHING. */
  async acceptVersions(table: string): Promise<AcceptedView> {
    const view = await acceptVersions(this.#ports.store, this.name, table);
    if (isFinal(this.#state)) this.#goOn();
    // What it knows of it is not so any more.
    else this.#life.abort();
    return view;
  }

  /** Where it had stopped for what a command has mended now, and others keep the process alive. */
  #goOn(): void {
    if (this.#state !== 'failed' || !(isAboutSegments(this.#error) || this.#error?.kind === SCHEMA_INCOMPATIBLE)) return;
    this.#error = null;
    this.#attempts = 0;
    this.#become('starting');
    void this.#again?.();
  }

  /** Opened anew for each life: after a disk's failure nothing else would do. */
  async #openUndelivered(
    ofLife: Pick<UndeliveredPorts, 'sink' | 'format' | 'policy' | 'stopped' | 'abort' | 'failed'>,
    versionOf: UndeliveredPorts['versionOf'],
  ): Promise<UndeliveredMessages> {
    const letters = await openDeadLetters(this.#definition, this.#ports);
    this.#letterFile = letters;
    if (letters !== null) this.#ports.metrics.openDeadLetters(this.name, letters.size);
    this.#undelivered = new UndeliveredMessages({
      ...this.#ports,
      ...ofLife,
      definition: this.#definition,
      letters,
      versionOf,
    });
    return this.#undelivered;
  }

  #sourceContext(tables: TableRegistry, refusal: SourceContext['refusalOf']): SourceContext {
    const { store, once, memory } = this.#ports;
    const { batch } = this.#definition;
    const life = this.#life;
    return {
      ...this.#context(),
      tables,
      batch: { maxRecords: batch.maxRecords, maxBytes: batch.maxBytes },
      maxBufferedBytes: memory.queueBytes,
      once,
      intent: { get: () => store.getIntent(this.name), set: (intent) => store.setIntent(this.name, intent) },
      renew: () => life.abort(),
      refusalOf: refusal,
      tellsDefinitions: definitionsDestination(this.#definition) !== null,
    };
  }

  #become(state: ConnectorState): void {
    if (this.#state === state || !mayFollow(this.#state, state)) return;
    this.#state = state;
    this.#ports.metrics.state(this.name, state);
    if (state === 'running') this.#log.info('Running.');
    if (state === 'stopped') this.#log.info('Stopped.');
  }
}
