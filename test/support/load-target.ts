/** The sinks of the load runs: how a daemon writes to them, what can happen to them, and what they hold in the end. */
import { type KafkaServer, startKafka, startNats } from '../servers/index.ts';
import type { KafkaVersion } from '../servers/versions.ts';
import { ledgerOfTopics } from './kafka-ledger.ts';
import { type LedgerOptions, readStream, StreamLedger } from './stream-ledger.ts';

export interface LoadTarget {
  /** For the connector's file. */
  readonly sink: Readonly<Record<string, unknown>>;
  /** One restart, by kill -9 where the data survives it. */
  restart(): Promise<void>;
  /** Faults by name, each of which is over when its promise resolves. */
  readonly faults: Readonly<Record<string, () => Promise<void>>>;
  /** @param tables each with its schema, or its database where there are none */
  ledger(connector: string, tables: readonly string[], options: LedgerOptions): Promise<StreamLedger>;
  dispose(): Promise<void>;
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
/** Between two faults: the replicas catch up. */
const SETTLE_MS = 15_000;

export async function natsTarget(exclusive: boolean): Promise<LoadTarget> {
  const nats = await startNats({ own: true, maxFileStore: '20GB' });
  return {
    sink: { type: 'nats', servers: [nats.url], stream: 'BANK', exclusive },
    restart: () => nats.restart('kill'),
    faults: {
      freeze: async () => {
        nats.signal('SIGSTOP');
        await sleep(60_000);
        nats.signal('SIGCONT');
      },
    },
    ledger: async (_connector, _tables, options) => {
      const ledger = new StreamLedger(options);
      await readStream(nats.url, 'BANK', (message) => ledger.take(message), { headers: false });
      return ledger;
    },
    dispose: () => nats.dispose(),
  };
}

export async function kafkaTarget(options: {
  readonly driver: string;
  readonly version: KafkaVersion;
  readonly partitions: number;
  readonly brokers: number;
}): Promise<LoadTarget> {
  const { driver, version, partitions, brokers } = options;
  const kafka: KafkaServer = await startKafka({ own: true, version, ...(brokers > 1 ? { cluster: brokers } : {}) });
  const settings = brokers > 1 ? { replication: 3, topicSettings: ['min.insync.replicas=2'] } : {};
  const restartAll = async (mode: 'stop' | 'kill'): Promise<void> => {
    for (const node of kafka.nodes) {
      await node.restart(mode);
      await sleep(SETTLE_MS);
    }
  };
  return {
    sink: { type: 'kafka', brokers: kafka.brokers, driver, partitions, ...settings },
    restart: async () => void (await (kafka.nodes[0] as (typeof kafka.nodes)[number]).restart('kill')),
    faults: {
      rolling: () => restartAll('stop'),
      kill: () => restartAll('kill'),
      freeze: async () => {
        const node = kafka.nodes.at(-1) as (typeof kafka.nodes)[number];
        node.signal('SIGSTOP');
        await sleep(60_000);
        node.signal('SIGCONT');
        await sleep(SETTLE_MS);
      },
    },
    ledger: (connector, tables, ledgerOptions) =>
      ledgerOfTopics(
        kafka,
        tables.map((table) => `${connector}.${table}`),
        ledgerOptions,
      ),
    dispose: () => kafka.dispose(),
  };
}
