/** Runs one `COPY … TO STDOUT` on a connection and takes its rows off the socket, past the driver's parser: batches, not rows. */
import type { Socket } from 'node:net';
import type pg from 'pg';
import type { BatchPool, BatchWriter } from '#plugin';
import { CopyFrames } from '../log/copy-frames.ts';

/** Types of messages of the protocol (manual, 55.7). */
const COPY_OUT = 0x48;
const COPY_DONE = 0x63;
const COMMAND_COMPLETE = 0x43;
const ERROR = 0x45;
const READY = 0x5a;
const PARSE_COMPLETE = 0x31;
const BIND_COMPLETE = 0x32;
const HEADER = 5;

/** Full batches that wait for the reader before the socket is no longer read. */
const MAX_WAITING = 2;

/** The server's answer, as the driver would throw it. */
class ServerError extends Error {
  readonly severity: string;
  readonly code: string;

  constructor(fields: ReadonlyMap<string, string>) {
    super(fields.get('M') ?? 'unknown error');
    this.severity = fields.get('V') ?? fields.get('S') ?? 'ERROR';
    this.code = fields.get('C') ?? 'XX000';
  }
}

/** Rows do not have the form that COPY has. */
export class MalformedRows extends Error {}

/** What becomes of the rows of a copy. */
export interface RowUse {
  /** The first row of a batch is about to come. */
  begin(batch: BatchWriter): void;
  /** Decodes the row that stands in the batch's arena from `start` to `end`. False: it is none. */
  row(batch: BatchWriter, start: number, end: number): boolean;
}

/**
 * A reader that stops early leaves the connection unusable: it is the caller's to destroy. Throws
 * ServerError, MalformedRows, and what the socket failed with.
 */
export async function* copyRows(client: pg.Client, sql: string, pool: BatchPool, use: RowUse): AsyncGenerator<BatchWriter, void, undefined> {
  const copy = new Copy(client, pool, use);
  try {
    copy.begin(sql);
    for (let batch = await copy.next(); batch !== null; batch = await copy.next()) yield batch;
  } finally {
    copy.end();
  }
}

/** The driver's own messages (`pg/lib/connection.js`). */
interface Connection {
  readonly stream: Socket;
  parse(query: { readonly name: string; readonly text: string; readonly types: readonly number[] }): void;
  bind(portal: object): void;
  execute(portal: object): void;
  sync(): void;
}

class Copy {
  readonly #connection: Connection;
  readonly #pool: BatchPool;
  readonly #use: RowUse;
  readonly #parsers: ((bytes: Buffer) => void)[];
  readonly #frames: CopyFrames;
  #batch: BatchWriter;
  readonly #waiting: BatchWriter[] = [];
  #rows = 0;
  #reported = -1;
  #isDone = false;
  #failure: Error | null = null;
  #wake: (() => void) | null = null;
  /** What the socket gave last, as far as the batch's arena has it whole, and how far behind its own place it stands there. */
  #piece: Buffer | null = null;
  #distance = 0;
  readonly #take = (piece: Buffer): void => {
    // The driver may fill the same memory again.
    this.#piece = null;
    this.#frames.push(piece);
  };
  readonly #lost = (error?: unknown): void => this.#fail(error instanceof Error ? error : new Error('Connection terminated unexpectedly'));

  constructor(client: pg.Client, pool: BatchPool, use: RowUse) {
    this.#connection = (client as unknown as { connection: Connection }).connection;
    this.#pool = pool;
    this.#use = use;
    this.#batch = pool.take();
    this.#parsers = this.#connection.stream.listeners('data') as ((bytes: Buffer) => void)[];
    this.#frames = new CopyFrames('rows', {
      data: (bytes, start, end) => this.#data(bytes, start, end),
      other: (message) => this.#other(message),
      broken: () => this.#fail(new MalformedRows('what came is not the protocol')),
    });
  }

  begin(sql: string): void {
    const { stream } = this.#connection;
    stream.removeAllListeners('data');
    stream.on('data', this.#take);
    stream.on('error', this.#lost);
    stream.on('close', this.#lost);
    // By the extended protocol, which takes one statement: of a condition that brings others along none is run.
    this.#connection.parse({ name: '', text: sql, types: [] });
    this.#connection.bind({});
    this.#connection.execute({});
    this.#connection.sync();
  }

  end(): void {
    const { stream } = this.#connection;
    stream.removeListener('data', this.#take);
    stream.removeListener('error', this.#lost);
    stream.removeListener('close', this.#lost);
    for (const parse of this.#parsers) stream.on('data', parse);
    stream.resume();
    for (const batch of [...this.#waiting, this.#batch]) batch.release();
    this.#waiting.length = 0;
  }

  /** The next full batch, the last one with whatever it has; null: there are no more. */
  async next(): Promise<BatchWriter | null> {
    for (;;) {
      const batch = this.#waiting.shift();
      if (batch !== undefined) {
        if (this.#waiting.length < MAX_WAITING) this.#connection.stream.resume();
        return batch;
      }
      if (this.#failure !== null) throw this.#failure;
      if (this.#isDone) {
        const last = this.#batch;
        if (last.count === 0) return null;
        this.#batch = this.#pool.take();
        return last;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #data(bytes: Buffer, start: number, end: number): void {
    if (this.#failure !== null) return;
    const batch = this.#batch;
    if (batch.count === 0) this.#use.begin(batch);
    if (batch.count === 0 || bytes !== this.#piece) this.#place(bytes, start, batch);
    if (!this.#use.row(batch, start + this.#distance, end + this.#distance)) {
      this.#fail(new MalformedRows(`row ${this.#rows + 1} of the copy`));
      return;
    }
    this.#rows++;
    if (!this.#pool.full(batch)) return;
    this.#waiting.push(batch);
    this.#batch = this.#pool.take();
    if (this.#waiting.length >= MAX_WAITING) this.#connection.stream.pause();
    this.#wakeUp();
  }

  /** All that came with the row, at once: to copy row by row would take as long as to decode them. */
  #place(bytes: Buffer, start: number, batch: BatchWriter): void {
    batch.reserve(bytes.length - start);
    bytes.copy(batch.arena, batch.arenaLength, start);
    this.#distance = batch.arenaLength - start;
    this.#piece = bytes;
  }

  #other(message: Buffer): void {
    switch (message[0]) {
      case ERROR:
        this.#failure ??= new ServerError(fieldsOf(message));
        break;
      case COMMAND_COMPLETE:
        this.#reported = Number(/^COPY (\d+)/.exec(message.toString('latin1', HEADER))?.[1] ?? -1);
        break;
      case READY:
        if (this.#reported !== this.#rows) this.#failure ??= new MalformedRows(`${this.#rows} rows came, the server has sent ${this.#reported}`);
        this.#isDone = true;
        this.#wakeUp();
        break;
      case PARSE_COMPLETE:
      case BIND_COMPLETE:
      case COPY_OUT:
      case COPY_DONE:
        break;
      default:
        // Notices, changed settings: for the driver.
        for (const parse of this.#parsers) parse(message);
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#wakeUp();
  }

  #wakeUp(): void {
    this.#wake?.();
    this.#wake = null;
  }
}

/** Fields of an error message: a letter and a text that ends with zero, each (manual, 55.8). */
function fieldsOf(message: Buffer): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (let at = HEADER; at < message.length && message[at] !== 0; ) {
    const end = message.indexOf(0, at + 1);
    if (end < 0) break;
    fields.set(String.fromCharCode(message[at] as number), message.toString('utf8', at + 1, end));
    at = end + 1;
  }
  return fields;
}
