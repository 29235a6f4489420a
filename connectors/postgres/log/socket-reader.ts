/** Reads the replication socket in bursts, and stops reading it while somebody holds it. */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Runtime, Timer } from '#plugin';

/** What a read of libuv asks for: a shorter one has emptied the socket. */
const FULL_READ = 64 * 1024;

/**
 * TLS hands over one piece per record, and the walsender sends a record per row: only the sum of what one turn of the event loop brought tells
 * whether the socket was emptied. Of 64 KiB at least half is left after decryption, even for the smallest messages.
 */
const FULL_TLS_TURN = 32 * 1024;

/**
 * The walsender sends each row by itself, and every send wakes a reader that waits; both sides pay a wake-up per row. A reader that looks away for a
 * millisecond after it has emptied the socket finds the rows of that millisecond at once. It never does so after a full read (more is waiting),
 * nor before the first data after silence, which therefore is never late.
 */
const PAUSE_MS = 1;

export interface SocketEvents {
  /** Before a piece of data is parsed. */
  before(): void;
  /** All data of this turn was parsed. */
  drained(): void;
}

export type Hold = 'full' | 'asking';

export class SocketReader {
  readonly #runtime: Runtime;
  readonly #stream: Socket;
  readonly #events: SocketEvents;
  readonly #isTls: boolean;
  /** A Unix socket's buffer holds so little that pausing would starve the reader. */
  readonly #inBursts: boolean;
  readonly #holds = new Set<Hold>();
  readonly #data = (piece: Buffer): void => this.#arrived(piece);
  #pause: Timer | null = null;
  #turnBytes = 0;
  #lastBytes = 0;
  #turnPending = false;
  #closed = false;

  constructor(runtime: Runtime, stream: Socket, events: SocketEvents) {
    this.#runtime = runtime;
    this.#stream = stream;
    this.#events = events;
    this.#isTls = stream instanceof TLSSocket;
    this.#inBursts = this.#isTls || stream.remoteAddress !== undefined;
    stream.prependListener('data', this.#data);
  }

  /** Whether somebody holds the socket: silence then says nothing about the server. */
  get held(): boolean {
    return this.#holds.size > 0;
  }

  /** Stops reading until each hold is taken back. */
  hold(why: Hold, on: boolean): void {
    if (on) this.#holds.add(why);
    else this.#holds.delete(why);
    this.#update();
  }

  close(): void {
    this.#closed = true;
    this.#pause?.clear();
    this.#pause = null;
    this.#stream.removeListener('data', this.#data);
  }

  #arrived(piece: Buffer): void {
    this.#events.before();
    this.#lastBytes = piece.length;
    this.#turnBytes += piece.length;
    if (this.#turnPending) return;
    this.#turnPending = true;
    // After the poll phase: libuv reads on within one turn for as long as its reads are full.
    setImmediate(() => this.#turnEnded());
  }

  #turnEnded(): void {
    this.#turnPending = false;
    if (this.#closed) return;
    const wasEmptied = this.#isTls ? this.#turnBytes < FULL_TLS_TURN : this.#lastBytes < FULL_READ;
    this.#turnBytes = 0;
    this.#events.drained();
    if (!wasEmptied || !this.#inBursts || this.#closed) return;
    this.#pause ??= this.#runtime.setTimer(() => {
      this.#pause = null;
      this.#update();
    }, PAUSE_MS);
    this.#update();
  }

  #update(): void {
    if (this.#closed) return;
    if (this.#pause === null && this.#holds.size === 0) this.#stream.resume();
    else this.#stream.pause();
  }
}
