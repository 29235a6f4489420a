/**
 * The sockets under a kafkajs client. The library opens them and loses sight of them: one that does not connect is left to the kernel, one whose broker
 * has fallen silent is written to for ever, and a call that is still under way when the client is disconnected opens a new one and sends.
 */
import { connect as connectPlain, isIP, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions as TlsOptions } from 'node:tls';
import type { ISocketFactoryArgs } from 'kafkajs';
import type { Runtime } from '#plugin';
import { KafkaFailure } from '../driver.ts';

/** A broker that does not take a connection for so long is tried again later; another one may know more. */
export const CONNECT_MS = 2_000;
/** After our end of a connection was closed, the broker's. */
const LINGER_MS = 1_000;
const KEEP_ALIVE_MS = 60_000;
/** Before each answer. */
const LENGTH_BYTES = 4;

interface Watched {
  readonly socket: Socket;
  heardAt: number;
  /** What had been written when it was last heard from: more is a question without an answer. */
  answered: number;
}

export class Sockets {
  readonly #runtime: Runtime;
  /** Options for TLS as they are now; null: none. */
  readonly #tls: () => TlsOptions | null;
  /** What stands for an address that kafkajs cannot take apart. */
  readonly #aliases: ReadonlyMap<string, string>;
  readonly #open = new Set<Watched>();
  readonly #onClose: () => void;
  #closed = false;

  constructor(runtime: Runtime, tls: () => TlsOptions | null, aliases: ReadonlyMap<string, string>, onClose: () => void) {
    this.#runtime = runtime;
    this.#tls = tls;
    this.#aliases = aliases;
    this.#onClose = onClose;
  }

  readonly factory = ({ host: name, port, onConnect }: ISocketFactoryArgs): Socket => {
    if (this.#closed) throw new KafkaFailure('CONNECTION', 'closed');
    const host = this.#aliases.get(name) ?? name;
    const tls = this.#tls();
    const timer = this.#runtime.setTimer(() => socket.destroy(late(host, port)), CONNECT_MS);
    const connected = (): void => {
      timer.clear();
      watched.heardAt = this.#runtime.monotonicMs();
      watched.answered = socket.bytesWritten;
      onConnect();
    };
    const socket =
      tls === null
        ? connectPlain({ host, port }, connected)
        : // RFC 6066 section 3: an address is no server name.
          connectTls({ host, port, ...(isIP(host) === 0 ? { servername: host } : {}), ...tls }, connected);
    const watched: Watched = { socket, heardAt: this.#runtime.monotonicMs(), answered: 0 };
    this.#open.add(watched);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    // A request is written at once and in one piece: there is nothing to wait for.
    socket.setNoDelay(true);
    socket.on('data', () => {
      watched.heardAt = this.#runtime.monotonicMs();
      watched.answered = socket.bytesWritten;
    });
    giveWhole(socket);
    socket.on('finish', () => this.#runtime.setTimer(() => socket.destroy(), LINGER_MS, true));
    socket.on('close', () => {
      timer.clear();
      this.#open.delete(watched);
    });
    return socket;
  };

  /** Ends the connections on which something was asked and nothing heard for `ms`: the next request goes over a new one. */
  endSilent(ms: number): void {
    const since = this.#runtime.monotonicMs() - ms;
    for (const { socket, heardAt, answered } of this.#open) {
      if (heardAt <= since && socket.bytesWritten > answered) socket.destroy(new Error('the broker does not answer'));
    }
  }

  /** Nothing is sent any more, whatever is still under way. */
  close(): void {
    this.#closed = true;
    for (const { socket } of this.#open) socket.destroy(new Error('closed'));
    this.#onClose();
  }
}

/**
 * The library gets whole answers only. It keeps the beginning of one that was cut off and puts the next connection's first bytes behind it: the numbers
 * that it then reads throw out of the socket's callback, and would end the process.
 */
function giveWhole(socket: Socket): void {
  const on = socket.on.bind(socket) as (event: string, listener: (...args: never[]) => void) => Socket;
  socket.on = ((event: string, listener: (...args: never[]) => void) =>
    on(event, event === 'data' ? wholeAnswers(socket, listener as unknown as (answer: Buffer) => void) : listener)) as typeof socket.on;
}

function wholeAnswers(socket: Socket, listener: (answer: Buffer) => void): (piece: Buffer) => void {
  let parts: Buffer[] = [];
  let have = 0;
  let need = LENGTH_BYTES;
  return (piece) => {
    parts.push(piece);
    have += piece.length;
    try {
      while (have >= need) {
        const bytes = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts, have);
        parts = [bytes];
        const length = bytes.readInt32BE(0);
        if (length < 0) throw new KafkaFailure('CONNECTION', 'what the broker sends is no answer');
        need = LENGTH_BYTES + length;
        if (have < need) return;
        listener(bytes.subarray(0, need));
        have -= need;
        parts = have === 0 ? [] : [bytes.subarray(need)];
        need = LENGTH_BYTES;
      }
    } catch (error) {
      socket.destroy(error as Error);
    }
  };
}

function late(host: string, port: number): Error {
  return Object.assign(new Error(`connect ETIMEDOUT ${host}:${port}`), { code: 'ETIMEDOUT' });
}
