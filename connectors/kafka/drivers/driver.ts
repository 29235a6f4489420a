/**
 * What the lane layer asks of a Kafka client, and what it promises the client: one `produce` in flight per topic and partition, an explicit partition,
 * and the same records again after a failure whose outcome is not known. Neither client is used in any other way.
 */
import { type MessageBatch, SPAN, SPAN_SIZE } from '#plugin';

/** Why a call failed, in the words of Kafka's protocol (`NOT_LEADER_OR_FOLLOWER`), or `CONNECTION`, `TIMEOUT`, `NO_RESPONSE` for what was not answered. */
export class KafkaFailure extends Error {
  readonly code: string;

  /** `detail`: the one innermost cause in words, without secrets and row values (I12). */
  constructor(code: string, detail: string, cause?: unknown) {
    super(detail, cause === undefined ? undefined : { cause });
    this.name = 'KafkaFailure';
    this.code = code;
  }
}

export interface PartitionInfo {
  readonly partition: number;
  /** Node id, −1 = there is none now. */
  readonly leader: number;
  readonly replicas: number;
  readonly inSync: number;
}

export interface TopicInfo {
  readonly name: string;
  /** 32 hex digits with dashes: a topic that was deleted and made again has another one. '' = the client does not tell. */
  readonly id: string;
  /** In order of their numbers. */
  readonly partitions: readonly PartitionInfo[];
  /** What this user may do there; null = the client does not tell. */
  readonly rights: TopicRights | null;
}

export interface TopicRights {
  readonly read: boolean;
  readonly write: boolean;
  readonly describeConfigs: boolean;
}

export interface ClusterInfo {
  /** '' = the client does not tell. */
  readonly clusterId: string;
  readonly brokers: number;
}

export interface Advertised {
  readonly id: number;
  readonly host: string;
  readonly port: number;
}

export interface NewTopic {
  readonly name: string;
  /** −1 = the broker's default. */
  readonly partitions: number;
  /** −1 = the broker's default. */
  readonly replication: number;
  readonly settings: Readonly<Record<string, string>>;
}

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

/** The identity under which a lane's records are written, where the client lets it be chosen: it survives restarts, and the broker recognises doubles by it. */
export interface ProducerIdentity {
  readonly producerId: bigint;
  readonly epoch: number;
  /** Of the first record. */
  readonly sequence: number;
}

/** Some messages of one or several batches, in order. They are kept unchanged until the call that sends them has resolved. */
export interface RecordRun {
  readonly batch: MessageBatch;
  /** Indexes of messages in `batch`. */
  readonly indexes: Int32Array;
}

/** Records of one lane. The same object is given again when they are sent again: a driver may keep what it made of them in `encoded`. */
export interface RecordSet extends TopicPartition {
  readonly runs: readonly RecordRun[];
  /** Number of records. */
  readonly count: number;
  /** Milliseconds since the epoch, for all of them. */
  readonly timestampMs: number;
  /** Null: the driver's own. */
  readonly identity: ProducerIdentity | null;
  /** The topic's `max.message.bytes`, −1 = not known. */
  readonly maxBytes: number;
  encoded: unknown;
}

/** `socket.request.max.bytes` of brokers is 100 MiB by default: they do not answer a larger request, they close the connection. */
const ASKED_BYTES = 32 * 1024 * 1024;

/** Whether a batch is too large is the broker's to say, whose limit may have been raised; but not where it would say nothing. Throws KafkaFailure. */
export function refuseHopeless({ maxBytes }: RecordSet, bytes: number): void {
  if (maxBytes < 0 || bytes <= Math.max(maxBytes, ASKED_BYTES)) return;
  throw new KafkaFailure('MESSAGE_TOO_LARGE', `the batch has ${bytes} bytes, and the topic takes ${maxBytes}`);
}

/** Room for a record's lengths and numbers in Kafka's format, at their longest. */
const FRAME_BYTES = 32;

/** Upper bound of what a message takes as a record. (A header's lengths take more in a message batch than in a record.) */
export function recordBytesOf({ spans }: MessageBatch, message: number): number {
  const at = message * SPAN_SIZE;
  let bytes = FRAME_BYTES;
  for (let part = SPAN.keyStart; part <= SPAN.idStart; part += 2) {
    const start = spans[at + part] as number;
    if (start >= 0) bytes += (spans[at + part + 1] as number) - start;
  }
  return bytes;
}

/** One record that stands in a partition. */
export interface StandingRecord {
  readonly offset: number;
  /** Value of the header `sluice.id`, null = it has none. */
  readonly id: string | null;
  /** Of the batch that it is in; −1n = none, or the client does not tell. */
  readonly producerId: bigint;
  readonly epoch: number;
  /** Its own sequence number, −1 = none. */
  readonly sequence: number;
}

export interface KafkaDriver {
  /** Records are written under an identity of our choosing (`RecordSet.identity`), so that one run can go on where another one ended. */
  readonly choosesIdentity: boolean;
  /** Records that one set may have. */
  readonly maxRecords: number;
  /** Connects to any broker. Throws KafkaFailure: `CONNECTION`, `TIMEOUT`, `SASL_AUTHENTICATION_FAILED`, `TLS`, `UNSUPPORTED_VERSION`. */
  connect(signal: AbortSignal): Promise<ClusterInfo>;
  /** Where each broker tells clients to find it. Throws KafkaFailure. */
  advertised(signal: AbortSignal): Promise<readonly Advertised[]>;
  /**
   * Microseconds since the epoch by the clock of the controller; null where it is not told: by brokers before 3.9, to users without the right Describe on the cluster, and by kafkajs, which
   * does not know the question (DescribeQuorum, KIP-836). Throws nothing but the signal's reason.
   */
  clock(signal: AbortSignal): Promise<number | null>;
  /** Names of all topics that this user sees. */
  topicNames(signal: AbortSignal): Promise<readonly string[]>;
  /** Those of `names` that exist. Throws KafkaFailure (`TOPIC_AUTHORIZATION_FAILED`, …). */
  topics(names: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, TopicInfo>>;
  /** Resolves when the topic exists, also if somebody else made it. Throws KafkaFailure (`TOPIC_AUTHORIZATION_FAILED`, `INVALID_REPLICATION_FACTOR`, `POLICY_VIOLATION`, …). */
  createTopic(topic: NewTopic, signal: AbortSignal): Promise<void>;
  /** Throws what `createTopic` would throw, and makes nothing. */
  tryTopic(topic: NewTopic, signal: AbortSignal): Promise<void>;
  /** Values of a topic's settings by name. Throws KafkaFailure, `TOPIC_AUTHORIZATION_FAILED` where they may not be read. */
  topicSettings(topic: string, signal: AbortSignal): Promise<ReadonlyMap<string, string>>;
  /**
   * First offset that is still there, or one behind the last that the leader has, once all up to it is committed: what a process before this one had
   * written may not be yet. All asked in as few calls as possible. Throws KafkaFailure (OFFSET_NOT_AVAILABLE: not committed for long).
   */
  offsets(partitions: readonly TopicPartition[], which: 'first' | 'end', signal: AbortSignal): Promise<readonly number[]>;
  /**
   * Calls `visit` for the records of a partition from offset `from` on, in order, up to but without `end`. Resolves when everything that is there was
   * visited; offsets may be missing (compaction, transaction markers, deleted records). Never waits for an offset that does not exist. Throws KafkaFailure.
   */
  read(where: TopicPartition, from: number, end: number, visit: (record: StandingRecord) => void, signal: AbortSignal): Promise<void>;
  /** A producer id of our own, for `identity`. Only where `choosesIdentity`. */
  newProducerId(signal: AbortSignal): Promise<bigint>;
  /**
   * Sends the records with acks=all and resolves with the offset of the first when the broker has confirmed exactly these. Throws KafkaFailure. After a
   * failure without an answer the same set is sent again, on the same producer, for as long as it takes.
   */
  produce(records: RecordSet, signal: AbortSignal): Promise<number>;
  /** A broker's answer has made the producer unusable: the next `produce` is under a new one. Resolves when nothing of the old one can arrive any more. */
  renewProducer(signal: AbortSignal): Promise<void>;
  /** Ends all calls that are under way (they reject) and closes everything. Throws nothing. */
  close(): Promise<void>;
}
