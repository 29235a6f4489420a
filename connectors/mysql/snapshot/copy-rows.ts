/** Runs one query on a connection and takes its rows off the socket, past the driver's parser: batches, not rows. */
import type { BatchPool, BatchWriter } from '#plugin';
import type { Driver } from '../client.ts';
import { readPackedInteger } from '../log/packed.ts';
import { Packets } from './packets.ts';

/** COM_QUERY, and what the first byte of an answer means (MySQL internals, "COM_QUERY Response"). */
const QUERY = 3;
const OK = 0x00;
const END = 0xfe;
const ERROR = 0xff;
/** A packet that begins with END and is longer than this is a row. */
const LONGEST_END = 9;

/** Full batches that wait for the reader before the socket is no longer read. */
const MAX_WAITING = 2;

/** The server's answer, as the driver would throw it. */
class ServerError extends Error {
  readonly errno: number;
  readonly sqlState: string;

  constructor(packet: Buffer) {
    super(packet.toString('utf8', 9));
    this.errno = packet.readUInt16LE(1);
    this.sqlState = packet.toString('latin1', 4, 9);
  }
}

/** Rows do not have the form that they should have. */
export class MalformedRows extends Error {}

/** What becomes of the rows of a copy. */
export interface RowUse {
  /** The first row of a batch is about to come. */
  begin(batch: BatchWriter): void;
  /** Decodes the row that stands in the batch's arena from `start` to `end`. Throws RangeError if it is none. */
  row(batch: BatchWriter, start: number, end: number): void;
}

/**
 * Nothing else may be under way on the connection. A reader that stops early leaves it unusable: it is the caller's to destroy. Throws what the server answered,
 * MalformedRows, what `use` threw and what the socket failed with. It ends with the server's word that there are no more rows, never with the connection.
 */
export async function* copyRows(driver: Driver, sql: string, pool: BatchPool, use: RowUse): AsyncGenerator<BatchWriter, void, undefined> {
  const copy = new Copy(driver, pool, use);
  try {
    copy.begin(sql);
    for (let batch = await copy.next(); batch !== null; batch = await copy.next()) yield batch;
  } finally {
    copy.end();
  }
}

class Copy {
  readonly #driver: Driver;
  readonly #pool: BatchPool;
  readonly #use: RowUse;
  readonly #parser: Driver['packetParser'];
  readonly #packets = new Packets((bytes, start, end) => this.#packet(bytes, start, end));
  #batch: BatchWriter;
  readonly #waiting: BatchWriter[] = [];
  /** Descriptions of columns that are yet to come, and the end of them; −1: their number is not known. */
  #columns = -1;
  #isDone = false;
  #failure: Error | null = null;
  #wake: (() => void) | null = null;
  /** What the socket gave last, as far as the batch's arena has it whole, and how far behind its own place it stands there. */
  #piece: Buffer | null = null;
  #distance = 0;
  /** The driver says nothing of a connection that was closed here. */
  readonly #lost = (error?: unknown): void => this.#fail(error instanceof Error ? error : new Error('the connection was closed'));

  constructor(driver: Driver, pool: BatchPool, use: RowUse) {
    this.#driver = driver;
    this.#pool = pool;
    this.#use = use;
    this.#batch = pool.take();
    this.#parser = driver.packetParser;
  }

  begin(sql: string): void {
    this.#driver.on('error', this.#lost);
    this.#driver.stream.on('close', this.#lost);
    this.#driver.packetParser = {
      execute: (piece) => {
        // The driver may fill the same memory again.
        this.#piece = null;
        this.#packets.push(piece);
      },
    };
    const text = Buffer.from(sql, 'utf8');
    const packet = Buffer.alloc(5);
    packet.writeUIntLE(text.length + 1, 0, 3);
    packet[4] = QUERY;
    this.#driver.write(Buffer.concat([packet, text]));
  }

  end(): void {
    this.#driver.removeListener('error', this.#lost);
    this.#driver.stream.removeListener('close', this.#lost);
    this.#driver.packetParser = this.#parser;
    this.#driver.stream.resume();
    for (const batch of [...this.#waiting, this.#batch]) batch.release();
    this.#waiting.length = 0;
  }

  /** The next full batch, the last one with whatever it has; null: there are no more. */
  async next(): Promise<BatchWriter | null> {
    for (;;) {
      const batch = this.#waiting.shift();
      if (batch !== undefined) {
        if (this.#waiting.length < MAX_WAITING) this.#driver.stream.resume();
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

  #packet(bytes: Buffer, start: number, end: number): void {
    if (this.#failure !== null || this.#isDone) return;
    const first = bytes[start];
    if (first === ERROR) this.#fail(new ServerError(bytes.subarray(start, end)));
    else if (this.#columns < 0) this.#head(bytes, start, first);
    else if (this.#columns > 0) this.#columns--;
    else if (first === END && end - start < LONGEST_END) {
      this.#isDone = true;
      this.#wakeUp();
    } else this.#row(bytes, start, end);
  }

  #head(bytes: Buffer, start: number, first: number | undefined): void {
    if (first === undefined || first === OK || first > END) this.#fail(new MalformedRows('the answer has no columns'));
    // A packet for each, and one that ends them.
    else this.#columns = readPackedInteger(bytes, start).value + 1;
  }

  #row(bytes: Buffer, start: number, end: number): void {
    const batch = this.#batch;
    try {
      if (batch.count === 0) this.#use.begin(batch);
      if (batch.count === 0 || bytes !== this.#piece) this.#place(bytes, start, batch);
      this.#use.row(batch, start + this.#distance, end + this.#distance);
    } catch (error) {
      this.#fail(error instanceof RangeError ? new MalformedRows(error.message) : (error as Error));
      return;
    }
    if (!this.#pool.full(batch)) return;
    this.#waiting.push(batch);
    this.#batch = this.#pool.take();
    if (this.#waiting.length >= MAX_WAITING) this.#driver.stream.pause();
    this.#wakeUp();
  }

  /** All that came with the row, at once: to copy row by row would take as long as to decode them. */
  #place(bytes: Buffer, start: number, batch: BatchWriter): void {
    batch.reserve(bytes.length - start);
    bytes.copy(batch.arena, batch.arenaLength, start);
    this.#distance = batch.arenaLength - start;
    batch.arenaLength += bytes.length - start;
    this.#piece = bytes;
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
