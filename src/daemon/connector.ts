import type { ConnectorDefinition } from '../config/load.ts';
import type { DeadLetters } from '../dead-letters/dead-letters.ts';
import { DEAD_LETTER_STOPPED } from '../dead-letters/errors.ts';
import type { DeadLetterFile } from '../dead-letters/file.ts';
import type { Logger } from '../plugin/context.ts';
import { SluiceError } from '../plugin/error.ts';
import { aborted, sleep } from '../plugin/runtime.ts';
import { SCHEMA_INCOMPATIBLE } from '../schema-policy/errors.ts';
import { isAboutSegments } from '../segments/errors.ts';
import type { SnapshotCommands } from '../snapshot/commands.ts';
import { SNAPSHOT_NOT_RUNNING } from '../snapshot/errors.ts';
import type { CopyView } from '../snapshot/view.ts';
import { TABLE_STOPPED, TABLES_NOT_RUNNING } from '../stopped-tables/errors.ts';
import type { StoppedTableView } from '../stopped-tables/state.ts';
import { type AcceptedView, acceptVersions } from './accept.ts';
import { backoffMs } from './backoff.ts';
import type { ConnectorPorts, ConnectorStatus } from './connector-ports.ts';
import { CopyRounds } from './copy-rounds.ts';
import { chosenLetters, type DeadLetterView, discardLetters, openDeadLetters, openToDiscard, viewsOf } from './dead-letters.ts';
import { asSluiceError } from './failure.ts';
import { HealthWatch } from './health.ts';
import { Judge } from './judge.ts';
import { Life } from './life.ts';
import { type ConnectorState, isFinal, mayFollow } from './lifecycle.ts';
import { CONNECTOR_ENDED, CONNECTOR_FAILED, CONNECTOR_PAUSED } from './lifecycle-errors.ts';
import { Protection } from './protection.ts';
import { watchAtRest } from './rest-watch.ts';
import { storedCopies } from './snapshots.ts';
import { discardSpool, storedViews } from './stopped-tables.ts';
import { Trouble } from './trouble.ts';
import type { UndeliveredMessages } from './undelivered.ts';

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
  /** When it came to be so, microseconds since the epoch. */
  #since: number;
  #error: SluiceError | null = null;
  /** Captured ones; null: not known yet. */
  #tables: number | null = null;
  readonly #trouble: Trouble;
  readonly #watch: HealthWatch;
  /** This process has opened the sink: what the process before it had sent was reckoned with. */
  #opened = false;
  #life: Life | null = null;
  /** Ends what is waited for between two lives. */
  #word = new AbortController();
  #isPaused: boolean;
  /** In this process. */
  #hasRun = false;
  #letterFile: DeadLetterFile | null = null;
  #ended: Promise<void> = Promise.resolve();
  #again: (() => Promise<void>) | null = null;

  constructor(definition: ConnectorDefinition, ports: ConnectorPorts) {
    this.name = definition.name;
    this.#definition = definition;
    this.#ports = ports;
    this.#log = ports.log;
    this.#watch = new HealthWatch(definition.name, ports, new Protection(definition, ports.log));
    this.#rounds = new CopyRounds(definition, ports.log, ports.showsCopies);
    this.#judge = new Judge(definition, ports.log);
    this.#trouble = new Trouble(ports.runtime, ports.log);
    this.#isPaused = ports.isPaused;
    this.#since = ports.runtime.nowMicros();
    ports.metrics.state(this.name, this.#state, ports.runtime.monotonicMs());
  }

  get definition(): ConnectorDefinition {
    return this.#definition;
  }

  get state(): ConnectorState {
    return this.#state;
  }

  /** Why the connector stopped; null while it runs, or when it stopped because it was asked to. */
  get error(): SluiceError | null {
    return this.#error;
  }

  status(): ConnectorStatus {
    const { name, source, sink } = this.#definition;
    const error = this.#error ?? this.#trouble.error;
    return {
      name,
      state: this.#state,
      since: new Date(this.#since / 1000).toISOString(),
      source: source.plugin.type,
      sink: sink.plugin.type,
      attempts: this.#trouble.attempts,
      tables: this.#tables,
      figures: this.#ports.metrics.figures(name),
      health: this.#watch.health,
      pressure: this.#watch.pressure,
      freshness: this.#ports.metrics.freshness(name),
      isStalled: this.#watch.isStalled,
      ...(error === null ? {} : { error: { code: error.code, message: error.message, remedy: error.remedy } }),
    };
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
    const draining = (): void => this.#drain();
    drain.addEventListener('abort', draining);
    try {
      while (!isFinal(this.#state)) {
        if (this.#isPaused && !drain.aborted) await this.#rest(drain, abort);
        else await this.#live(drain, abort);
      }
    } finally {
      drain.removeEventListener('abort', draining);
    }
  }

  /** One life, and what follows from its end. */
  async #live(drain: AbortSignal, abort: AbortSignal): Promise<void> {
    const life = this.#beginLife();
    let failure: unknown = null;
    try {
      await life.run(drain, abort);
    } catch (error) {
      // Asked to end before there was anything to finish: that is no failure.
      const isEnd = error === drain.reason || (life.isEnded && (error as Partial<Error> | null)?.name === 'AbortError');
      failure = drain.aborted && isEnd ? null : error;
    }
    if (life.isEnded && !drain.aborted && !abort.aborted) {
      // Ended for another one, wherever it was: what was wrong with it, the next one meets as well.
      this.#become('retrying');
      this.#become('starting');
    } else if (failure === null) this.#become('stopped');
    else await this.#afterFailure(asSluiceError(failure), drain, abort);
  }

  #beginLife(): Life {
    // An attempt that failed before has waited for nothing: the next one still follows a process that was killed (I4).
    const previousShutdown = this.#opened ? 'clean' : this.#ports.store.previousShutdown;
    const events = {
      sinkOpened: () => {
        this.#opened = true;
      },
      lettersOpened: (letters: DeadLetterFile | null) => {
        this.#letterFile = letters;
      },
      running: (tables: number) => {
        this.#tables = tables;
        this.#hasRun = true;
        this.#become('running');
      },
      // Progress: the trouble is over.
      saved: () => this.#trouble.over(),
    };
    const [definition, ports, rounds, judge, watch] = [this.#definition, this.#ports, this.#rounds, this.#judge, this.#watch];
    const life = new Life({ definition, ports, rounds, judge, watch, previousShutdown, events });
    this.#life = life;
    return life;
  }

  /** Paused: nothing is read until somebody says so. */
  async #rest(drain: AbortSignal, abort: AbortSignal): Promise<void> {
    this.#become('paused');
    this.#trouble.over();
    this.#log.warn('Paused: nothing is read until it is resumed, and the server keeps its log for it meanwhile, or deletes it by its own rules.', {
      remedy: `sluice resume --connector ${this.name}`,
    });
    if (this.#ports.once) {
      this.#become('stopped');
      return;
    }
    const word = AbortSignal.any([drain, abort, this.#newWord()]);
    await Promise.all([aborted(word), watchAtRest(this.#definition, this.#ports, this.#watch, word)]);
    this.#become(drain.aborted || abort.aborted ? 'stopped' : 'starting');
  }

  #newWord(): AbortSignal {
    this.#word = new AbortController();
    return this.#word.signal;
  }

  /**
   * Nothing is read any more until `resume`, not by the next process either. What is in flight is waited for, `withinMs` at most: what is not confirmed by then is sent again later.
   * Throws SLUICE_CONNECTOR_FAILED, SLUICE_CONNECTOR_ENDED.
   */
  async pause(withinMs: number): Promise<ConnectorStatus> {
    this.#demandAlive();
    await this.#ports.store.setPaused(this.name, true);
    this.#isPaused = true;
    if (this.#state !== 'paused') this.#endLife(withinMs);
    return this.status();
  }

  /** Throws SLUICE_CONNECTOR_FAILED, SLUICE_CONNECTOR_ENDED. */
  async resume(): Promise<ConnectorStatus> {
    this.#demandAlive();
    await this.#ports.store.setPaused(this.name, false);
    this.#isPaused = false;
    if (this.#state === 'paused') this.#word.abort();
    return this.status();
  }

  /** Begins another life, at once; also of one that has failed. Throws SLUICE_CONNECTOR_PAUSED, SLUICE_CONNECTOR_ENDED. */
  restart(withinMs: number): ConnectorStatus {
    if (this.#state === 'failed') this.#startAgain();
    else {
      this.#demandAlive();
      if (this.#isPaused) throw new SluiceError(CONNECTOR_PAUSED, { connector: this.name });
      this.#endLife(withinMs);
    }
    return this.status();
  }

  #demandAlive(): void {
    if (this.#state === 'stopped') throw new SluiceError(CONNECTOR_ENDED, { connector: this.name });
    if (this.#error !== null) throw new SluiceError(CONNECTOR_FAILED, { connector: this.name, reason: this.#error.message });
  }

  /** For another one, or to rest. */
  #endLife(withinMs?: number): void {
    this.#drain();
    this.#life?.end(withinMs);
    // What is waited for after a failure.
    this.#word.abort();
  }

  #drain(): void {
    if (this.#state === 'running') this.#become('draining');
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
    const attempt = ++this.#trouble.attempts;
    // At the start they are wrong; once they were right they are being exchanged.
    const isWaitedFor = error.kind.retry === 'auto' || (error.kind.refusesCredentials === true && this.#hasRun);
    if (!isWaitedFor || (retry.maxAttempts !== undefined && attempt > retry.maxAttempts)) {
      this.#error = error;
      this.#trouble.stops(error);
      this.#become('failed');
      return;
    }
    this.#trouble.waitsFor(error);
    this.#become('retrying');
    this.#ports.metrics.retried(this.name, 'connector');
    const waitMs = backoffMs(retry, attempt, () => this.#ports.runtime.random());
    await sleep(this.#ports.runtime, waitMs, AbortSignal.any([drain, abort, this.#newWord()])).catch(() => undefined);
    if (drain.aborted || abort.aborted) this.#become('stopped');
    else this.#become('starting');
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
    const discarded = await (this.#life?.undelivered?.letters?.alone(discard) ?? discard());
    this.#ports.metrics.openDeadLetters(this.name, file?.size ?? 0);
    if (!isOver) return discarded;
    const known = viewsOf(this.name, this.#letterFile);
    this.#letterFile = file;
    this.#goOn();
    return file === null ? known : discarded;
  }

  /** Throws SLUICE_DEAD_LETTER_STOPPED unless the connector is running. */
  async replayDeadLetters(id: string | undefined): Promise<Awaited<ReturnType<DeadLetters['replay']>>> {
    const [letters, file] = [this.#life?.undelivered?.letters ?? null, this.#letterFile];
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
    const snapshots = this.#life?.snapshots ?? null;
    if (snapshots === null) throw new SluiceError(SNAPSHOT_NOT_RUNNING, { connector: this.name });
    return snapshots;
  }

  /** Of this life; none between two. */
  copiesUnderWay(): readonly CopyView[] {
    return this.#life?.snapshots?.views() ?? [];
  }

  async copies(): Promise<readonly CopyView[]> {
    return this.#life?.snapshots?.views() ?? storedCopies(this.name, this.#ports.store);
  }

  /** What the commands `sluice tables …` ask for. */
  async stoppedTables(): Promise<readonly StoppedTableView[]> {
    const undelivered = this.#runningMessages();
    if (undelivered !== null) return undelivered.tables.views();
    const { error } = this.status();
    return (await storedViews(this.name, this.#ports.store)).map((view) => (error === undefined ? view : { ...view, stopped: error }));
  }

  /**
   * What waits is sent by the next life, whose sink sees what was mended meanwhile (a limit that was raised); this one ends in order. Throws
   * SLUICE_TABLES_NOT_RUNNING unless the connector is running, SLUICE_TABLE_NOT_STOPPED.
   */
  async resumeTable(table: string): Promise<StoppedTableView> {
    const undelivered = this.#runningMessages();
    if (undelivered === null) throw new SluiceError(TABLES_NOT_RUNNING, { connector: this.name });
    // Another one may have begun when that is saved.
    const life = this.#life;
    const view = await undelivered.tables.resume(table);
    life?.end();
    return view;
  }

  /** Throws SLUICE_TABLE_NOT_STOPPED, SLUICE_TABLE_RESUMING, and SLUICE_TABLES_NOT_RUNNING while it is between two lives. */
  async discardTable(table: string): Promise<StoppedTableView> {
    if (isFinal(this.#state)) {
      const discarded = await discardSpool({ definition: this.#definition, ...this.#ports }, table);
      this.#goOn();
      return discarded;
    }
    const undelivered = this.#runningMessages();
    if (undelivered === null) throw new SluiceError(TABLES_NOT_RUNNING, { connector: this.name });
    return undelivered.tables.discard(table);
  }

  #runningMessages(): UndeliveredMessages | null {
    return this.#state === 'running' ? (this.#life?.undelivered ?? null) : null;
  }

  /** Lets all known versions of a table through; where it was stopped for one it is resumed. Throws SLUICE_SCHEMA_ACCEPT_NOTHING. */
  async acceptVersions(table: string): Promise<AcceptedView> {
    const view = await acceptVersions(this.#ports.store, this.name, table);
    if (isFinal(this.#state)) this.#goOn();
    // What it knows of it is not so any more.
    else this.#life?.end();
    return view;
  }

  /** Where it had stopped for what a command has mended now, and others keep the process alive. */
  #goOn(): void {
    if (this.#state !== 'failed' || !(isAboutSegments(this.#error) || this.#error?.kind === SCHEMA_INCOMPATIBLE)) return;
    this.#startAgain();
  }

  #startAgain(): void {
    this.#error = null;
    this.#trouble.over();
    this.#become('starting');
    void this.#again?.();
  }

  #become(state: ConnectorState): void {
    if (this.#state === state || !mayFollow(this.#state, state)) return;
    this.#state = state;
    this.#since = this.#ports.runtime.nowMicros();
    this.#ports.metrics.state(this.name, state, this.#ports.runtime.monotonicMs());
    if (state === 'running') this.#log.info('Running.');
    if (state === 'stopped') this.#log.info('Stopped.');
  }
}
