/** A TCP proxy that makes network faults: put it between a client and a server. */
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

interface Link {
  client: Socket;
  server: Socket;
  /** A delayed chunk is on its way, and nothing may overtake it. Calling this gives it up. */
  delayed: (() => void) | null;
  /** The server has closed its end: the client's is closed when it has what was sent before. */
  isEnding: boolean;
}

type Side = 'client' | 'server';

export class FaultProxy {
  readonly host = '127.0.0.1';
  readonly port: number;
  /** Connections accepted so far. */
  accepted = 0;
  private readonly listener: Server;
  private target: { host: string; port: number };
  private readonly links = new Set<Link>();
  private refusing = false;
  /** Nothing that these send gets through. */
  private readonly silent = new Set<Side>();
  private splitting = false;
  private latencyMs = 0;
  private bytesPerSecond = Number.POSITIVE_INFINITY;
  private bytesUntilCut = Number.POSITIVE_INFINITY;
  private poison: string | null = null;

  constructor(listener: Server, target: { host: string; port: number }) {
    this.listener = listener;
    this.port = (listener.address() as AddressInfo).port;
    this.target = target;
    listener.on('connection', (client) => this.accept(client));
  }

  /** The same URL with the proxy's address. */
  through(url: string): string {
    const changed = new URL(url);
    changed.host = `${this.host}:${this.port}`;
    return changed.href;
  }

  /** Open connections. */
  get open(): number {
    return this.links.size;
  }

  /** Resets every open connection; new ones are served. */
  cut(): void {
    for (const link of this.links) {
      link.client.resetAndDestroy();
      link.server.resetAndDestroy();
    }
  }

  /** Resets every connection once the server has sent this many more bytes, in the middle of whatever it sends. */
  cutAfter(bytesFromServer: number): void {
    this.bytesUntilCut = bytesFromServer;
  }

  /** Resets each connection on which the client sends this text, and lets nothing of it through, until {@link heal}. */
  cutWhenSent(text: string): void {
    this.poison = text;
  }

  /**
   * Leaves every open connection half open: this end is gone without a word, and the other one never hears of it, not after {@link heal} either.
   * New connections are served. `except`: the port from which the server sees the one that stays whole.
   */
  strand(gone: 'client' | 'server', except?: number): void {
    for (const { client, server } of this.links) {
      if (except !== undefined && server.localPort === except) continue;
      const [ended, stays] = gone === 'client' ? [client, server] : [server, client];
      ended.removeAllListeners('close').removeAllListeners('error').removeAllListeners('data');
      ended.on('error', () => undefined).resetAndDestroy();
      // Read and thrown away: who is left can send for as long as it likes.
      stays.removeAllListeners('data').on('data', () => undefined);
      stays.resume();
    }
  }

  /** New connections go there. @param target as {@link startProxy} takes it */
  retarget(target: string): void {
    this.target = targetOf(target);
  }

  /** Resets every connection, now and from now on, until {@link heal}. */
  refuse(): void {
    this.refusing = true;
    this.cut();
  }

  /**
   * Nothing gets through and nothing is closed, as behind a firewall that drops; what was held back follows after {@link heal}. `from`: only what this
   * side sends is dropped.
   */
  blackhole(from?: Side): void {
    for (const side of from === undefined ? (['client', 'server'] as const) : [from]) {
      this.silent.add(side);
      for (const link of this.links) link[side].pause();
    }
  }

  /** Each chunk from the server waits this long (order is kept). */
  delay(latencyMs: number): void {
    this.latencyMs = latencyMs;
  }

  /** At most about this many bytes a second from the server, per connection. */
  throttle(bytesPerSecond: number): void {
    this.bytesPerSecond = bytesPerSecond;
  }

  /** What the server sends arrives byte by byte. */
  split(): void {
    this.splitting = true;
  }

  /** Ends every fault. */
  heal(): void {
    this.refusing = false;
    this.silent.clear();
    this.splitting = false;
    this.latencyMs = 0;
    this.bytesPerSecond = Number.POSITIVE_INFINITY;
    this.bytesUntilCut = Number.POSITIVE_INFINITY;
    this.poison = null;
    for (const { client, server, delayed } of this.links) {
      client.resume();
      if (delayed === null) server.resume();
    }
  }

  /** Ends the connections and the proxy. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.listener.close(() => resolve()));
    this.cut();
    await closed;
  }

  private accept(client: Socket): void {
    this.accepted++;
    if (this.refusing) {
      client.resetAndDestroy();
      return;
    }
    const server = connect(this.target);
    const link: Link = { client, server, delayed: null, isEnding: false };
    this.links.add(link);
    const end = () => {
      this.links.delete(link);
      link.delayed?.();
      client.destroy();
      server.destroy();
    };
    for (const side of ['client', 'server'] as const) {
      const socket = link[side];
      socket.setNoDelay(true);
      socket.on('error', end);
      socket.on('close', (isBroken) => {
        if (side === 'server' && !isBroken && link.delayed !== null && !client.destroyed) link.isEnding = true;
        else end();
      });
      if (this.silent.has(side)) socket.pause();
    }
    client.on('data', (chunk) => {
      if (this.poison === null || !chunk.includes(this.poison)) return this.pass(link, 'client', chunk);
      client.resetAndDestroy();
      server.resetAndDestroy();
    });
    server.on('data', (chunk) => this.passFromServer(link, chunk));
  }

  private passFromServer(link: Link, chunk: Buffer): void {
    const { client, server } = link;
    if (chunk.length >= this.bytesUntilCut) {
      client.write(chunk.subarray(0, this.bytesUntilCut));
      this.bytesUntilCut = Number.POSITIVE_INFINITY;
      // Ended, not reset: a reset would take back what is still on its way, and the cut would not be where it was asked for.
      client.end();
      server.resetAndDestroy();
      return;
    }
    this.bytesUntilCut -= chunk.length;
    const waitMs = this.latencyMs + (chunk.length / this.bytesPerSecond) * 1000;
    if (waitMs === 0 && !this.splitting) {
      this.pass(link, 'server', chunk);
      return;
    }
    // One chunk at a time: the next one is read when this one has gone, which keeps the order and lets the server feel it.
    server.pause();
    const timer = setTimeout(() => this.deliver(link, chunk, this.splitting ? 1 : chunk.length), waitMs);
    link.delayed = () => clearTimeout(timer);
  }

  /** Writes what was held, so many bytes in each turn of the event loop. */
  private deliver(link: Link, chunk: Buffer, bytes: number): void {
    const { client, server } = link;
    link.delayed = null;
    if (client.destroyed) return;
    client.write(chunk.subarray(0, bytes));
    if (chunk.length > bytes) {
      const immediate = setImmediate(() => this.deliver(link, chunk.subarray(bytes), bytes));
      link.delayed = () => clearImmediate(immediate);
    } else if (link.isEnding) client.end();
    else if (!this.silent.has('server')) server.resume();
  }

  /** Passes one chunk on; stops reading while the other side is full, so that the two ends feel each other's back-pressure. */
  private pass(link: Link, side: Side, chunk: Buffer): void {
    const from = link[side];
    const to = link[side === 'client' ? 'server' : 'client'];
    if (to.destroyed || to.write(chunk)) return;
    from.pause();
    to.once('drain', () => {
      if (!this.silent.has(side)) from.resume();
    });
  }
}

/** Starts a proxy on a random port. @param target `host:port`, or any URL that holds them */
export async function startProxy(target: string): Promise<FaultProxy> {
  const listener = createServer();
  await new Promise<void>((resolve, reject) => {
    listener.once('error', reject);
    listener.listen(0, '127.0.0.1', resolve);
  });
  return new FaultProxy(listener, targetOf(target));
}

function targetOf(target: string): { host: string; port: number } {
  const { hostname, port } = new URL(target.includes('://') ? target : `tcp://${target}`);
  return { host: hostname, port: Number(port) };
}
