/**
 * One connection that reads the log: @vlasky/zongji makes it and asks for the log; every event's bytes are taken from the driver's connection before the
 * library decodes any rows of them. Never used again once it is over: each connection is a new session.
 */
import { type BatchQueue, type Runtime, SluiceError, type Timer } from '#plugin';
import type { BinlogDecoder } from './decoder.ts';
import { serverSilent, withoutGtids } from './errors.ts';
import type { Library } from './library.ts';
import type { LogPosition } from './position.ts';
import { Question } from './table-map.ts';

export interface SessionOptions {
  readonly runtime: Runtime;
  /** Made for this session alone. */
  readonly library: Library;
  readonly serverId: number;
  /** What is not wanted again. */
  readonly from: LogPosition;
  readonly decoder: BinlogDecoder;
  readonly queue: BatchQueue;
  /** End the queue once everything up to here was read, and `mayEnd` agrees; null = never. */
  readonly until: { readonly file: string; readonly pos: string } | null;
  readonly mayEnd: () => boolean;
  /** MariaDB sends the statements that change rows to whoever asks for them. */
  readonly includesQuery: boolean;
  /** How often the server is to say that it lives. */
  readonly heartbeatMs: number;
  /** Finds the answer while the stream is held. */
  /** As `SourceContext.decoded`. */
  readonly decoded?: ((ms: number) => void) | undefined;
  readonly learn: (question: Question) => Promise<void>;
  readonly toError: (error: unknown) => SluiceError;
}

/** For what a server waits that sends more than is taken: longer than a sink is down as a rule, and a reader that is dead is noticed by TCP before. */
const PATIENT_S = 3_600;
/** For what it waits on a connection over which nothing is asked: the most that every server takes. */
const IDLE_S = 2_147_483;
/** A server is given up that left out this many heartbeats. */
const PATIENCE = 3;
/** Once it is connected the server has this long to begin the stream. */
const START_MS = 30_000;
const STOP_MS = 2000;

/** What the library would do to rows, and what else it need not look at: our decoder has read it. */
const LEFT_ALONE = ['tablemap', 'writerows', 'updaterows', 'deleterows', 'rowsquery', 'annotaterows'];

/** What mysql2's connection has and its types do not say. */
interface Driver {
  handlePacket(packet?: Packet): void;
  query(sql: string, done: (error: Error | null) => void): void;
  /** Paused itself, and not by the driver's own way: that would give packets once more that were read already. */
  stream: { destroy(): void; pause(): void; resume(): void };
}
interface Packet {
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
}

/** The protocol's header of a packet, and the byte before each event. */
const PACKET_HEADER = 4;
const EVENT_FOLLOWS = 0;

export class LogSession {
  readonly #options: SessionOptions;
  readonly #library: Library;
  #driver: Driver | null = null;
  #streaming = false;
  #over = false;
  #heardAt: number;
  #timer: Timer | null = null;
  #isFull = false;
  #isLearning = false;
  /** Events that wait until the question of an earlier one is answered. */
  readonly #held: Buffer[] = [];
  #willFlush = false;
  /** Of the decoder, when it was asked last how far it is. */
  #told: object | null = null;
  #turn: SluiceError | null = null;
  #lost: SluiceError | null = null;
  /** By what the stream was ended while events wait. */
  #ended: { readonly error: unknown } | null = null;
  /** The library has an event at hand. */
  #isPassing = false;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#heardAt = options.runtime.monotonicMs();
    this.#library = options.library;
  }

  /** True while events come. */
  get streaming(): boolean {
    return this.#streaming && !this.#over;
  }

  /** As `SourceHealth` has it: whatever holds the socket. */
  get overdueMs(): number {
    const { runtime, heartbeatMs } = this.#options;
    return this.streaming ? Math.max(0, runtime.monotonicMs() - this.#heardAt - PATIENCE * heartbeatMs) : 0;
  }

  /** Why the queue has ended although there is more: from here on the log has transactions without GTIDs, and is not sent by them. */
  get turn(): SluiceError | null {
    return this.#turn;
  }

  /**
   * Why the queue has ended, where the stream was broken off: what came before it has been handed over all the same. A log that is broken off at the same place each time, as a file is
   * that a crash of the server has torn, would else never be read past that place.
   */
  get lost(): SluiceError | null {
    return this.#lost;
  }

  /** Connects and asks for the log; what comes of it is the queue's. */
  start(): void {
    const { serverId, from, includesQuery } = this.#options;
    const library = this.#library;
    // Any error is the end: the library would go on behind it.
    // But for what it makes of an event's bytes: our decoder has read them already, and stops by itself at what it does not know.
    library.on('error', (error: unknown) => {
      if (!this.#isPassing) this.#lose(error);
    });
    library.on('ready', () => this.#ready());
    const begin = from.by === 'gtid' ? { gtidSet: from.gtid } : { filename: from.file, position: Number(from.pos) };
    library.start({ serverId, ...begin, excludeEvents: LEFT_ALONE, requestAnnotateRows: includesQuery });
    this.#tick();
  }

  /** Back-pressure: while it is full, nothing is read. */
  setFull(isFull: boolean): void {
    this.#isFull = isFull;
    this.#hold();
  }

  /** How far the log was read is told with the next batch, which comes at once. */
  ask(): void {
    const { decoder, queue } = this.#options;
    if (queue.over) return;
    const { settled } = decoder;
    if (settled !== null && settled !== this.#told) {
      this.#told = settled;
      queue.checkpoint();
    }
    queue.flush(true);
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
    const library = this.#library;
    const driver = library.connection as Driver | null;
    if (driver === null || this.#over) return;
    this.#driver = driver;
    const nanos = this.#options.heartbeatMs * 1_000_000;
    // The library asks once whether the log has checksums, and cuts them off or takes them for what is missing by that alone; files of the log may be of either kind, which only
    // our decoder looks at. What it reads beside them is nobody's.
    (library as unknown as { useChecksum: boolean }).useChecksum = false;
    // Asked under both names that servers know it by. A sink that takes nothing for a while is no reason to end the stream: what is left of it would be read anew, over and over.
    const ask = `SET @master_heartbeat_period = ${nanos}, @source_heartbeat_period = ${nanos}, @master_binlog_checksum = 'CRC32', @source_binlog_checksum = 'CRC32', SESSION net_write_timeout = ${PATIENT_S}`;
    let asked = false;
    driver.query(ask, (error) => {
      if (error !== null) this.#fail(error);
      asked = true;
    });
    // Its end would end the session; by the server's default it comes after eight hours.
    (library.ctrlConnection as Driver | null)?.query(`SET SESSION wait_timeout = ${IDLE_S}`, (error) => error !== null && this.#fail(error));
    const handle = driver.handlePacket.bind(driver);
    driver.handlePacket = (packet) => {
      // What comes behind the end is nobody's: the driver would complain of packets out of order.
      if (this.#over) return;
      // Answers to the questions before.
      if (packet === undefined || !asked) return handle(packet);
      const at = packet.start + PACKET_HEADER;
      if (packet.buffer[at] !== EVENT_FOLLOWS || packet.end - at < 20) return handle(packet);
      this.#streaming = true;
      this.#heardAt = this.#options.runtime.monotonicMs();
      const bytes = packet.buffer.subarray(at + 1, packet.end);
      // The rest of what the socket had given when it was paused.
      if (this.#isLearning) this.#held.push(Buffer.from(bytes));
      else this.#event(bytes);
      if (this.#over) return;
      this.#isPassing = true;
      try {
        handle(packet);
      } finally {
        this.#isPassing = false;
      }
    };
  }

  #event(bytes: Buffer): void {
    const { decoder, runtime, decoded } = this.#options;
    const begun = runtime.monotonicMs();
    try {
      decoder.handle(bytes);
      decoded?.(runtime.monotonicMs() - begun);
    } catch (error) {
      if (error instanceof Question) this.#learn(error, bytes);
      else this.#fail(error);
      return;
    }
    this.#flushSoon();
    this.endIfDone();
  }

  /** With `until`: whether that is so may have changed. */
  endIfDone(): void {
    const { decoder, queue, until, mayEnd } = this.#options;
    if (until !== null && !queue.over && decoder.reached(until) && mayEnd()) queue.end();
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

  /** The event is given again once the answer is known; what comes behind it waits. */
  #learn(question: Question, bytes: Buffer): void {
    this.#isLearning = true;
    this.#held.unshift(Buffer.from(bytes));
    this.#hold();
    this.#options.learn(question).then(
      () => {
        this.#isLearning = false;
        for (let event = this.#held.shift(); event !== undefined; event = this.#held.shift()) {
          this.#event(event);
          if (this.#isLearning || this.#over) return;
        }
        if (this.#ended === null) this.#hold();
        else this.#lose(this.#ended.error);
      },
      (error: unknown) => this.#fail(error),
    );
  }

  get #isHeld(): boolean {
    return this.#isFull || this.#isLearning;
  }

  #hold(): void {
    if (this.#driver === null || this.#over) return;
    if (this.#isHeld) this.#driver.stream.pause();
    else {
      // Nothing could be heard meanwhile.
      this.#heardAt = this.#options.runtime.monotonicMs();
      this.#driver.stream.resume();
    }
  }

  #tick(): void {
    if (this.#over) return;
    const { runtime, heartbeatMs } = this.#options;
    const silence = this.#isHeld ? 0 : runtime.monotonicMs() - this.#heardAt;
    if (silence > (this.#streaming ? PATIENCE * heartbeatMs : START_MS))
      this.#fail(new SluiceError(serverSilent, { seconds: Math.round(silence / 1000) }));
    if (!this.#over) this.#timer = runtime.setTimer(() => this.#tick(), heartbeatMs);
  }

  /** The server, or the connection, has ended the stream. */
  #lose(error: unknown): void {
    const { queue, toError } = this.#options;
    if (this.#over || queue.over) return;
    // What waits for an answer came before it.
    if (this.#isLearning) {
      this.#ended ??= { error };
      return;
    }
    const typed = toError(error);
    if (typed.kind === withoutGtids) {
      this.#fail(typed);
      return;
    }
    this.#lost = typed;
    this.#over = true;
    this.#timer?.clear();
    queue.end();
    this.#driver?.stream.destroy();
  }

  #fail(error: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#timer?.clear();
    const { queue, decoder, toError } = this.#options;
    const typed = error instanceof SluiceError ? error : toError(error);
    if (typed.kind === withoutGtids && decoder.settled !== null) {
      // Between two transactions: what was read is whole, and none of it is to be read once more.
      this.#turn = typed;
      queue.end();
    } else queue.fail(typed);
    // Nothing more is read, whatever waits in the socket.
    this.#driver?.stream.destroy();
  }
}
