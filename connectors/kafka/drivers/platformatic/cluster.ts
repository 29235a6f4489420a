/** Connections to the brokers, and who leads which partition. */
import { apiVersionsV3, Connection, type ConnectionOptions, metadataV12 } from '@platformatic/kafka';
import { type Runtime, sleep } from '#plugin';
import { type BrokerAddress, type KafkaConfig, parseBroker } from '../../config.ts';
import { toFailure } from '../../failures.ts';
import { withDeadline } from '../deadline.ts';
import { KafkaFailure, type TopicPartition } from '../driver.ts';

type Metadata = Awaited<ReturnType<typeof metadataV12.api.async>>;
type MetadataTopic = Metadata['topics'][number];

/** A broker that does not take a connection for so long is tried again later; another one may know more. */
const CONNECT_MS = 2_000;
/** Metadata is asked of one broker after another: a frozen one must not cost a whole request time-out. */
const METADATA_MS = 2_000;
/** No request takes longer than this, whatever its size. */
const LONGEST_MS = 600_000;
const REAUTHENTICATION_LOOK_MS = 5;
/** Many lanes share a connection; how many requests are under way is decided by them. */
const MAX_IN_FLIGHT = 1_000;

/** What this driver asks for, and the version of each that it speaks (KIP-896 names the first broker that has it: 3.0). */
const NEEDED: readonly (readonly [name: string, key: number, version: number])[] = [
  ['Produce', 0, 9],
  ['Fetch', 1, 12],
  ['ListOffsets', 2, 7],
  ['Metadata', 3, 12],
  ['CreateTopics', 19, 7],
  ['InitProducerId', 22, 4],
  ['DescribeConfigs', 32, 4],
];

export interface ClusterOptions {
  readonly config: KafkaConfig;
  readonly runtime: Runtime;
  readonly clientId: string;
  /** TLS and SASL, made anew for each connection: certificates and tokens may be replaced. */
  readonly secure: (host: string) => Promise<ConnectionOptions>;
}

export class Cluster {
  readonly #options: ClusterOptions;
  readonly #connections = new Map<string, Promise<Connection>>();
  readonly #open = new Set<Connection>();
  /** Known brokers by node id. */
  #brokers = new Map<number, BrokerAddress>();
  /** Node ids of leaders by topic, in order of the partitions. */
  readonly #leaders = new Map<string, Int32Array>();
  /** Newest leader epochs, likewise: a broker that was cut off from the others goes on calling itself a leader. */
  readonly #epochs = new Map<string, Int32Array>();
  /** Where the last good answer came from. */
  #preferred: BrokerAddress | null = null;
  #turn = 0;
  #refreshing: Promise<void> | null = null;
  #closed = false;

  constructor(options: ClusterOptions) {
    this.#options = options;
  }

  /** Connects to the first broker that answers, and checks that it speaks what is needed. */
  async connect(signal: AbortSignal): Promise<Metadata> {
    let failure: unknown = null;
    for (const address of this.#addresses()) {
      try {
        const connection = await this.#connection(address);
        signal.throwIfAborted();
        await withDeadline(this.#options.runtime, this.#options.config.request.timeout, checkVersions(connection));
        const metadata = await this.#ask(address, []);
        this.#preferred = address;
        return metadata;
      } catch (error) {
        signal.throwIfAborted();
        failure = moreTelling(failure, toFailure(error));
      }
    }
    throw failure;
  }

  /** Metadata of some topics (null: all) from whichever broker answers. What is wrong with a single topic stands in its `errorCode`. */
  async metadata(topics: readonly string[] | null, signal?: AbortSignal): Promise<Metadata> {
    let failure: unknown = null;
    for (const address of this.#addresses()) {
      try {
        const metadata = await this.#ask(address, topics);
        this.#preferred = address;
        return metadata;
      } catch (error) {
        signal?.throwIfAborted();
        failure = moreTelling(failure, toFailure(error));
      }
    }
    throw failure;
  }

  /** The leader's connection. Throws KafkaFailure if there is none now. */
  async leaderOf({ topic, partition }: TopicPartition): Promise<Connection> {
    return this.node(await this.leaderNode({ topic, partition }));
  }

  /** The leader's node id, from what is known; asked for if nothing is known. */
  async leaderNode({ topic, partition }: TopicPartition): Promise<number> {
    let node = this.#leaders.get(topic)?.[partition];
    if (node === undefined || node < 0) {
      await this.refresh([topic]);
      node = this.#leaders.get(topic)?.[partition];
    }
    if (node === undefined) throw new KafkaFailure('UNKNOWN_TOPIC_OR_PARTITION', `the brokers know no partition ${topic}/${partition}`);
    if (node < 0) throw new KafkaFailure('LEADER_NOT_AVAILABLE', `${topic}/${partition} has no leader`);
    return node;
  }

  async node(id: number): Promise<Connection> {
    const address = this.#brokers.get(id);
    if (address === undefined) throw new KafkaFailure('BROKER_NOT_AVAILABLE', `broker ${id} is not known`);
    return this.#connection(address);
  }

  /**
   * Resolves when something may be sent on it. The library proves who we are again while a connection is used (KIP-368), and holds nothing back meanwhile: a
   * broker ends the connection of whoever sends anything else in between.
   */
  async ready(connection: Connection): Promise<void> {
    while (connection.status === 'reauthenticating') await sleep(this.#options.runtime, REAUTHENTICATION_LOOK_MS);
  }

  /** Any broker, the one that answered last first. */
  async any(): Promise<Connection> {
    let failure: unknown = null;
    for (const address of this.#addresses()) {
      try {
        return await this.#connection(address);
      } catch (error) {
        failure = moreTelling(failure, toFailure(error));
      }
    }
    throw failure;
  }

  /** Learns who leads now. Several callers share one question: all topics that are known are asked for at once. */
  refresh(topics: readonly string[]): Promise<void> {
    for (const topic of topics) if (!this.#leaders.has(topic)) this.#leaders.set(topic, new Int32Array(0));
    // Whoever answered last may be the one that knows nothing new.
    this.#turn++;
    this.#preferred = null;
    this.#refreshing ??= this.metadata([...this.#leaders.keys()])
      .then(() => undefined)
      .finally(() => {
        this.#refreshing = null;
      });
    return this.#refreshing;
  }

  /** After a request without an answer: what was sent on it may still arrive, but nothing is heard on it any more. */
  discard(connection: Connection): void {
    this.#forget(connection);
    connection.socket?.destroy();
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const connection of this.#open) connection.socket?.destroy();
    await Promise.allSettled(this.#connections.values());
    for (const connection of this.#open) connection.socket?.destroy();
  }

  #addresses(): readonly BrokerAddress[] {
    const configured = this.#options.config.brokers.map((broker) => parseBroker(broker) as BrokerAddress);
    const all = this.#preferred === null ? [] : [this.#preferred];
    const known = [...this.#brokers.values()];
    const begin = known.length === 0 ? 0 : this.#turn % known.length;
    for (const address of [...known.slice(begin), ...known.slice(0, begin), ...configured]) {
      if (!all.some(({ host, port }) => host === address.host && port === address.port)) all.push(address);
    }
    return all;
  }

  async #ask(address: BrokerAddress, topics: readonly string[] | null): Promise<Metadata> {
    const connection = await this.#connection(address);
    let metadata: Metadata;
    await this.ready(connection);
    try {
      metadata = await withDeadline(this.#options.runtime, METADATA_MS, metadataV12.api.async(connection, topics as string[] | null, false, true));
    } catch (error) {
      // One topic that does not exist, or has no leader, fails the call: the answer about all is in the error.
      const { response } = error as { response?: Metadata };
      if (response?.topics === undefined) {
        this.#noteBroken(connection, error);
        throw toFailure(error);
      }
      metadata = response;
    }
    if (metadata.brokers.length > 0) this.#brokers = new Map(metadata.brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }]));
    for (const topic of metadata.topics) this.#noteLeaders(topic);
    return metadata;
  }

  #noteLeaders({ name, errorCode, partitions }: MetadataTopic): void {
    if (name === null || name === undefined) return;
    if (errorCode !== 0 && partitions.length === 0) {
      this.#leaders.set(name, new Int32Array(0));
      // It may have been made anew.
      this.#epochs.delete(name);
      return;
    }
    const count = Math.max(0, ...partitions.map(({ partitionIndex }) => partitionIndex + 1));
    const [before, epochsBefore] = [this.#leaders.get(name), this.#epochs.get(name)];
    const leaders = new Int32Array(count).fill(-1);
    const epochs = new Int32Array(count).fill(-1);
    for (const { partitionIndex: at, leaderId, leaderEpoch } of partitions) {
      const isOld = leaderEpoch < (epochsBefore?.[at] ?? -1);
      leaders[at] = isOld ? (before?.[at] ?? -1) : leaderId;
      epochs[at] = isOld ? (epochsBefore?.[at] ?? -1) : leaderEpoch;
    }
    this.#leaders.set(name, leaders);
    this.#epochs.set(name, epochs);
  }

  #noteBroken(connection: Connection, error: unknown): void {
    const { code } = toFailure(error);
    if (code === 'TIMEOUT' || code === 'CONNECTION') this.discard(connection);
  }

  #connection(address: BrokerAddress): Promise<Connection> {
    if (this.#closed) return Promise.reject(new KafkaFailure('CONNECTION', 'closed'));
    const key = `${address.host}:${address.port}`;
    const known = this.#connections.get(key);
    if (known !== undefined) return known;
    const made = this.#make(address);
    this.#connections.set(key, made);
    made.catch(() => {
      if (this.#connections.get(key) === made) this.#connections.delete(key);
    });
    return made;
  }

  async #make({ host, port }: BrokerAddress): Promise<Connection> {
    const { config, clientId, secure } = this.#options;
    const connection = new Connection(clientId, {
      ...(await secure(host)),
      connectTimeout: CONNECT_MS,
      // Each call has a time of its own: what is large may take longer.
      requestTimeout: LONGEST_MS,
      maxInflights: MAX_IN_FLIGHT,
    });
    this.#open.add(connection);
    // For good: an error without a listener would end the process, and the library emits some after the connection is closed.
    connection.on('error', () => this.#forget(connection));
    connection.on('close', () => this.#forget(connection));
    try {
      await withDeadline(this.#options.runtime, CONNECT_MS + config.request.timeout, Promise.resolve(connection.connect(host, port)));
    } catch (error) {
      this.discard(connection);
      throw toFailure(error);
    }
    if (this.#closed) this.discard(connection);
    return connection;
  }

  #forget(connection: Connection): void {
    if (!this.#open.delete(connection)) return;
    for (const [key, value] of this.#connections) {
      void value.then(
        (known) => {
          if (known === connection && this.#connections.get(key) === value) this.#connections.delete(key);
        },
        () => undefined,
      );
    }
  }
}

async function checkVersions(connection: Connection): Promise<void> {
  const { apiKeys } = await apiVersionsV3.api.async(connection, 'sluice', '1');
  for (const [name, key, version] of NEEDED) {
    const found = apiKeys.find(({ apiKey }) => apiKey === key);
    if (found === undefined || found.maxVersion < version || found.minVersion > version) {
      const spoken = found === undefined ? 'none' : `${found.minVersion} to ${found.maxVersion}`;
      throw new KafkaFailure('UNSUPPORTED_VERSION', `the broker speaks version ${spoken} of ${name}, ${version} is needed`);
    }
  }
}

/** Which of two failures to tell: a refusal says more than a connection that was not made. */
function moreTelling(first: unknown, second: KafkaFailure): unknown {
  if (!(first instanceof KafkaFailure)) return second;
  const isVague = ({ code }: KafkaFailure): boolean => code === 'CONNECTION' || code === 'TIMEOUT';
  return isVague(first) && !isVague(second) ? second : first;
}
