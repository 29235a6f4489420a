/**
 * One connection that reads the log: @vlasky/zongji makes it and asks for the log; every event's bytes are taken from the driver's connection before the
 * library decodes any rows of them. Never used again once it is over: each connection is a new session.
 */
import ZongJi from '@vlasky/zongji';
import type { ConnectionOptions } from 'mysql2/promise';
import { type Runtime, SluiceError, type Timer } from '#plugin';
import { type BinlogDecoder, CatalogueChanged } from './decoder.ts';
import { serverSilent } from './errors.ts';
import type { BatchQueue } from './queue.ts';
import { UnknownCollation } from './table-map.ts';

export interface SessionOptions {
  readonly runtime: Runtime;
  readonly connection: ConnectionOptions;
  readonly serverId: number;
  /** Transactions that are not wanted again. */
  readonly gtid: string;
  readonly decoder: BinlogDecoder;
  readonly queue: BatchQueue;
  /** End the queue once everything up to here was read; null = never. */
  readonly until: { readonly file: string; readonly pos: number } | null;
  /** How often the server is to say that it lives. */
  readonly heartbeatMs: number;
  /** Asks the server for what the decoder has to know, while the stream is held. */
  readonly learn: (what: UnknownCollation | CatalogueChanged) => Promise<void>;
  readonly toError: (error: unknown) => SluiceError;
}

/** Once it is connected the server has this long to begin the stream. */
const START_MS = 30_000;
const STOP_MS = 2000;

/** What the library would do to rows, and what else it need not look at: our decoder has read it. */
const LEFT_ALONE = ['tablemap', 'writerows', 'updaterows', 'deleterows', 'rowsquery', 'annotaterows'];

/** What mysql2's connection has and its types do not say. */
interface Driver {
  handlePacket(packet?: Packet): void;
  query(sql: string, done: (error: Error | null) => void): void;
  pause(): void;
  resume(): void;
  _paused: boolean;
  _paused_packets: Packet[];
  sequenceId: number;
  stream: { destroy(): void };
}
interface Packet {
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
  clone(): Packet;
}

/** The protocol's header of a packet, and the byte before each event. */
const PACKET_HEADER = 4;
const EVENT_FOLLOWS = 0;

export class LogSession {
  readonly #options: SessionOptions;
  readonly #library: ZongJi;
  #driver: Driver | null = null;
  #streaming = false;
  #over = false;
  #heardAt: number;
  #timer: Timer | null = null;
  #isFull = false;
  #isLearning = false;
  #willFlush = false;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#heardAt = options.runtime.monotonicMs();
    this.#library = new ZongJi(options.connection as ConstructorParameters<typeof ZongJi>[0]);
  }

  /** True while events come. */
  get streaming(): boolean {
    return this.#streaming && !this.#over;
  }

  /** Connects and asks for the log; what comes of it is the queue's. */
  start(): void {
    const { serverId, gtid } = this.#options;
    const library = this.#library;
    // Any error is the end: the library would go on behind it.
    library.on('error', (error: unknown) => this.#fail(error));
    library.on('ready', () => this.#ready());
    library.start({ serverId, gtidSet: gtid, excludeEvents: LEFT_ALONE });
    this.#tick();
  }

  /** Back-pressure: while it is full, nothing is read. */
  setFull(isFull: boolean): void {
    this.#isFull = isFull;
    this.#hold();
  }

  async stop(): Promise<void> {
    this.#over = true;
    this.#timer?.clear();
    const stopped = new Promise<void>((resolve) => {
      const timer = this.#options.runtime.setTimer(() => resolve(), STOP_MS, true);
      this.#library.once('stopped', () => {
        timer.clear();
        resolve();
      });
    });
    this.#driver?.stream.destroy();
    this.#library.stop();
    await stopped;
  }

  /** In the library's own moment between its questions and its request for the log. */
  #ready(): void {
    const driver = this.#library.connection as unknown as Driver | null;
    if (driver === null || this.#over) return;
    this.#driver = driver;
    const nanos = this.#options.heartbeatMs * 1_000_000;
    // Asked under both names that servers know it by. Checksums are read in any case.
    const ask = `SET @master_heartbeat_period = ${nanos}, @source_heartbeat_period = ${nanos}`;
    let asked = false;
    driver.query(ask, (error) => {
      if (error !== null) this.#fail(error);
      asked = true;
    });
    const handle = driver.handlePacket.bind(driver);
    driver.handlePacket = (packet) => {
      // What comes behind the end is nobody's: the driver would complain of packets out of order.
      if (this.#over) return;
      // Answers to the questions before; what comes while the driver holds packets is kept by it and comes again.
      if (packet === undefined || !asked || driver._paused) return handle(packet);
      const at = packet.start + PACKET_HEADER;
      if (packet.buffer[at] !== EVENT_FOLLOWS || packet.end - at < 20) return handle(packet);
      this.#streaming = true;
      if (this.#event(packet.buffer.subarray(at + 1, packet.end), packet)) handle(packet);
    };
  }

  /** False: the event is given again later. */
  #event(bytes: Buffer, packet: Packet): boolean {
    const { runtime, decoder, queue, until } = this.#options;
    this.#heardAt = runtime.monotonicMs();
    try {
      decoder.handle(bytes);
    } catch (error) {
      if (error instanceof UnknownCollation || error instanceof CatalogueChanged) {
        this.#learn(error, packet);
        return false;
      }
      this.#fail(error);
      return false;
    }
    this.#flushSoon();
    if (until !== null && !queue.over && decoder.reached(until.file, until.pos)) queue.end();
    return true;
  }

  /** Once for all events of one read from the socket. */
  #flushSoon(): void {
    if (this.#willFlush) return;
    this.#willFlush = true;
    queueMicrotask(() => {
      this.#willFlush = false;
      this.#options.queue.flush(false);
    });
  }

  #learn(what: UnknownCollation | CatalogueChanged, packet: Packet): void {
    const driver = this.#driver as Driver;
    this.#isLearning = true;
    driver.pause();
    driver._paused_packets.unshift(packet.clone());
    this.#options.learn(what).then(
      () => {
        this.#isLearning = false;
        this.#hold();
      },
      (error: unknown) => this.#fail(error),
    );
  }

  #hold(): void {
    const driver = this.#driver;
    if (driver === null || this.#over) return;
    const holds = this.#isFull || this.#isLearning;
    if (holds === driver._paused) return;
    if (holds) driver.pause();
    else driver.resume();
  }

  #tick(): void {
    if (this.#over) return;
    const { runtime, heartbeatMs } = this.#options;
    const silence = this.#driver?._paused === true ? 0 : runtime.monotonicMs() - this.#heardAt;
    if (silence > (this.#streaming ? 3 * heartbeatMs : START_MS)) this.#fail(new SluiceError(serverSilent, { seconds: Math.round(silence / 1000) }));
    if (!this.#over) this.#timer = runtime.setTimer(() => this.#tick(), heartbeatMs);
  }

  #fail(error: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#timer?.clear();
    this.#options.queue.fail(error instanceof SluiceError ? error : this.#options.toError(error));
    // Nothing more is read, whatever waits in the socket.
    this.#driver?.stream.destroy();
  }
}
