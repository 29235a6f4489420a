/**
 * As much of Kafka's wire protocol as the harness needs, written by hand, so that what the tests find out about a broker does not depend on
 * the client that the product uses.
 */
import { connect, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';

export const API = {
  produce: 0,
  fetch: 1,
  listOffsets: 2,
  metadata: 3,
  saslHandshake: 17,
  createTopics: 19,
  describeAcls: 29,
  createAcls: 30,
  saslAuthenticate: 36,
  describeScram: 50,
  alterScram: 51,
} as const;

/** Writes a request: big-endian, strings and arrays behind their length. */
export class WireWriter {
  private readonly parts: Buffer[] = [];

  int8(value: number): this {
    return this.raw(Buffer.from([value & 0xff]));
  }

  int16(value: number): this {
    const bytes = Buffer.alloc(2);
    bytes.writeInt16BE(value);
    return this.raw(bytes);
  }

  int32(value: number): this {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32BE(value);
    return this.raw(bytes);
  }

  int64(value: bigint): this {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64BE(value);
    return this.raw(bytes);
  }

  string(value: string | null): this {
    if (value === null) return this.int16(-1);
    const bytes = Buffer.from(value);
    return this.int16(bytes.length).raw(bytes);
  }

  array<T>(items: readonly T[], write: (item: T) => void): this {
    this.int32(items.length);
    for (const item of items) write(item);
    return this;
  }

  /** The newer, "flexible" encoding: lengths are varints, one too large, and every structure ends with its tagged fields (here none). */
  compactLength(length: number): this {
    const bytes: number[] = [];
    let rest = length + 1;
    for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
    return this.raw(Buffer.from([...bytes, rest]));
  }

  compactBytes(value: Buffer | string): this {
    const bytes = Buffer.from(value);
    return this.compactLength(bytes.length).raw(bytes);
  }

  compactArray<T>(items: readonly T[], write: (item: T) => void): this {
    this.compactLength(items.length);
    for (const item of items) {
      write(item);
      this.noTags();
    }
    return this;
  }

  noTags(): this {
    return this.int8(0);
  }

  raw(bytes: Buffer): this {
    this.parts.push(bytes);
    return this;
  }

  done(): Buffer {
    return Buffer.concat(this.parts);
  }
}

/** Reads an answer. */
export class WireReader {
  private readonly bytes: Buffer;
  private at = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  get left(): number {
    return this.bytes.length - this.at;
  }

  int8(): number {
    return this.take(1).readInt8();
  }

  int16(): number {
    return this.take(2).readInt16BE();
  }

  int32(): number {
    return this.take(4).readInt32BE();
  }

  int64(): bigint {
    return this.take(8).readBigInt64BE();
  }

  string(): string | null {
    const length = this.int16();
    return length < 0 ? null : this.take(length).toString();
  }

  array<T>(read: () => T): T[] {
    return Array.from({ length: Math.max(0, this.int32()) }, read);
  }

  /** -1 for null. */
  compactLength(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.int8() & 0xff;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value - 1;
    }
  }

  compactString(): string | null {
    const length = this.compactLength();
    return length < 0 ? null : this.take(length).toString();
  }

  compactArray<T>(read: () => T): T[] {
    return Array.from({ length: Math.max(0, this.compactLength()) }, () => {
      const item = read();
      this.skipTags();
      return item;
    });
  }

  skipTags(): void {
    for (let count = this.compactLength() + 1; count > 0; count--) {
      this.compactLength(); // the tag
      this.take(this.compactLength() + 1);
    }
  }

  take(length: number): Buffer {
    if (length > this.left) throw new Error(`an answer ends after ${this.at} bytes, ${length} more were expected`);
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }
}

export interface WireOptions {
  /** For one answer; ten seconds when left out. */
  timeoutMs?: number;
  /** For a TLS listener. */
  tls?: ConnectionOptions;
}

/** One connection, one request at a time. */
export class WireConnection {
  private readonly socket: Socket;
  private readonly timeoutMs: number;
  /** Of the answer that is coming: put together once, when all of it is there. */
  private received: Buffer[] = [];
  private receivedBytes = 0;
  private waiting: { resolve(answer: Buffer): void; reject(error: Error): void } | null = null;
  private failure: Error | null = null;
  private correlation = 0;

  constructor(address: string, { timeoutMs = 10_000, tls }: WireOptions = {}) {
    const colon = address.lastIndexOf(':');
    this.timeoutMs = timeoutMs;
    const target = { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) };
    this.socket = tls === undefined ? connect(target) : connectTls({ ...target, ...tls });
    this.socket.setNoDelay(true);
    this.socket.on('data', (chunk) => this.take(chunk));
    this.socket.on('error', (error) => this.fail(error));
    this.socket.on('close', () => this.fail(new Error(`${address} closed the connection`)));
  }

  /** @param flexible whether this version of this request uses the newer encoding */
  async request(api: number, version: number, body: Buffer, flexible = false): Promise<WireReader> {
    if (this.failure !== null) throw this.failure;
    const correlation = ++this.correlation;
    const header = new WireWriter().int16(api).int16(version).int32(correlation).string('sluice-test');
    if (flexible) header.noTags();
    const message = header.raw(body).done();
    const timer = setTimeout(() => this.fail(new Error(`no answer within ${this.timeoutMs} ms`)), this.timeoutMs);
    try {
      const answer = await new Promise<Buffer>((resolve, reject) => {
        this.waiting = { resolve, reject };
        this.socket.write(new WireWriter().int32(message.length).raw(message).done());
      });
      const reader = new WireReader(answer);
      if (reader.int32() !== correlation) throw new Error('this is not a Kafka broker');
      if (flexible) reader.skipTags();
      return reader;
    } finally {
      clearTimeout(timer);
      this.waiting = null;
    }
  }

  close(): void {
    this.socket.destroy();
  }

  private take(chunk: Buffer): void {
    this.received.push(chunk);
    this.receivedBytes += chunk.length;
    if (this.receivedBytes < 4) return;
    if ((this.received[0] as Buffer).length < 4) this.received = [Buffer.concat(this.received)];
    const length = (this.received[0] as Buffer).readInt32BE();
    if (this.receivedBytes < 4 + length) return;
    const all = Buffer.concat(this.received);
    const rest = all.subarray(4 + length);
    this.received = rest.length === 0 ? [] : [rest];
    this.receivedBytes = rest.length;
    this.waiting?.resolve(all.subarray(4, 4 + length));
  }

  private fail(error: Error): void {
    this.failure ??= error;
    this.waiting?.reject(this.failure);
    this.socket.destroy();
  }
}

/** Runs `work` over a connection of its own. @param address `host:port` */
export async function overWire<T>(address: string, work: (connection: WireConnection) => Promise<T>, options: WireOptions = {}): Promise<T> {
  const connection = new WireConnection(address, options);
  try {
    return await work(connection);
  } finally {
    connection.close();
  }
}

export interface PartitionMetadata {
  error: number;
  partition: number;
  /** -1: none. */
  leader: number;
  replicas: number[];
  inSync: number[];
}

export interface ClusterMetadata {
  /** The brokers that are alive, with the addresses that clients are told. */
  brokers: { id: number; host: string; port: number }[];
  clusterId: string;
  topics: { error: number; name: string; partitions: PartitionMetadata[] }[];
}

/** Metadata of the cluster and of these topics (none of them is created by asking). */
export async function readMetadata(connection: WireConnection, topics: readonly string[] = []): Promise<ClusterMetadata> {
  const body = new WireWriter();
  body.array(topics, (topic) => body.string(topic));
  const answer = await connection.request(API.metadata, 2, body.done());
  const brokers = answer.array(() => {
    const broker = { id: answer.int32(), host: answer.string() ?? '', port: answer.int32() };
    answer.string(); // rack
    return broker;
  });
  const clusterId = answer.string() ?? '';
  answer.int32(); // controller
  return {
    brokers,
    clusterId,
    topics: answer.array(() => {
      const topic = { error: answer.int16(), name: answer.string() ?? '', internal: answer.int8() };
      const int32 = () => answer.int32();
      const partitions = answer.array(() => ({
        error: answer.int16(),
        partition: answer.int32(),
        leader: answer.int32(),
        replicas: answer.array(int32),
        inSync: answer.array(int32),
      }));
      return { error: topic.error, name: topic.name, partitions };
    }),
  };
}
