/** A kafkajs client with sockets of its own. */
import type { ConnectionOptions as TlsOptions } from 'node:tls';
import kafkajs, { type Kafka as KafkajsClient } from 'kafkajs';
import type { PluginContext } from '#plugin';
import { type KafkaConfig, parseBroker } from '../../config.ts';
import { kafkajsSecurity } from '../../connection.ts';
import { KafkaFailure } from '../driver.ts';
import { registerCodecs } from './codecs.ts';
import { CONNECT_MS, Sockets } from './sockets.ts';

const { Kafka, logLevel } = kafkajs;

/** The library's own attempts within one call: it learns from the first failure who leads now. More is up to the caller. */
export const RETRY = { retries: 2, initialRetryTime: 50, maxRetryTime: 300 } as const;

/**
 * So long before a session ends who we are is proved again (KIP-368). Not the library's 10 s: of a token that lives hardly longer each request would prove it, and a broker refuses that
 * more often than once a second (KafkaChannel, MIN_REAUTH_INTERVAL_ONE_SECOND_NANOS).
 */
const REAUTHENTICATION_MS = 3_000;

export interface Client {
  readonly kafka: KafkajsClient;
  readonly sockets: Sockets;
}

export class Clients {
  readonly #config: KafkaConfig;
  readonly #context: PluginContext;
  readonly #brokers: readonly string[];
  /** kafkajs takes an address apart at its first colon: IPv6 addresses need a name. */
  readonly #aliases = new Map<string, string>();
  readonly #open = new Set<Sockets>();
  #made = 0;
  #closed = false;

  constructor(config: KafkaConfig, context: PluginContext) {
    this.#config = config;
    this.#context = context;
    registerCodecs();
    this.#brokers = config.brokers.map((broker, index) => {
      const address = parseBroker(broker);
      if (address === null || !address.host.includes(':')) return broker;
      this.#aliases.set(`broker-${index}`, address.host);
      return `broker-${index}:${address.port}`;
    });
  }

  /** Longest that getting an answer may take: every broker may be one that does not take a connection. */
  get patienceMs(): number {
    return 3 * this.#config.request.timeout + this.#brokers.length * CONNECT_MS;
  }

  /** Each begins with another broker: the library never leaves one that takes connections and then says nothing. */
  async make(): Promise<Client> {
    const { connector, runtime } = this.#context;
    const first = this.#made++ % this.#brokers.length;
    const brokers = [...this.#brokers.slice(first), ...this.#brokers.slice(0, first)];
    const { ssl, sasl } = await kafkajsSecurity(this.#config, this.#context);
    let tls = (ssl ?? null) as TlsOptions | null;
    const current = (): TlsOptions | null => {
      // The files may have been replaced: for the next connection.
      if (tls !== null)
        void kafkajsSecurity(this.#config, this.#context).then(
          ({ ssl: read }) => (tls = read as TlsOptions),
          () => undefined,
        );
      return tls;
    };
    if (this.#closed) throw new KafkaFailure('CONNECTION', 'closed');
    const sockets = new Sockets(runtime, current, this.#aliases, () => this.#open.delete(sockets));
    this.#open.add(sockets);
    const kafka = new Kafka({
      clientId: `sluice-${connector}`,
      brokers,
      ...(ssl === undefined ? {} : { ssl }),
      ...(sasl === undefined ? {} : { sasl }),
      socketFactory: sockets.factory,
      // The sockets keep the time; this one only lets go of the attempt.
      connectionTimeout: CONNECT_MS + 500,
      requestTimeout: this.#config.request.timeout,
      reauthenticationThreshold: REAUTHENTICATION_MS,
      retry: RETRY,
      // Everything that matters comes back as an error.
      logLevel: logLevel.NOTHING,
      logCreator: () => () => undefined,
    });
    return { kafka, sockets };
  }

  /** Ends everything that goes through any of them. */
  close(): void {
    this.#closed = true;
    for (const sockets of this.#open) sockets.close();
  }
}
