/** One consumer, the only member of a group with a name of its own. All partitions are assigned to it; it fetches those that are asked for. */
import type { Batch, Consumer, ConsumerEndBatchProcessEvent, EachBatchPayload, KafkaMessage } from 'kafkajs';
import type { PluginContext, Timer } from '#plugin';
import type { KafkaConfig } from '../../config.ts';
import { toFailure } from '../../failures.ts';
import { withDeadline } from '../deadline.ts';
import { KafkaFailure, type StandingRecord, type TopicPartition } from '../driver.ts';
import type { Admins } from './admin.ts';
import type { Client, Clients } from './client.ts';
import { ID_HEADER } from './messages.ts';

const FETCH_WAIT_MS = 100;
const SESSION_MS = 30_000;
const HEARTBEAT_MS = 3_000;
/** The brokers may let a new group wait for more members. */
const JOIN_MS = 30_000;
/** Fetches that brought nothing before the partition's leader is asked for, and those of the leader before what is left is taken for not there. */
const QUIET_FETCHES = 5;
const LEADERS_FETCHES = 3;
/** Fetches that ended at once and brought nothing: a lost connection is opened again without a pause. */
const HASTY_MS = FETCH_WAIT_MS / 2;
const HASTY_FETCHES = 30;
const CHECK_MS = 1_000;
const CLOSE_MS = 3_000;

/** A partition that is being read. */
export interface Reading extends TopicPartition {
  /** Offset of the next record. */
  next: number;
  readonly end: number;
  readonly visit: (record: StandingRecord) => void;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
  /** When a session that failed is not replaced any more. */
  readonly until: number;
  movedAt: number;
  /** Answers since it moved: of any broker, or of the leader once that is known. */
  fetches: number;
  /** Its address, asked for when nothing comes; '' = being asked for. */
  leader: string | null;
}

export interface ReadSessionOptions {
  readonly config: KafkaConfig;
  readonly context: PluginContext;
  readonly clients: Clients;
  readonly admins: Admins;
  readonly topics: ReadonlySet<string>;
  /** A partition was read: there may be room for more, or nothing left. */
  readonly changed: () => void;
  /** The session has ended before these were read. `reason`: KafkaFailure, or SluiceError. */
  readonly failed: (readings: readonly Reading[], reason: unknown) => void;
}

export class ReadSession {
  readonly #options: ReadSessionOptions;
  readonly #readings = new Map<string, Reading>();
  /** Partitions that were read. Not again here: what the consumer still holds of them would be taken for what comes next. */
  readonly #used = new Set<string>();
  readonly #group: string;
  readonly #stop = new AbortController();
  #client: Client | null = null;
  #consumer: Consumer | null = null;
  #joined = false;
  /** Since something moved. */
  #hasty = 0;
  #check: Timer | null = null;
  hasFailed = false;

  constructor(options: ReadSessionOptions) {
    this.#options = options;
    const { connector, runtime } = options.context;
    this.#group = `sluice-${connector}-${Math.floor(runtime.random() * 2 ** 40).toString(36)}`;
  }

  get isBusy(): boolean {
    return this.#readings.size > 0;
  }

  /** False: it needs another session. */
  take(reading: Reading): boolean {
    const key = keyOf(reading);
    if (this.hasFailed || !this.#options.topics.has(reading.topic) || this.#used.has(key)) return false;
    this.#used.add(key);
    this.#readings.set(key, reading);
    reading.movedAt = this.#options.context.runtime.monotonicMs();
    if (this.#joined) this.#seek(reading);
    return true;
  }

  /** It is not read to its end: `reason` says why. */
  leave(reading: Reading, reason: unknown): void {
    if (this.#readings.get(keyOf(reading)) === reading) this.#finish(reading, reason);
  }

  /** Throws nothing. */
  async start(): Promise<void> {
    this.#watch();
    try {
      await this.#open();
    } catch (error) {
      this.fail(error);
    }
  }

  /** Whatever it still had to read is given back. */
  fail(error: unknown): void {
    if (this.hasFailed) return;
    this.hasFailed = true;
    const readings = [...this.#readings.values()];
    this.#readings.clear();
    this.#options.failed(readings, this.#reasonOf(error));
  }

  /** Throws nothing. */
  async end(): Promise<void> {
    this.hasFailed = true;
    this.#check?.clear();
    this.#stop.abort(new KafkaFailure('CONNECTION', 'closed'));
    const client = this.#client;
    if (client === null) return;
    const { runtime } = this.#options.context;
    await withDeadline(runtime, CLOSE_MS, this.#consumer?.disconnect() ?? Promise.resolve()).catch(() => undefined);
    await withDeadline(runtime, CLOSE_MS, removeGroup(client, this.#group)).catch(() => undefined);
    client.sockets.close();
  }

  async #open(): Promise<void> {
    const { context, clients, topics } = this.#options;
    this.#client = await clients.make();
    if (this.#stop.signal.aborted) {
      this.#client.sockets.close();
      return;
    }
    const consumer = this.#client.kafka.consumer({
      groupId: this.#group,
      allowAutoTopicCreation: false,
      // What a foreign transaction holds back stands there all the same.
      readUncommitted: true,
      maxWaitTimeInMs: FETCH_WAIT_MS,
      sessionTimeout: SESSION_MS,
      heartbeatInterval: HEARTBEAT_MS,
      retry: { restartOnFailure: async () => false },
    });
    this.#consumer = consumer;
    consumer.on(consumer.events.CRASH, ({ payload }) => this.fail(payload.error));
    consumer.on(consumer.events.GROUP_JOIN, () => this.#join());
    // Not its event FETCH: that comes as well where nothing was asked, and where the connection was lost before the answer.
    consumer.on(consumer.events.REQUEST, ({ payload }) => {
      if (payload.apiName === 'Fetch') this.#answered(payload.broker);
    });
    consumer.on(consumer.events.FETCH, ({ payload }) => this.#fetched(payload.duration));
    consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => this.#processed(payload));
    const { patienceMs } = clients;
    const all = [...topics];
    await withDeadline(context.runtime, patienceMs, consumer.connect(), this.#stop.signal);
    await withDeadline(context.runtime, patienceMs, consumer.subscribe({ topics: all, fromBeginning: true }), this.#stop.signal);
    const running = consumer.run({ autoCommit: false, eachBatch: async (payload) => this.#batch(payload) });
    // Before it has joined: nothing is fetched but what is resumed.
    consumer.pause(all.map((topic) => ({ topic })));
    await withDeadline(context.runtime, JOIN_MS + patienceMs, running, this.#stop.signal);
  }

  /** Again after each rebalance: what was sought before is forgotten then. */
  #join(): void {
    this.#joined = true;
    for (const reading of this.#readings.values()) {
      reading.fetches = 0;
      reading.leader = null;
      this.#seek(reading);
    }
  }

  #seek(reading: Reading): void {
    const { topic, partition, next } = reading;
    this.#consumer?.seek({ topic, partition, offset: String(next) });
    this.#consumer?.resume([{ topic, partitions: [partition] }]);
  }

  #batch({ batch, isStale }: EachBatchPayload): void {
    const reading = this.#readings.get(keyOf(batch));
    if (reading === undefined || isStale()) return;
    const fetched = Number((batch as Batch & { fetchedOffset: string }).fetchedOffset);
    if (fetched > reading.next) {
      // The client goes on by itself where the log begins now. From there it must be asked for: what it gave us is not looked at again.
      this.#finish(reading, new KafkaFailure('OFFSET_NOT_AVAILABLE', `records of ${keyOf(reading)} were deleted while they were read`));
      return;
    }
    // Left over from before a seek.
    if (fetched < reading.next) return;
    for (const message of batch.messages) {
      const offset = Number(message.offset);
      if (offset < reading.next) continue;
      if (offset >= reading.end) break;
      // Of the producer the client does not tell.
      reading.visit({ offset, id: idOf(message), producerId: -1n, epoch: -1, sequence: -1 });
      if (this.#readings.get(keyOf(reading)) !== reading) return;
    }
    this.#moved(reading, Number(batch.lastOffset()) + 1);
  }

  /** Of what holds no record (markers of transactions, what compaction left) the consumer tells only afterwards. */
  #processed({ topic, partition, batchSize, lastOffset }: ConsumerEndBatchProcessEvent['payload']): void {
    const reading = this.#readings.get(keyOf({ topic, partition }));
    if (reading !== undefined && batchSize === 0) this.#moved(reading, Number(lastOffset) + 1);
  }

  #moved(reading: Reading, next: number): void {
    this.#hasty = 0;
    reading.next = Math.max(reading.next, next);
    reading.movedAt = this.#options.context.runtime.monotonicMs();
    reading.fetches = 0;
    reading.leader = null;
    if (reading.next >= reading.end) this.#finish(reading);
  }

  /** What an answer holds comes after it: only those before this one, of the same broker, have been looked at. */
  #answered(broker: string): void {
    for (const reading of this.#readings.values()) {
      if (!this.#joined || reading.leader === '' || (reading.leader !== null && reading.leader !== broker)) continue;
      if (reading.leader === broker && reading.fetches > LEADERS_FETCHES) {
        this.#finish(reading);
        continue;
      }
      reading.fetches++;
      if (reading.leader === null && reading.fetches >= QUIET_FETCHES) void this.#findLeader(reading);
    }
  }

  #fetched(duration: number): void {
    if (this.#readings.size === 0 || duration >= HASTY_MS || ++this.#hasty < HASTY_FETCHES) return;
    this.fail(new KafkaFailure('CONNECTION', `the connection of the consumer group ${this.#group} is lost whenever it fetches`));
  }

  /** Nothing comes: only the leader's own answers say that nothing is there. */
  async #findLeader(reading: Reading): Promise<void> {
    reading.leader = '';
    try {
      const { admins } = this.#options;
      const [infos, addresses] = await Promise.all([admins.topics([reading.topic], this.#stop.signal), admins.addresses(this.#stop.signal)]);
      const info = infos.get(reading.topic)?.partitions.find(({ partition }) => partition === reading.partition);
      if (info === undefined) throw new KafkaFailure('UNKNOWN_TOPIC_OR_PARTITION', `the brokers know no partition ${keyOf(reading)}`);
      if (reading.leader !== '') return;
      const leader = addresses.get(info.leader);
      if (leader === undefined) throw new KafkaFailure('LEADER_NOT_AVAILABLE', `the brokers know no leader of ${keyOf(reading)}`);
      reading.leader = leader;
      reading.fetches = 0;
    } catch (error) {
      if (this.#readings.get(keyOf(reading)) !== reading) return;
      this.#finish(reading, this.#reasonOf(error));
    }
  }

  /** `reason`: why it could not be read to its end. */
  #finish(reading: Reading, reason?: unknown): void {
    const { topic } = reading;
    this.#readings.delete(keyOf(reading));
    if (this.#joined && !this.hasFailed) {
      // To pause one partition of a topic resumes all others that were paused with it.
      this.#consumer?.pause([{ topic }]);
      const partitions = [...this.#readings.values()].filter((other) => other.topic === topic).map(({ partition }) => partition);
      if (partitions.length > 0) this.#consumer?.resume([{ topic, partitions }]);
    }
    if (reason === undefined) reading.resolve();
    else reading.reject(reason);
    this.#options.changed();
  }

  #reasonOf(error: unknown): unknown {
    let failure: KafkaFailure;
    try {
      failure = toFailure(error);
    } catch (typed) {
      return typed;
    }
    if (!/find group coordinator/i.test(failure.message)) return failure;
    // The client keeps to itself why no broker told it.
    const prefix = `sluice-${this.#options.context.connector}-`;
    const detail = `no broker tells who coordinates the consumer group ${this.#group}; where it stays so, this user may lack the right Read: kafka-acls.sh --bootstrap-server … --add --allow-principal User:<user> --operation Read --group ${prefix} --resource-pattern-type prefixed`;
    return new KafkaFailure('COORDINATOR_NOT_AVAILABLE', detail, failure);
  }

  /** A consumer that cannot fetch says nothing. */
  #watch(): void {
    const { context, clients } = this.#options;
    this.#check = context.runtime.setTimer(() => {
      const since = context.runtime.monotonicMs() - clients.patienceMs - (this.#joined ? 0 : JOIN_MS);
      const isStuck = [...this.#readings.values()].some(({ movedAt }) => movedAt < since);
      if (isStuck) this.fail(new KafkaFailure('TIMEOUT', `the consumer group ${this.#group} brought nothing`));
      else if (!this.hasFailed) this.#watch();
    }, CHECK_MS);
  }
}

/** Left alone the brokers remove it after some minutes. */
async function removeGroup({ kafka }: Client, group: string): Promise<void> {
  const admin = kafka.admin();
  await admin.connect();
  await admin.deleteGroups([group]);
  await admin.disconnect();
}

function keyOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}

function idOf({ headers }: KafkaMessage): string | null {
  const value = headers?.[ID_HEADER];
  const first = Array.isArray(value) ? value[0] : value;
  return first === undefined ? null : first.toString();
}
