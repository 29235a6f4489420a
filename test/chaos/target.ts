/** The sinks of the chaos runs: how a daemon writes to them, what can happen to them, and what they hold in the end. */
import { type KafkaServer, startKafka, startNats } from '../servers/index.ts';
import type { KafkaVersion } from '../servers/versions.ts';
import { ledgerOfTopics } from '../support/kafka-ledger.ts';
import { readStream, StreamLedger } from '../support/stream-ledger.ts';
import { TPCB_TABLES } from '../support/tpcb.ts';

export interface Target {
  /** For the connector's file. */
  readonly sink: Readonly<Record<string, unknown>>;
  /** One restart, by kill -9 where the data survives it. */
  restart(): Promise<void>;
  /** Faults by name, each of which is over when its promise resolves. */
  readonly faults: Readonly<Record<string, () => Promise<void>>>;
  ledger(): Promise<StreamLedger>;
  dispose(): Promise<void>;
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
/** Between two faults: the replicas catch up. */
const SETTLE_MS = 15_000;

export async function natsTarget(exclusive: boolean): Promise<Target> {
  const nats = await startNats({ own: true });
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
    ledger: async () => {
      const ledger = new StreamLedger();
      await readStream(nats.url, 'BANK', (message) => ledger.take(message));
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
}): Promise<Target> {
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
    ledger: () =>
      ledgerOfTopics(
        kafka,
        TPCB_TABLES.map((table) => `bank.public.${table}`),
      ),
    dispose: () => kafka.dispose(),
  };
}
