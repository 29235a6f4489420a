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
import type { Charsets } from './charset-tables.ts';
import { Client, connectionOptions } from './client.ts';
import { type MysqlConfig, serverIdOf } from './config.ts';
import { asSluiceError } from './connection-error.ts';
import { readDefinitions } from './definitions.ts';
import { BinlogDecoder } from './log/decoder.ts';
import { DefinitionsWanted } from './log/definitions.ts';
import { gtidsOff } from './log/errors.ts';
import { isBefore } from './log/place.ts';
import { isDumpable, type LogPosition, type System } from './log/position.ts';
import { LogSession } from './log/session.ts';
import { CatalogueChanged, type Question, UnknownBinaries, UnknownCollation } from './log/table-map.ts';
import { FileEnds, UnknownFileEnd } from './log/torn.ts';
import { preflightMysql } from './preflight.ts';
import { type Prepared, prepareLog } from './prepare.ts';
import { recoverPosition } from './recover.ts';
import { bytesBehind, type ServerFacts, wholeIn } from './server.ts';
import { MysqlSnapshots } from './snapshot/snapshots.ts';
import { capturesOf, definitionScope, demandBinaries, hidesProblems, matchTables } from './tables.ts';

/** What is asked for while a log is read. */
interface Known {
  readonly charsets: Charsets;
  readonly server: ServerFacts;
  readonly fileEnds: FileEnds;
}

/**
 * A lost connection ends the iterator of `read` with an error that is tried again (`retry: 'auto'`): the engine reads anew from the saved offset, so that
 * it knows of every record that comes again (I4). An unfinished transaction is dropped with the connection.
 */
export class MysqlLogSource implements Source {
  readonly #config: MysqlConfig;
  readonly #system: System;
  readonly #context: SourceContext;
  #queue: BatchQueue | null = null;
  #session: LogSession | null = null;
  #decoder: BinlogDecoder | null = null;
  #snapshots: MysqlSnapshots | null = null;
  #offer: (snapshots: MysqlSnapshots) => void = () => undefined;
  readonly #offered = new Promise<MysqlSnapshots>((resolve) => {
    this.#offer = resolve;
  });
  /** Tables of which the catalogue has said that what looks binary is. */
  readonly #binaries = new Set<string>();
  readonly #closing = new AbortController();

  constructor(config: MysqlConfig, system: System, context: SourceContext) {
    this.#config = config;
    this.#system = system;
    this.#context = context;
  }

  preflight(signal: AbortSignal, stored?: StoredPosition): Promise<SourcePreflight> {
    return preflightMysql(this.#config, this.#system, this.#context, signal, stored);
  }

  async *read(options: ReadOptions, signal: AbortSignal): AsyncGenerator<RecordBatch, void, undefined> {
    const either = AbortSignal.any([signal, this.#closing.signal]);
    const prepared = await prepareLog(this.#config, this.#system, this.#context, options, either);
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

  async observe(signal: AbortSignal): Promise<SourceHealth> {
    signal.throwIfAborted();
    const connected = this.#session?.streaming ?? false;
    return { lagBytes: await this.#lag(), retainedBytes: null, slotState: null, connected };
  }

  recover(options: RecoverOptions, signal: AbortSignal): Promise<Position> {
    return recoverPosition(this.#config, this.#system, this.#context, options, signal);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#queue?.close();
    this.#snapshots?.close();
    await this.#session?.stop();
  }

  /** Bytes to the log's end; null where the file that is read is gone. */
  async #lag(): Promise<number | null> {
    const position = this.#decoder?.position;
    if (position === undefined) return null;
    const client = await Client.connect(this.#config, this.#context.runtime.files);
    try {
      return await bytesBehind(client, position);
    } finally {
      client.close();
    }
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
      ask: () => session.ask(),
      rested: () => session.endIfDone(),
    });
  }

  async #makeSession({ server, end, from, charsets }: Prepared, queue: BatchQueue, mayEnd: () => boolean): Promise<LogSession> {
    const { connector, instance, runtime, once } = this.#context;
    const serverId = serverIdOf(this.#config, connector, instance);
    const captures = capturesOf(this.#config);
    const fileEnds = new FileEnds();
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
      target: queue,
    });
    this.#decoder = decoder;
    return new LogSession({
      runtime,
      connection: await connectionOptions(this.#config, runtime.files),
      serverId,
      from,
      decoder,
      queue,
      until: once ? end : null,
      mayEnd,
      includesQuery: this.#config.includeQuery,
      heartbeatMs: this.#config.heartbeat.interval,
      learn: (question) => this.#learn({ charsets, server, fileEnds }, question),
      toError: (error) =>
        asSluiceError(error, { config: this.#config, doing: 'the request for its log', stream: { connector, serverId, by: from.by } }),
    });
  }

  async #learn({ charsets, server, fileEnds }: Known, question: Question): Promise<void> {
    const client = await Client.connect(this.#config, this.#context.runtime.files);
    try {
      if (question instanceof UnknownCollation) await charsets.learn(client, question.collation, 'a captured table');
      else if (question instanceof DefinitionsWanted) await readDefinitions(client, this.#system, question);
      else if (question instanceof CatalogueChanged) await this.#checkTables(client, server);
      else if (question instanceof UnknownFileEnd) fileEnds.know(question.file, await wholeIn(client, question.file));
      else if (question instanceof UnknownBinaries) {
        await demandBinaries(client, question);
        this.#binaries.add(question.key);
      }
    } finally {
      client.close();
    }
  }

  /** Throws a SluiceError if a table has by now what it is refused for. */
  async #checkTables(client: Client, server: ServerFacts): Promise<void> {
    if (!hidesProblems(server)) return;
    const { problems } = await matchTables(client, this.#config, server);
    if (problems[0] !== undefined) throw problems[0];
  }
}

/** Nothing was written since. */
function hasNothing({ from, server, end }: Prepared): boolean {
  return from.by === 'gtid' ? from.gtid === server.executed : !isBefore(from, end);
}
