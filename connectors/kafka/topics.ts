/** The topics that are written to: found, made where that is allowed, and checked before their first message. */
import { errorFinding, type Finding, type PluginContext, SluiceError, sleep } from '#plugin';
import type { KafkaConfig } from './config.ts';
import { type KafkaDriver, KafkaFailure, type NewTopic, type TopicInfo } from './drivers/driver.ts';
import { topicForbidden, topicMissing } from './errors.ts';
import { classify, toFailure } from './failures.ts';
import type { TopicPlace } from './place.ts';
import { findingsOfTopic, numberOf } from './preflight.ts';
import { typedError } from './typed-error.ts';

/** A topic that was made is known everywhere a moment later. */
const SETTLE_MS = 10_000;
const LOOK_MS = 50;
/** A record batch's own head, and some room. */
const BATCH_HEAD_BYTES = 512;
const BROKER_DEFAULT = -1;
/** Partitions that are read back, or topics that are asked for, at the same time. */
export const READERS = 8;

export interface KnownTopic extends TopicPlace {
  /** Keys are what compaction goes by: a message without one is refused. */
  readonly compacted: boolean;
  /** Bytes of records in one batch at most, −1 = not known. */
  readonly maxMessageBytes: number;
}

/** What is known of topics from before they are written to. */
export interface TopicsBefore {
  /** As saved: the partitions that are written to. */
  readonly saved: ReadonlyMap<string, TopicPlace>;
  /** Looked at by preflight. */
  readonly judged: ReadonlySet<string>;
  /** Codes of findings that were said, of whichever topic. */
  readonly said: Set<string>;
}

export class Topics {
  readonly #config: KafkaConfig;
  readonly #context: PluginContext;
  readonly #driver: KafkaDriver;
  readonly #known = new Map<string, KnownTopic>();
  readonly #before: TopicsBefore;

  constructor(config: KafkaConfig, context: PluginContext, driver: KafkaDriver, before: TopicsBefore) {
    this.#config = config;
    this.#context = context;
    this.#driver = driver;
    this.#before = before;
  }

  known(topic: string): KnownTopic | undefined {
    return this.#known.get(topic);
  }

  /** That are written to; 0 = not known yet. */
  partitionsOf(topic: string): number {
    return this.#known.get(topic)?.partitions ?? this.#before.saved.get(topic)?.partitions ?? 0;
  }

  /** Resolves when the topic can be written to. Throws KafkaFailure for what may pass, SluiceError for what does not. */
  async ensure(topic: string, signal: AbortSignal): Promise<void> {
    if (this.#known.has(topic)) return;
    const info = (await this.#find(topic, signal)) ?? (await this.#create(topic, signal));
    const settings = await readSettings(this.#driver, topic, signal);
    if (!this.#before.judged.has(topic)) this.#judge(findingsOfTopic(this.#config, this.#context.connector, info, settings));
    const saved = this.#before.saved.get(topic);
    if (info.partitions.length === 0) throw new KafkaFailure('LEADER_NOT_AVAILABLE', `the brokers do not know the partitions of ${topic} yet`);
    const maxMessageBytes = numberOf(settings, 'max.message.bytes');
    this.#known.set(topic, {
      partitions: saved?.partitions ?? info.partitions.length,
      id: info.id,
      compacted: (settings?.get('cleanup.policy') ?? '').includes('compact'),
      maxMessageBytes: maxMessageBytes === null ? -1 : Math.max(1, maxMessageBytes - BATCH_HEAD_BYTES),
    });
  }

  /** Whether a topic that was written to does not exist any more. A broker that has just started may not know yet: only what lasts is believed. */
  async isGone(topic: string, signal: AbortSignal): Promise<boolean> {
    const { runtime } = this.#context;
    const until = runtime.monotonicMs() + SETTLE_MS;
    while (runtime.monotonicMs() < until) {
      try {
        if ((await this.#find(topic, signal)) !== undefined) return false;
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof KafkaFailure)) throw error;
        return false;
      }
      await sleep(runtime, 10 * LOOK_MS, signal);
    }
    return true;
  }

  async #find(topic: string, signal: AbortSignal): Promise<TopicInfo | undefined> {
    return (await this.#driver.topics([topic], signal)).get(topic);
  }

  async #create(topic: string, signal: AbortSignal): Promise<TopicInfo> {
    const { connector, runtime, log } = this.#context;
    const { createTopics, brokers } = this.#config;
    const wanted = newTopic(this.#config, topic);
    if (!createTopics) throw new SluiceError(topicMissing, { topic, brokers: brokers.join(',') });
    try {
      await this.#driver.createTopic(wanted, signal);
    } catch (error) {
      throw refusedTopic(error, topic, connector);
    }
    log.info(`Topic "${topic}" was created.`);
    const until = runtime.monotonicMs() + SETTLE_MS;
    for (;;) {
      const info = await this.#find(topic, signal);
      if (info !== undefined && info.partitions.length > 0 && info.partitions.every(({ leader }) => leader >= 0)) return info;
      if (runtime.monotonicMs() > until) throw new KafkaFailure('LEADER_NOT_AVAILABLE', `the new topic ${topic} has no leaders yet`);
      await sleep(runtime, LOOK_MS, signal);
    }
  }

  #judge(findings: readonly Finding[]): void {
    for (const { severity, code, message, remedy } of findings) {
      if (severity === 'error') throw new SluiceError({ code, retry: 'manual', exit: 3, cause: message, remedy });
      const level = this.#before.said.has(code) ? 'debug' : severity === 'warning' ? 'warn' : 'info';
      this.#before.said.add(code);
      this.#context.log[level](message, { code, remedy });
    }
  }
}

/** Null: this user may not read them. */
export async function readSettings(driver: KafkaDriver, topic: string, signal: AbortSignal): Promise<ReadonlyMap<string, string> | null> {
  try {
    return await driver.topicSettings(topic, signal);
  } catch (error) {
    signal.throwIfAborted();
    const failure = toFailure(error);
    if (failure.code === 'TOPIC_AUTHORIZATION_FAILED' || failure.code === 'CLUSTER_AUTHORIZATION_FAILED') return null;
    throw failure;
  }
}

/** Why a topic cannot be made: the failure itself where it may pass. */
export function refusedTopic(error: unknown, topic: string, connector: string): KafkaFailure | SluiceError {
  const failure = toFailure(error);
  if (classify(failure.code) === 'again') return failure;
  return typedError(failure, { topic, connector, bytes: 0, limit: -1, creating: true });
}

/** A topic as the configuration wants it. */
export function newTopic({ partitions, replication, topicSettings }: KafkaConfig, name: string): NewTopic {
  const settings = Object.fromEntries(
    topicSettings.map((setting) => {
      const at = setting.indexOf('=');
      return [setting.slice(0, at), setting.slice(at + 1)];
    }),
  );
  return { name, partitions: partitions ?? BROKER_DEFAULT, replication: replication ?? BROKER_DEFAULT, settings };
}

/** Of one topic that may not be looked at a client says it of all that were asked for: then each is asked for by itself. */
export async function lookAtTopics(
  driver: KafkaDriver,
  names: readonly string[],
  connector: string,
  signal: AbortSignal,
): Promise<{ readonly infos: ReadonlyMap<string, TopicInfo>; readonly forbidden: ReadonlyMap<string, Finding> }> {
  const forbidden = new Map<string, Finding>();
  try {
    return { infos: await driver.topics(names, signal), forbidden };
  } catch (error) {
    if (toFailure(error).code !== 'TOPIC_AUTHORIZATION_FAILED') throw error;
  }
  const infos = new Map<string, TopicInfo>();
  await inParallel([...names.keys()], READERS, async (index) => {
    const topic = names[index] as string;
    try {
      for (const [name, info] of await driver.topics([topic], signal)) infos.set(name, info);
    } catch (error) {
      const { code, message: detail } = toFailure(error);
      if (code !== 'TOPIC_AUTHORIZATION_FAILED') throw error;
      forbidden.set(topic, errorFinding(new SluiceError(topicForbidden, { topic, operation: 'Describe', connector, detail })));
    }
  });
  return { infos, forbidden };
}

export async function inParallel(items: readonly number[], workers: number, work: (item: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length) await work(items[next++] as number);
  };
  await Promise.all(Array.from({ length: Math.min(workers, items.length) }, worker));
}
