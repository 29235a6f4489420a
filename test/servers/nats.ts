/** NATS servers with JetStream for the tests: one node, or a cluster. */
import { mkdirSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { connect as connectSocket } from 'node:net';
import { join } from 'node:path';
import { type Certificates, makeCertificates } from './certificates.ts';
import { freePort, giveToServerUser, reachable, ServerProcess, temporaryDirectory, waitUntilReady } from './process.ts';
import { resolveNats, type ServerBinary } from './resolve.ts';

export interface NatsOptions {
  /** Number of nodes; 1 when left out. */
  cluster?: number;
  /** `max_payload` in bytes; the server's default is 1 MiB. */
  maxPayloadBytes?: number;
  /** Lines of the server's configuration file: `authorization { … }`, `accounts { … }`, `no_auth_user: …`. */
  config?: string;
  /** TLS with a certificate for localhost and 127.0.0.1; `verify` also asks the client for one. */
  tls?: boolean | 'verify';
  /** Every write to disk is synced (`sync_interval: always`), for tests of what survives the machine. */
  syncAlways?: boolean;
  /** Of JetStream's files, in the server's own notation (`40GB`); 8GB when left out. */
  maxFileStore?: string;
  /** A process of its own even where the environment names a server; implied by each of the options above. */
  own?: boolean;
}

/** One nats-server process. */
export class NatsNode {
  readonly name: string;
  readonly port: number;
  readonly monitorPort: number;
  readonly directory: string;
  /** As the server's greeting gives it. */
  version = '';
  private readonly binary: ServerBinary;
  private process: ServerProcess | null = null;

  constructor(binary: ServerBinary, directory: string, name: string, port: number, monitorPort: number) {
    this.binary = binary;
    this.directory = directory;
    this.name = name;
    this.port = port;
    this.monitorPort = monitorPort;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  /** Base URL of its monitoring endpoints (`/connz`, `/jsz` …). */
  get monitorUrl(): string {
    return `http://127.0.0.1:${this.monitorPort}`;
  }

  get storeDir(): string {
    return join(this.directory, 'jetstream');
  }

  /** 0 when stopped. */
  get pid(): number {
    return this.process?.alive ? this.process.pid : 0;
  }

  launch(): void {
    if (this.pid !== 0) throw new Error(`${this.name} runs already`);
    this.process = new ServerProcess(this.binary.path, ['-c', join(this.directory, 'nats.conf')], { logFile: join(this.directory, 'nats.log') });
  }

  /** Waits until JetStream serves; in a cluster that needs most of the nodes. */
  async ready(): Promise<void> {
    const server = this.process;
    if (server === null) throw new Error(`${this.name} was not started`);
    this.version = await waitUntilReady(server, 'nats-server', async () => {
      const greeting = await readGreeting(this.port);
      if (greeting.server_name !== this.name) throw new Error(`port ${this.port} belongs to another server`);
      const health = await fetch(`${this.monitorUrl}/healthz`);
      if (!health.ok) throw new Error(await health.text());
      return greeting.version;
    });
  }

  async start(): Promise<void> {
    this.launch();
    await this.ready();
  }

  /** SIGTERM: the server finishes what it writes. */
  async stop(): Promise<void> {
    const server = this.process;
    this.process = null;
    if (server === null) return;
    server.kill('SIGCONT');
    server.kill('SIGTERM');
    await server.waitForExit();
  }

  /** `kill -9`. */
  async kill(): Promise<void> {
    const server = this.process;
    this.process = null;
    await server?.killAndWait();
  }

  /** Stops (or kills) it and starts it again on the same port and store. */
  async restart(mode: 'stop' | 'kill' = 'stop'): Promise<void> {
    await this[mode]();
    await this.start();
  }

  /** SIGSTOP freezes it, SIGCONT wakes it. */
  signal(signal: NodeJS.Signals): void {
    this.process?.kill(signal);
  }

  log(bytes = 4000): string {
    return this.process?.logTail(bytes) ?? '';
  }
}

/** One server or a cluster, with JetStream. What is not asked of a certain node is asked of the first, or of all. */
export class NatsServer {
  readonly nodes: readonly NatsNode[];
  /** Named by the environment: it cannot be stopped, signalled or configured. */
  readonly external: boolean;
  readonly certificates: Certificates | null;
  readonly urls: readonly string[];
  readonly version: string;
  private readonly directory: string | null;

  constructor(
    from: { urls: readonly string[]; version: string } | { directory: string; nodes: readonly NatsNode[]; certificates: Certificates | null },
  ) {
    this.external = 'urls' in from;
    this.nodes = 'nodes' in from ? from.nodes : [];
    this.urls = 'urls' in from ? from.urls : this.nodes.map((node) => node.url);
    this.version = 'urls' in from ? from.version : this.first.version;
    this.certificates = 'nodes' in from ? from.certificates : null;
    this.directory = 'nodes' in from ? from.directory : null;
  }

  get url(): string {
    return this.urls[0] as string;
  }

  get port(): number {
    return Number(new URL(this.url).port || 4222);
  }

  get pid(): number {
    return this.first.pid;
  }

  get storeDir(): string {
    return this.first.storeDir;
  }

  async start(): Promise<void> {
    for (const node of this.own()) node.launch();
    await Promise.all(this.nodes.map((node) => node.ready()));
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()));
  }

  async kill(): Promise<void> {
    await Promise.all(this.own().map((node) => node.kill()));
  }

  async restart(mode: 'stop' | 'kill' = 'stop'): Promise<void> {
    await Promise.all(this.own().map((node) => node[mode]()));
    await this.start();
  }

  signal(signal: NodeJS.Signals): void {
    for (const node of this.own()) node.signal(signal);
  }

  /** Stops it and removes its files; nothing when external. */
  async dispose(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()));
    if (this.directory !== null) await rm(this.directory, { recursive: true, force: true });
  }

  private get first(): NatsNode {
    return this.own()[0] as NatsNode;
  }

  private own(): readonly NatsNode[] {
    if (this.external) throw new Error('this server is named by the environment: it cannot be controlled (start it with `own: true`)');
    return this.nodes;
  }
}

/** Starts a server or a cluster on random ports with its own store, or takes the one that the environment names. */
export async function startNats(options: NatsOptions = {}): Promise<NatsServer> {
  const { own, ...configured } = options;
  const found = await resolveNats(own || Object.values(configured).some((value) => value !== undefined && value !== false));
  if (found.kind === 'external') {
    const urls = found.url.split(',');
    const { hostname, port } = new URL(urls[0] as string);
    return new NatsServer({ urls, version: (await readGreeting(Number(port || 4222), hostname)).version });
  }
  for (let attempt = 1; ; attempt++) {
    const directory = await temporaryDirectory('nats');
    try {
      const certificates = options.tls ? await makeCertificates(directory) : null;
      const nodes = await makeNodes({ ...found, path: await reachable(found.path) }, directory, certificates, options);
      for (const node of nodes) node.launch();
      const outcomes = await Promise.allSettled(nodes.map((node) => node.ready()));
      const failed = outcomes.find((outcome) => outcome.status === 'rejected');
      if (failed === undefined) return new NatsServer({ directory, nodes, certificates });
      await Promise.all(nodes.map((node) => node.kill()));
      throw failed.reason;
    } catch (error) {
      await rm(directory, { recursive: true, force: true });
      // Another process took a port meanwhile.
      if (attempt === 3 || !/address already in use|belongs to another server/.test((error as Error).message)) throw error;
    }
  }
}

async function makeNodes(binary: ServerBinary, directory: string, certificates: Certificates | null, options: NatsOptions): Promise<NatsNode[]> {
  const count = options.cluster ?? 1;
  // Names that no other server has: by its name a node is told from a stranger on its port.
  const prefix = directory.slice(directory.lastIndexOf('-') + 1);
  const ports = await Promise.all(Array.from({ length: count * 3 }, freePort));
  const routes = ports.slice(count * 2);
  const nodes: NatsNode[] = [];
  for (let index = 0; index < count; index++) {
    const name = `${prefix}-n${index + 1}`;
    const at = join(directory, name);
    mkdirSync(at);
    giveToServerUser(at, 0o755);
    const node = new NatsNode(binary, at, name, ports[index] as number, ports[count + index] as number);
    const cluster =
      count > 1
        ? [
            `cluster { name: ${prefix}, listen: "127.0.0.1:${routes[index]}", routes: [${routes.map((port) => `"nats://127.0.0.1:${port}"`).join(', ')}] }`,
          ]
        : [];
    await writeFile(join(at, 'nats.conf'), [...nodeConfiguration(node, certificates, options), ...cluster, ''].join('\n'));
    nodes.push(node);
  }
  return nodes;
}

function nodeConfiguration(node: NatsNode, certificates: Certificates | null, options: NatsOptions): string[] {
  const sync = options.syncAlways ? ', sync_interval: always' : '';
  const verify = options.tls === 'verify' ? ', verify: true' : '';
  const lines = [
    `server_name: "${node.name}"`,
    `listen: "127.0.0.1:${node.port}"`,
    `http: "127.0.0.1:${node.monitorPort}"`,
    `jetstream { store_dir: "${node.storeDir}", max_memory_store: 256MB, max_file_store: ${options.maxFileStore ?? '8GB'}${sync} }`,
  ];
  if (options.maxPayloadBytes !== undefined) lines.push(`max_payload: ${options.maxPayloadBytes}`);
  if (certificates !== null)
    lines.push(`tls { cert_file: "${certificates.cert}", key_file: "${certificates.key}", ca_file: "${certificates.ca}"${verify} }`);
  if (options.config !== undefined) lines.push(options.config);
  return lines;
}

/** The INFO line with which a NATS server opens every connection, TLS or not. */
function readGreeting(port: number, host = '127.0.0.1'): Promise<{ server_name: string; version: string }> {
  return new Promise((resolve, reject) => {
    const socket = connectSocket({ port, host });
    let text = '';
    socket.setTimeout(2_000, () => socket.destroy(new Error(`no greeting from ${host}:${port}`)));
    socket.on('data', (chunk) => {
      text += chunk.toString('utf8');
      const end = text.indexOf('\r\n');
      if (end < 0) return;
      socket.destroy();
      if (text.startsWith('INFO ')) resolve(JSON.parse(text.slice(5, end)));
      else reject(new Error(`${host}:${port} is not a NATS server`));
    });
    socket.once('error', reject);
    socket.once('close', () => reject(new Error(`${host}:${port} closed the connection`)));
  });
}
