/** What stands in for @vlasky/zongji and mysql2's connection: packets come as from a socket. */
import { EventEmitter } from 'node:events';
import type { Library, LogRequest } from '../../../connectors/mysql/log/library.ts';
import type { Owner, World } from '../world.ts';
import { Refused, Sending } from './dump.ts';
import type { BinlogServer, Dump } from './server.ts';

interface Packet {
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
}

const HEADER_BYTES = 4;
const OK = 0x00;
const ERROR = 0xff;
const FATAL_READING_LOG = 1236;
const DEFAULT_HEARTBEAT_MS = 30_000;
const POISON = 0x5a;

export class SimulatedLibrary extends EventEmitter implements Library, Dump {
  readonly ctrlConnection = null;
  connection: unknown = null;
  useChecksum = true;
  readonly #world: World;
  readonly #owner: Owner;
  readonly #server: BinlogServer;
  #sending: Sending | null = null;
  #answered: (() => void) | null = null;
  #heartbeatMs = DEFAULT_HEARTBEAT_MS;
  #isPaused = false;
  /** Nobody listens any more. */
  #isStopped = false;
  /** Nothing comes any more, and nobody says so. */
  #isDead = false;
  /** All that is there was sent. */
  #isIdle = false;
  /** Something is on its way. */
  #isPumping = false;

  constructor(world: World, owner: Owner, server: BinlogServer) {
    super();
    this.#world = world;
    this.#owner = owner;
    this.#server = server;
  }

  get file(): number {
    return this.#sending?.file ?? 0;
  }

  start(request: LogRequest): void {
    this.#server.ask(
      this.#owner,
      'connect to the log',
      () => this.#connected(request),
      () => this.#lose(),
    );
  }

  stop(): void {
    this.#isStopped = true;
    this.connection = null;
    this.#server.dumps.delete(this);
    this.#world.after(this.#owner, this.#world.random.next(), 'the library has stopped', () => this.emit('stopped'));
  }

  cutOff(isSilent: boolean): void {
    this.#sending?.stop();
    this.#server.dumps.delete(this);
    if (isSilent) this.#isDead = true;
    else this.#world.after(this.#owner, this.#server.latency(), 'the connection to the log is closed', () => this.#lose());
  }

  #connected(request: LogRequest): void {
    if (this.#isStopped) return;
    const connection = {
      handlePacket: (packet?: Packet): void => this.#handle(packet),
      query: (sql: string, done: (error: Error | null) => void): void => this.#query(sql, done, request),
      stream: {
        destroy: (): void => {
          this.#isDead = true;
          this.#server.dumps.delete(this);
        },
        pause: (): void => {
          this.#isPaused = true;
        },
        resume: (): void => {
          this.#isPaused = false;
          this.#pump();
        },
      },
    };
    this.connection = connection;
    this.emit('ready');
  }

  #query(sql: string, done: (error: Error | null) => void, request: LogRequest): void {
    const nanos = Number(/@master_heartbeat_period = (\d+)/.exec(sql)?.[1] ?? 0);
    if (nanos > 0) this.#heartbeatMs = nanos / 1e6;
    this.#answered = () => {
      done(null);
      this.#server.ask(
        this.#owner,
        'the request for the log',
        () => this.#dump(request),
        () => this.#lose(),
      );
    };
    this.#server.ask(
      this.#owner,
      'the answer to a question before the log',
      () => this.#packets([Buffer.from([OK, 0, 0, 2, 0, 0, 0])]),
      () => this.#lose(),
    );
  }

  /** The library's own part, behind which it must not matter what it makes of an event. */
  #handle(packet: Packet | undefined): void {
    if (packet === undefined || this.#isStopped) return;
    const at = packet.start + HEADER_BYTES;
    const answered = this.#answered;
    this.#answered = null;
    if (answered !== null) answered();
    else if (packet.buffer[at] === ERROR) this.emit('error', refusal(packet.buffer.toString('utf8', at + 9, packet.end)));
    else if (this.#world.random.chance(0.01)) this.emit('error', new Error('the library cannot read this event'));
  }

  #dump(request: LogRequest): void {
    if (this.#isStopped || this.#isDead) return;
    const refused = this.#attempt(() => {
      this.#sending = new Sending(this.#server, this.#world.random, request);
    });
    if (refused !== null) {
      this.#packets([refused]);
      return;
    }
    this.#server.dumps.add(this);
    this.#beat();
    this.#pump();
  }

  /** The packet in which the server refuses to go on; null: it does not. */
  #attempt(send: () => void): Buffer | null {
    try {
      send();
      return null;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      const head = Buffer.from([ERROR, FATAL_READING_LOG & 0xff, FATAL_READING_LOG >> 8, 0x23, 0x48, 0x59, 0x30, 0x30, 0x30]);
      return Buffer.concat([head, Buffer.from(error.message)]);
    }
  }

  /** What has come is given to the reader as soon as it reads. */
  #pump(): void {
    if (this.#isPumping || this.#isDead || this.#sending === null) return;
    this.#isPumping = true;
    this.#isIdle = false;
    this.#world.after(this.#owner, this.#server.latency() / 4, 'packets of the log', () => this.#arrive());
  }

  #arrive(): void {
    this.#isPumping = false;
    if (this.#isDead || this.#isStopped) return;
    const { random } = this.#world;
    if (this.#server.isLost()) this.#lose();
    if (this.#isDead) return;
    if (this.#isCut(() => this.#pump())) return;
    if (this.#isPaused) return;
    const events: Buffer[] = [];
    const refused = this.#attempt(() => {
      for (let left = random.pick([1, 2, 5, 15, 40]); left > 0; left--) {
        const event = this.#sending?.next() ?? null;
        if (event === null) break;
        events.push(Buffer.concat([Buffer.from([OK]), event]));
      }
    });
    if (refused !== null) {
      this.#packets([...events, refused]);
      return;
    }
    if (events.length === 0) {
      this.#isIdle = true;
      void this.#server.grown(this.#owner).then(() => this.#pump());
      return;
    }
    this.#packets(events);
    this.#pump();
  }

  #beat(): void {
    this.#world.after(this.#owner, this.#heartbeatMs, 'heartbeat of the log', () => {
      if (this.#isDead || this.#isStopped) return;
      const sending = this.#sending as Sending;
      if (this.#isIdle && !this.#isPaused && this.#world.now >= this.#server.cutUntil)
        this.#packets([Buffer.concat([Buffer.from([OK]), sending.heartbeat()])]);
      this.#beat();
    });
  }

  /** Nothing comes through: afterwards it goes on, or is dead without a word. */
  #isCut(again: () => void): boolean {
    const { now, random } = this.#world;
    const { cutUntil } = this.#server;
    if (now >= cutUntil) return false;
    if (random.chance(0.5)) this.#world.after(this.#owner, cutUntil - now, 'the network is back', again);
    else this.#isDead = true;
    return true;
  }

  /** One read of the socket: all of it is given to the reader, whatever it asks for meanwhile. */
  #packets(contents: readonly Buffer[]): void {
    const driver = this.connection as { handlePacket(packet: Packet): void } | null;
    if (driver === null) return;
    const chunk = Buffer.concat(contents.flatMap((content) => [Buffer.alloc(HEADER_BYTES), content]));
    let start = 0;
    for (const { length } of contents) {
      const end = start + HEADER_BYTES + length;
      driver.handlePacket({ buffer: chunk, start, end });
      start = end;
    }
    // Whoever keeps a part of it must have made a copy.
    chunk.fill(POISON);
  }

  #lose(): void {
    this.#server.dumps.delete(this);
    if (this.#isStopped || this.#isDead) return;
    this.#isDead = true;
    this.emit(
      'error',
      Object.assign(new Error('Connection lost: The server closed the connection.'), { code: 'PROTOCOL_CONNECTION_LOST', fatal: true }),
    );
  }
}

function refusal(message: string): Error {
  return Object.assign(new Error(message), { errno: FATAL_READING_LOG, sqlState: 'HY000', code: 'ER_SOURCE_FATAL_ERROR_READING_BINLOG' });
}
