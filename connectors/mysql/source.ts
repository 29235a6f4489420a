/** The log of a MySQL or MariaDB server as a source: composes preparation, session, decoder and batch queue. */
import {
  BatchQueue,
  BatchWriter,
  type Position,
  type ReadOptions,
  type RecordBatch,
  type RecoverOptions,
  SluiceError,
  type Source,
  type SourceContext,
  type SourceHealth,
  type SourcePreflight,
  type StoredPosition,
} from '#plugin';
import { type MysqlConfig, serverIdOf } from './config.ts';
import { NOTHING_KNOWN } from './headroom.ts';
import { Arrivals } from './log/arrivals.ts';
import { BinlogDecoder } from './log/decoder.ts';
import { gtidsOff } from './log/errors.ts';
import { isBefore } from './log/place.ts';
import { isDumpable, type LogPosition, readPosition, type System } from './log/position.ts';
import { LogSession } from './log/session.ts';
import { FileEnds } from './log/torn.ts';
import type { Prepared } from './prepare.ts';
import { MysqlSnapshots } from './snapshot/snapshots.ts';
import { capturesOf, definitionScope, hidesProblems } from './tables.ts';
import { type Known, MysqlUpstream, type Upstream } from './upstream.ts';

/**
 * A lost connection ends the iterator of `read` with an error that is tried again (`retry: 'auto'`): the engine reads anew from the saved offset, so that
 * it knows of every record that comes again (I4). An unfinished transaction is dropped with the connection.
 */
export class MysqlLogSource implements Source {
  readonly #config: MysqlConfig;
  readonly #system: System;
  readonly #context: SourceContext;
  readonly #upstream: Upstream;
  #queue: BatchQueue | null = null;
  #session: LogSession | null = null;
  #decoder: BinlogDecoder | null = null;
  #arrivals: Arrivals | null = null;
  #snapshots: MysqlSnapshots | null = null;
  #offer: (snapshots: MysqlSnapshots) => void = () => undefined;
  readonly #offered = new Promise<MysqlSnapshots>((resolve) => {
    this.#offer = resolve;
  });
  readonly #binaries = new Set<string>();
  readonly #closing = new AbortController();

  constructor(config: MysqlConfig, system: System, context: SourceContext, upstream: Upstream = new MysqlUpstream(config, system, context)) {
    this.#config = config;
    this.#system = system;
    this.#context = context;
    this.#upstream = upstream;
  }

  preflight(signal: AbortSignal, stored?: StoredPosition): Promise<SourcePreflight> {
    return this.#upstream.preflight(signal, stored);
  }

  async *read(options: ReadOptions, signal: AbortSignal): AsyncGenerator<RecordBatch, void, undefined> {
    const either = AbortSignal.any([signal, this.#closing.signal]);
    const prepared = await this.#upstream.prepare(options, either);
    const queue = this.#makeQueue(prepared);
    this.#queue = queue;
    const session = await this.#makeSession(prepared, queue, options.mayEnd ?? (() => true));
    this.#session = session;
    const snapshots = this.#makeSnapshots(prepared, session);
    this.#snapshots = snapshots;
    this.#offer(snapshots);
    const abort = (): void => queue.fail(either.reason);
    either.addEventListener('abort', abort, { once: true });
    try {
      either.throwIfAborted();
      // At the first start the place where it begins is saved before anything is written, or a crash in between would look like lost state.
      if (options.from === null) yield this.#emptyBatch(prepared.from);
      if (this.#context.once && options.mayEnd === undefined && hasNothing(prepared)) return;
      session.start();
      const { by, gtid, file, pos } = prepared.from;
      this.#context.log.info('Streaming.', by === 'gtid' ? { gtid, file, pos } : { file, pos });
      for (;;) {
        const batch = await queue.next();
        if (batch === null) break;
        yield batch;
      }
      if (session.lost !== null) throw session.lost;
      if (session.turn !== null) yield this.#turned(session.turn);
      if (session.turn !== null) throw session.turn;
    } catch (error) {
      // Closed by ourselves: whatever broke by it is no error.
      if (this.#closing.signal.aborted) return;
      signal.throwIfAborted();
      throw error;
    } finally {
      either.removeEventListener('abort', abort);
      queue.close();
      snapshots.close();
      await session.stop();
    }
  }

  snapshot(): Promise<MysqlSnapshots> {
    return this.#offered;
  }

  /** The server keeps its log by its age, whatever was read of it: nothing is told. */
  acknowledge(): void {}

  async observe(signal: AbortSignal, saved?: Position | null): Promise<SourceHealth> {
    signal.throwIfAborted();
    const known = saved === undefined || saved === null ? null : readPosition(saved, this.#system);
    // By a set of GTIDs alone it is not known where in the log it stands, until that is read.
    const position = known === null || known.file === '' ? this.#decoder?.position : known;
    const look = position === undefined ? NOTHING_KNOWN : await this.#upstream.look(position);
    const session = this.#session;
    return { ...look, retainedBytes: null, slotState: null, overdueMs: session?.overdueMs ?? 0, connected: session?.streaming ?? false };
  }

  recover(options: RecoverOptions, signal: AbortSignal): Promise<Position> {
    return this.#upstream.recover(options, signal);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#queue?.close();
    this.#snapshots?.close();
    await this.#session?.stop();
  }

  #emptyBatch(checkpoint: LogPosition): RecordBatch {
    const batch = new BatchWriter(this.#context.tables, () => undefined, 0);
    batch.setCheckpoint(checkpoint);
    return batch;
  }

  /** The next life reads on by file and position. Throws a SluiceError if they are not known. */
  #turned(turn: SluiceError): RecordBatch {
    const position = this.#decoder?.position;
    if (position === undefined || !isDumpable(Number(position.pos)))
      throw new SluiceError(gtidsOff, { connector: this.#context.connector, detail: turn.message });
    return this.#emptyBatch({ ...position, by: 'file' });
  }

  #makeQueue({ from }: Prepared): BatchQueue {
    const { runtime, tables, batch, maxBufferedBytes } = this.#context;
    return new BatchQueue({
      runtime,
      tables,
      maxBufferedBytes,
      position: () => this.#decoder?.position ?? from,
      maxRecords: batch.maxRecords,
      maxBytes: batch.maxBytes,
      pause: () => this.#session?.setFull(true),
      resume: () => this.#session?.setFull(false),
    });
  }

  #makeSnapshots({ server, charsets, from, wanted, names }: Prepared, session: LogSession): MysqlSnapshots {
    return new MysqlSnapshots(this.#config, this.#context, {
      server,
      charsets,
      from,
      nameless: () => this.#decoder?.nameless ?? 0,
      wanted,
      names,
      come: () => this.#arrivals?.take() ?? [],
      ask: () => session.ask(),
      rested: () => session.endIfDone(),
    });
  }

  async #makeSession({ server, end, from, charsets }: Prepared, queue: BatchQueue, mayEnd: () => boolean): Promise<LogSession> {
    const { connector, instance, runtime, once } = this.#context;
    const captures = capturesOf(this.#config);
    const fileEnds = new FileEnds();
    const known: Known = { charsets, server, fileEnds, binaries: this.#binaries };
    const arrivals = new Arrivals(captures, (database, name, label) => this.#snapshots?.know({ database, name, label }));
    this.#arrivals = arrivals;
    const decoder = new BinlogDecoder({
      connector,
      system: this.#system,
      from,
      captures,
      includesQuery: this.#config.includeQuery,
      definitions: this.#context.tellsDefinitions ? definitionScope(this.#config) : null,
      charsetOf: charsets.of,
      charsetOfStatement: charsets.ofStatement,
      areBinary: (key) => this.#binaries.has(key),
      described: this.#context.tables.described,
      asksCatalogue: hidesProblems(server),
      fileEnds,
      arrivals,
      target: queue,
    });
    this.#decoder = decoder;
    return new LogSession({
      runtime,
      library: await this.#upstream.library(),
      serverId: serverIdOf(this.#config, connector, instance),
      from,
      decoder,
      queue,
      until: once ? end : null,
      mayEnd,
      includesQuery: this.#config.includeQuery,
      decoded: this.#context.decoded,
      heartbeatMs: this.#config.heartbeat.interval,
      learn: (question) => this.#upstream.learn(question, known),
      toError: (error) => this.#upstream.toError(error, from.by),
    });
  }
}

/** Nothing was written since. */
function hasNothing({ from, server, end }: Prepared): boolean {
  return from.by === 'gtid' ? from.gtid === server.executed : !isBefore(from, end);
}
