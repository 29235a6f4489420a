/**
 * One replication connection: pg-logical-replication as the transport, with everything that it leaves open or gets wrong closed here. Never used
 * again once it is over: each connection is a new session, so that nothing is resumed from what was merely received.
 */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type pg from 'pg';
import { LogicalReplicationService } from 'pg-logical-replication';
import { type Runtime, SluiceError, type Timer } from '#plugin';
import { quoteIdentifier, quoteLiteral } from '../client.ts';
import { SESSION_SETTINGS } from '../types.ts';
import { CopyFrames } from './copy-frames.ts';
import { processSuspended, protocolViolation, serverSilent, sessionSetting, streamEnded } from './errors.ts';
import { ASK, type PgoutputDecoder } from './pgoutput.ts';
import { formatLsn } from './position.ts';
import type { LogQueue } from './queue.ts';
import type { Relation } from './relation.ts';
import { SocketReader } from './socket-reader.ts';

export interface SessionOptions {
  readonly runtime: Runtime;
  /** Made for this one connection; its `connection` is the one that will be used. */
  readonly clientConfig: pg.ClientConfig;
  readonly slot: string;
  readonly publications: readonly string[];
  /** Where to start: the end of the last commit that is durable, or a later checkpoint. */
  readonly start: bigint;
  /** End the queue once everything up to here was read, and `mayEnd` agrees; null = never. */
  readonly until: bigint | null;
  readonly mayEnd: () => boolean;
  readonly decoder: PgoutputDecoder;
  readonly queue: LogQueue;
  /** Loads what the catalogue says about a relation once the transaction `xid` is visible in it, while the stream is held. */
  readonly learn: (relation: Relation, xid: number) => Promise<void>;
  /** As `SourceContext.decoded`. */
  readonly decoded?: ((ms: number) => void) | undefined;
  readonly toError: (error: unknown) => SluiceError;
}

/** A server is given up that was silent for this many times its wal_sender_timeout. */
const PATIENCE = 1.25;
/** Status is sent at least this often, also while the socket is paused: the server ends a connection that is silent for wal_sender_timeout. */
const STATUS_MS = 5000;
/** While the end of the log is waited for (`once`), the server is asked this often how far it has come. */
const ASK_MS = 100;
/** Once it is connected the server has this long to begin the stream: until then nobody looks whether it still speaks. */
const START_MS = 10_000;
/** Stopping waits this long for the driver. */
const STOP_MS = 1000;

/** A copy message behind type and length (manual 55.7), and the keepalive in it ("k": tag, end, clock, reply flag; 55.4). */
const COPY_DATA = 0x64;
const MESSAGE_HEADER = 5;
const KEEPALIVE = 0x6b;
const KEEPALIVE_LENGTH = 18;

const ignore = (): void => undefined;

/** The private parts of the driver that the transport itself uses. */
interface DriverConnection extends NodeJS.EventEmitter {
  readonly stream: Socket | TLSSocket;
}

interface Held {
  readonly bytes: Buffer;
  readonly hi: number;
  readonly lo: number;
}

export class ReplicationSession {
  readonly #options: SessionOptions;
  readonly #service: LogicalReplicationService;
  #connection: DriverConnection;
  #client: pg.Client | null = null;
  #reader: SocketReader | null = null;
  #over = false;
  #streaming = false;
  /** First byte that is not yet durable: what the server is told (I5). */
  #acknowledged: bigint;
  /** Messages that arrived while the catalogue is asked; null = it is not. */
  #held: Held[] | null = null;
  #timer: Timer | null = null;
  #walSenderTimeoutMs = 0;
  /** Somebody waits for the next keepalive. */
  #asked = false;
  #heardAt = 0;
  #tickAt = 0;
  #failure: SluiceError | null = null;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#acknowledged = options.start;
    this.#connection = (options.clientConfig as unknown as { connection: DriverConnection }).connection;
    // auto: false and timeoutSeconds: 0: its timer acknowledges what was received, whether or not it is durable. Flow control goes on after errors.
    this.#service = new LogicalReplicationService(options.clientConfig, {
      acknowledge: { auto: false, timeoutSeconds: 0 },
      flowControl: { enabled: false },
    });
  }

  /** True from the first answer of the server to the end of the session. */
  get streaming(): boolean {
    return this.#streaming && !this.#over;
  }

  /** As `SourceHealth` has it: whatever holds the socket. */
  get overdueMs(): number {
    const timeout = this.#walSenderTimeoutMs;
    if (timeout === 0 || !this.streaming) return 0;
    return Math.max(0, this.#options.runtime.monotonicMs() - this.#heardAt - timeout * PATIENCE);
  }

  /** Connects and starts the stream. Throws a SluiceError. What goes wrong later fails the queue. */
  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      const limitMs = (this.#options.clientConfig.connectionTimeoutMillis ?? 0) + START_MS;
      this.#timer = this.#options.runtime.setTimer(() => {
        const error = new SluiceError(serverSilent, { seconds: Math.round(limitMs / 1000) });
        this.#fail(error);
        reject(error);
      }, limitMs);
      this.#service.on('error', (error: unknown) => this.#fail(error));
      this.#service.on('heartbeat', (lsn: string, _time: number, shouldRespond: boolean) => this.#keepalive(lsn, shouldRespond));
      this.#service.on('start', () => {
        this.#streaming = true;
        this.#timer?.clear();
        this.#tick();
        resolve();
      });
      const plugin = {
        name: 'pgoutput',
        options: {},
        start: (client: pg.Client) => this.#begin(client),
        // Never called: what it would get is taken off before (`takeStream`).
        parse: () => undefined,
      };
      this.#service
        .subscribe(plugin as unknown as Parameters<LogicalReplicationService['subscribe']>[0], this.#options.slot, formatLsn(this.#options.start))
        .then(
          () => this.#fail(new SluiceError(streamEnded)),
          (error: unknown) => {
            this.#fail(error);
            reject(this.#failure ?? this.#options.toError(error));
          },
        );
    });
  }

  /** Everything before `lsn` is durable in the sink and saved (I5): the server may forget it. */
  acknowledge(lsn: bigint): void {
    if (lsn <= this.#acknowledged) return;
    this.#acknowledged = lsn;
    this.#sendStatus(false);
  }

  /** The server tells how far it has come, and the queue hands that over without waiting for changes. */
  ask(): void {
    this.#asked = true;
    this.#sendStatus(true);
  }

  /** Back-pressure: no more is read from the socket; the server is still told that we live. */
  setFull(full: boolean): void {
    if (!full) this.#heardAt = this.#options.runtime.monotonicMs();
    this.#reader?.hold('full', full);
  }

  /** Ends the connection. Throws nothing. */
  async stop(): Promise<void> {
    this.#over = true;
    this.#timer?.clear();
    this.#reader?.close();
    let timer: Timer | null = null;
    const limit = new Promise<void>((resolve) => {
      timer = this.#options.runtime.setTimer(resolve, STOP_MS);
    });
    // While connecting the driver's own end() would wait for the server.
    if (!this.#streaming) this.#connection.stream.destroy();
    await Promise.race([this.#service.stop().catch(ignore), limit]);
    (timer as Timer | null)?.clear();
    // The transport takes its listeners away: a late error of the socket would then have none and end the process.
    this.#connection.on('error', ignore);
    this.#client?.on('error', ignore);
    this.#connection.stream.destroy();
  }

  /** Called by the transport once it is connected. */
  async #begin(client: pg.Client): Promise<unknown> {
    this.#client = client;
    this.#connection = (client as unknown as { connection: DriverConnection }).connection;
    const version = await this.#readSettings(client);
    this.#takeStream(this.#connection);
    this.#reader = new SocketReader(this.#options.runtime, this.#connection.stream, {
      before: () => this.#heard(),
      drained: () => this.#turn(),
    });
    const publications = this.#options.publications.map(quoteIdentifier).join(',');
    const options = [`proto_version '1'`, `publication_names ${quoteLiteral(publications)}`];
    if (version >= 140_000) options.push(`messages 'true'`);
    const slot = quoteIdentifier(this.#options.slot);
    // The start is always explicit: the transport's own is the last LSN that it received.
    return client.query(`START_REPLICATION SLOT ${slot} LOGICAL ${formatLsn(this.#options.start)} (${options.join(', ')})`);
  }

  /** Makes sure that the session prints values as they are read, and learns when the server gives a silent client up. */
  async #readSettings(client: pg.Client): Promise<number> {
    const names = [...Object.keys(SESSION_SETTINGS), 'wal_sender_timeout', 'server_version_num'];
    const list = names.map(quoteLiteral).join(', ');
    const { rows } = await client.query<{ name: string; setting: string }>(
      `SELECT name, setting FROM pg_catalog.pg_settings WHERE name IN (${list})`,
    );
    const actual = new Map(rows.map(({ name, setting }) => [name, setting]));
    for (const [name, expected] of Object.entries(SESSION_SETTINGS)) {
      const found = actual.get(name) ?? '';
      if (found !== expected) throw new SluiceError(sessionSetting, { name, actual: found, expected });
    }
    this.#walSenderTimeoutMs = Number(actual.get('wal_sender_timeout') ?? 0);
    this.#tickAt = this.#heardAt = this.#options.runtime.monotonicMs();
    return Number(actual.get('server_version_num') ?? 0);
  }

  /**
   * The log's messages go straight to the decoder. The driver's parser and the transport get everything else (keepalives, errors, the end of the stream)
   * and keep the session; of each row they would make an object, two views, a text, two events and a promise. Nothing is under way on the connection now.
   */
  #takeStream({ stream }: DriverConnection): void {
    const parsers = stream.listeners('data') as ((bytes: Buffer) => void)[];
    stream.removeAllListeners('data');
    const frames = new CopyFrames('log', {
      data: (bytes, start, end, hi, lo) => this.#receive(bytes.subarray(start, end), hi, lo),
      other: (message) => {
        if (this.#isPassable(message)) for (const parse of parsers) parse(message);
        else
          this.#fail(new SluiceError(protocolViolation, { what: 'a copy message that is neither data nor a keepalive', lsn: 'an unknown position' }));
      },
      broken: () => this.#fail(new SluiceError(protocolViolation, { what: 'bytes that are no message', lsn: 'an unknown position' })),
    });
    const { runtime, decoded } = this.#options;
    stream.on('data', (piece: Buffer) => {
      const begun = runtime.monotonicMs();
      frames.push(piece);
      decoded?.(runtime.monotonicMs() - begun);
    });
  }

  /** Of copy messages only keepalives: the transport would throw out of the socket's callback at anything shorter, or pass over it. */
  #isPassable(message: Buffer): boolean {
    return message[0] !== COPY_DATA || (message[MESSAGE_HEADER] === KEEPALIVE && message.length === MESSAGE_HEADER + KEEPALIVE_LENGTH);
  }

  /** One message of the stream, a view on memory that is used again: it is decoded here and now. Throws nothing. */
  #receive(message: Buffer, hi: number, lo: number): void {
    if (this.#over || this.#options.queue.over) return;
    if (this.#held !== null) {
      this.#held.push({ bytes: Buffer.from(message), hi, lo });
      return;
    }
    try {
      if (this.#options.decoder.decode(message, hi, lo) === ASK) void this.#learn();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Holds the stream, asks the catalogue, and goes on where it stopped: nothing is lost or reordered. */
  async #learn(): Promise<void> {
    const { decoder, learn } = this.#options;
    const held: Held[] = [];
    this.#held = held;
    this.#reader?.hold('asking', true);
    try {
      while (decoder.wanted !== null) {
        await learn(decoder.wanted, decoder.xid);
        if (this.#over) return;
        decoder.learned();
        while (decoder.wanted === null && held.length > 0) {
          const { bytes, hi, lo } = held.shift() as Held;
          decoder.decode(bytes, hi, lo);
        }
      }
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#held = null;
    this.#heardAt = this.#options.runtime.monotonicMs();
    this.#reader?.hold('asking', false);
    this.#turn();
  }

  /** Before each piece of data is looked at. */
  #heard(): void {
    const now = this.#options.runtime.monotonicMs();
    this.#checkSuspended(now);
    this.#heardAt = now;
  }

  /** All that has arrived was decoded. */
  #turn(): void {
    if (this.#over || this.#held !== null) return;
    this.#options.queue.flush(false);
    this.#checkEnd();
  }

  #keepalive(lsn: string, shouldRespond: boolean): void {
    if (this.#over) return;
    try {
      if (this.#held === null) {
        const slash = lsn.indexOf('/');
        // Through the queue like a commit, behind every record before it: saved and acknowledged only once they are durable (I5).
        this.#options.decoder.reached(Number.parseInt(lsn.slice(0, slash), 16), Number.parseInt(lsn.slice(slash + 1), 16));
        // A server that waits for an answer may be shutting down: it ends only when all it has sent is confirmed.
        if (shouldRespond || this.#asked) this.#options.queue.flush(true);
        this.#asked = false;
        this.#checkEnd();
      }
      if (shouldRespond) this.#sendStatus(false);
    } catch (error) {
      this.#fail(error);
    }
  }

  #checkEnd(): void {
    const { until, queue, decoder, mayEnd } = this.#options;
    // Asked again with each answer to the next tick.
    if (until === null || decoder.inTransaction || !queue.reached(until) || !mayEnd()) return;
    queue.end();
    this.#reader?.hold('full', true);
  }

  /** THE one place where the server is told what it may forget. The library adds one to the LSN: one is taken off before. */
  #sendStatus(ask: boolean): void {
    // 0/0 is no position; telling it would be telling nothing.
    if (!this.streaming || this.#acknowledged === 0n) return;
    this.#service.acknowledge(formatLsn(this.#acknowledged - 1n), ask).then(
      (sent) => {
        if (!sent) this.#fail(new SluiceError(streamEnded));
      },
      (error: unknown) => this.#fail(error),
    );
  }

  #tick(): void {
    if (this.#over) return;
    const { runtime, until, queue } = this.#options;
    const timeout = this.#walSenderTimeoutMs;
    const now = runtime.monotonicMs();
    this.#checkSuspended(now);
    const silence = this.#reader?.held === true ? 0 : now - this.#heardAt;
    if (timeout > 0 && silence > timeout * PATIENCE) this.#fail(new SluiceError(serverSilent, { seconds: Math.round(silence / 1000) }));
    if (this.#over) return;
    this.#tickAt = now;
    const isEnding = until !== null && !queue.over;
    // We report often enough that the server never needs to ask whether we live, and so would never speak: ask it in time.
    this.#sendStatus(isEnding || (timeout > 0 && silence > timeout / 2));
    const interval = timeout > 0 ? Math.min(STATUS_MS, timeout / 4) : STATUS_MS;
    this.#timer = runtime.setTimer(() => this.#tick(), isEnding ? Math.min(ASK_MS, interval) : interval);
  }

  /** After a pause longer than wal_sender_timeout the slot may be another's, whatever still waits in our socket: nothing of it is handed on. */
  #checkSuspended(now: number): void {
    const gap = now - this.#tickAt;
    if (this.#walSenderTimeoutMs > 0 && this.#streaming && gap > this.#walSenderTimeoutMs) {
      this.#fail(new SluiceError(processSuspended, { seconds: Math.round(gap / 1000) }));
    }
  }

  /** Any error is the end of the session. */
  #fail(error: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#failure = error instanceof SluiceError ? error : this.#options.toError(error);
    this.#timer?.clear();
    this.#reader?.close();
    this.#options.queue.fail(this.#failure);
  }
}
