/** One Kafka process: broker and controller in one. */
import { join } from 'node:path';
import type { KafkaPlan } from './kafka-configuration.ts';
import { type ClusterMetadata, overWire, readMetadata } from './kafka-protocol.ts';
import { ServerProcess, waitUntilReady } from './process.ts';

const READY_MS = 90_000;

/** How its process is started. */
export interface KafkaCommand {
  java: string;
  /** Up to and with the class path. */
  arguments: readonly string[];
}

/** One broker, which is a controller too. */
export class KafkaNode {
  readonly id: number;
  /** Of its plaintext listener, without the proxy that `advertise` may have put before it. */
  readonly port: number;
  readonly directory: string;
  /** `host:port` that it tells the clients of the plaintext listener. */
  readonly advertised: string;
  /** Of the SASL_SSL and of the SSL listener; 0 where it is not secured. */
  readonly saslPort: number;
  readonly sslPort: number;
  private readonly command: KafkaCommand;
  private readonly clusterId: string;
  private process: ServerProcess | null = null;

  constructor(command: KafkaCommand, plan: KafkaPlan, clusterId: string) {
    this.command = command;
    this.id = plan.id;
    this.port = plan.ports.client;
    this.saslPort = plan.ports.sasl;
    this.sslPort = plan.ports.ssl;
    this.directory = plan.directory;
    this.advertised = `${plan.advertised.host}:${plan.advertised.port}`;
    this.clusterId = clusterId;
  }

  /** `host:port` of its plaintext listener, past any proxy. */
  get direct(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** 0 when stopped. */
  get pid(): number {
    return this.process?.alive ? this.process.pid : 0;
  }

  launch(): void {
    if (this.pid !== 0) throw new Error(`Kafka node ${this.id} runs already`);
    const args = [...this.command.arguments, 'kafka.Kafka', join(this.directory, 'server.properties')];
    this.process = new ServerProcess(this.command.java, args, { logFile: join(this.directory, 'kafka.log') });
  }

  /** Waits until it answers as this node of this cluster. @param nodes those that it must know as alive */
  async ready(nodes: readonly KafkaNode[] = [this]): Promise<void> {
    const server = this.process;
    if (server === null) throw new Error(`Kafka node ${this.id} was not started`);
    await waitUntilReady(
      server,
      `Kafka node ${this.id}`,
      async () => {
        const { clusterId, brokers } = await this.metadata();
        if (clusterId !== this.clusterId) throw new Error(`port ${this.port} belongs to another server`);
        const alive = new Set(brokers.map((broker) => `${broker.id} ${broker.host}:${broker.port}`));
        const missing = nodes.filter((node) => !alive.has(`${node.id} ${node.advertised}`));
        if (missing.length > 0) throw new Error(`nodes ${missing.map((node) => node.id).join(', ')} have not joined`);
      },
      READY_MS,
    );
  }

  async start(): Promise<void> {
    this.launch();
    await this.ready();
  }

  /** SIGTERM: in a cluster it hands its partitions over first. */
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

  /** Stops (or kills) it and starts it again on the same ports and data. */
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

  /** What this node knows of its cluster. */
  metadata(): Promise<ClusterMetadata> {
    return overWire(this.direct, (connection) => readMetadata(connection), { timeoutMs: 2_000 });
  }
}
