/** A slow or a half-open network link, for the fault matrix; what test/servers/proxy.ts does not do. */
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

const SLICE_BYTES = 4_096;

/**
 * A TCP link with a rate in both directions. What a client had sent before it died still arrives, in its own time: the kernel delivers what stands in
 * the sockets of a process that was killed (algorithms §4).
 */
export class FaultLink {
  readonly host = '127.0.0.1';
  readonly port: number;
  /** Of each connection and direction. */
  bytesPerSecond = Number.POSITIVE_INFINITY;
  /** What the server sends comes so much later. */
  latencyMs = 0;
  /** Bytes that a client that has gone had left behind, and that were delivered all the same. */
  deliveredAfterEnd = 0;
  readonly #listener: Server;
  readonly #target: { readonly host: string; readonly port: number };
  readonly #sockets = new Set<Socket>();
  /** Connections whose other end is gone without a word. */
  readonly #stranded = new Set<Socket>();

  constructor(listener: Server, target: { readonly host: string; readonly port: number }) {
    this.#listener = listener;
    this.#target = target;
    this.port = (listener.address() as AddressInfo).port;
    listener.on('connection', (client) => this.#accept(client));
  }

  get address(): string {
    return `${this.host}:${this.port}`;
  }

  /** Over every connection that is open now nothing gets through any more, and nobody is told; new ones are served. */
  strand(): void {
    for (const socket of this.#sockets) {
      this.#stranded.add(socket);
      socket.pause();
    }
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#listener.close(() => resolve()));
    for (const socket of this.#sockets) socket.resetAndDestroy();
    await closed;
  }

  #accept(client: Socket): void {
    const server = connect({ ...this.#target, allowHalfOpen: true });
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      this.#sockets.add(socket);
      socket.on('close', () => {
        this.#sockets.delete(socket);
        this.#stranded.delete(socket);
      });
    }
    this.#carry(client, server, false);
    this.#carry(server, client, true);
  }

  #carry(from: Socket, to: Socket, isFromServer: boolean): void {
    let underWay = 0;
    let lastDueMs = 0;
    let isGone = false;
    // Timers of different lengths may fire in another order than they were set in: each delivers what is first.
    const waiting: Buffer[] = [];
    const deliver = (): void => {
      const slice = waiting.shift() as Buffer;
      underWay -= slice.length;
      if (this.#stranded.has(from)) return;
      if (to.destroyed) return void from.destroy();
      if (isGone && !isFromServer) this.deliveredAfterEnd += slice.length;
      if (!to.write(slice)) {
        from.pause();
        to.once('drain', goOn);
      } else goOn();
    };
    const goOn = (): void => {
      if (isGone && underWay === 0) to.end();
      else if (!isGone && !this.#stranded.has(from) && underWay < this.#room) from.resume();
    };
    const gone = (): void => {
      if (isGone || this.#stranded.has(from)) return;
      isGone = true;
      goOn();
    };
    from.on('data', (data: Buffer) => {
      for (let at = 0; at < data.length; at += SLICE_BYTES) {
        const slice = data.subarray(at, at + SLICE_BYTES);
        const nowMs = performance.now();
        const waitMs = isFromServer ? this.latencyMs : 0;
        lastDueMs = Math.max(lastDueMs, nowMs + waitMs) + (slice.length / this.bytesPerSecond) * 1000;
        underWay += slice.length;
        waiting.push(slice);
        setTimeout(deliver, lastDueMs - nowMs);
      }
      if (underWay >= this.#room) from.pause();
    });
    from.on('end', gone);
    from.on('close', gone);
    from.on('error', () => {
      if (isFromServer && !this.#stranded.has(from)) to.resetAndDestroy();
      else gone();
    });
  }

  /** How many bytes may be under way in one direction. */
  get #room(): number {
    return Number.isFinite(this.bytesPerSecond) ? 65_536 : 8 * 1024 * 1024;
  }
}

/** @param target `host:port`, or any URL that holds them */
export async function startLink(target: string): Promise<FaultLink> {
  const { hostname, port } = new URL(target.includes('://') ? target : `tcp://${target}`);
  const listener = createServer({ allowHalfOpen: true });
  await new Promise<void>((resolve, reject) => {
    listener.once('error', reject);
    listener.listen(0, '127.0.0.1', resolve);
  });
  return new FaultLink(listener, { host: hostname, port: Number(port) });
}
