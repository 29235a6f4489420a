import {
  errorFinding,
  type Finding,
  type MessageBatch,
  type Place,
  type Sink,
  type SinkContext,
  SluiceError,
  sleep,
  type TableIdentity,
  type Written,
} from '#plugin';
import type { KafkaConfig } from './config.ts';
import type { ClusterInfo, KafkaDriver, TopicInfo, TopicPartition } from './drivers/driver.ts';
import { otherCluster, partitionsAdded, partitionsFewer, topicForbidden, topicLost, topicMissing } from './errors.ts';
import { toFailure } from './failures.ts';
import { Lanes } from './lanes.ts';
import {
  CLUSTER,
  type KafkaPlace,
  type LaneIdentity,
  type LanePlace,
  laneKey,
  laneValue,
  parseLaneKey,
  parsePlace,
  topicEntry,
  topicValue,
  UNSETTLED,
} from './place.ts';
import { findingsOfTopic, gathered } from './preflight.ts';
import { clockFindings, reachFindings, tlsFindings } from './reach.ts';
import { holdsOutput, readSuffix, unsavedFrom } from './read-back.ts';
import { topicMatcher, topicOf } from './topic.ts';
import { inParallel, lookAtTopics, newTopic, READERS, readSettings, refusedTopic, Topics } from './topics.ts';
import { Trouble } from './trouble.ts';
import { typedError } from './typed-error.ts';

/** Topics that preflight looks at; the others are looked at before their first message. */
const PREFLIGHT_TOPICS = 200;

/** Writes messages to Kafka topics. */
export class KafkaSink implements Sink {
  readonly #config: KafkaConfig;
  readonly #context: SinkContext;
  readonly #load: () => Promise<KafkaDriver>;
  #loaded: KafkaDriver | null = null;
  #cluster: ClusterInfo | null = null;
  #connecting: Promise<ClusterInfo> | null = null;
  /** Topics that preflight has looked at. */
  readonly #judged = new Set<string>();
  /** Codes of what was said of topics: a thousand of them do not need a thousand lines. */
  readonly #said = new Set<string>();
  #lanes: Lanes | null = null;
  #hasLookedAtBrokers = false;

  constructor(config: KafkaConfig, context: SinkContext, load: () => Promise<KafkaDriver>) {
    this.#config = config;
    this.#context = context;
    this.#load = load;
  }

  async preflight(destinations: readonly string[], signal: AbortSignal): Promise<readonly Finding[]> {
    await this.#connect(signal);
    return this.#typed(signal, async () => {
      const wanted = destinations.slice(0, PREFLIGHT_TOPICS);
      const names = new Set([...wanted, ...(await this.#ownTopics(signal))].slice(0, PREFLIGHT_TOPICS));
      const { infos, forbidden } = await lookAtTopics(this.#driver, [...names], this.#context.connector, signal);
      const findings: Finding[] = [...forbidden.values()];
      for (const topic of wanted) if (!infos.has(topic) && !forbidden.has(topic)) findings.push(...(await this.#absent(topic, signal)));
      for (const info of infos.values()) {
        this.#judged.add(info.name);
        findings.push(...findingsOfTopic(this.#config, this.#context.connector, info, await readSettings(this.#driver, info.name, signal)));
      }
      for (const { code } of findings) this.#said.add(code);
      return [...(await this.#lookAtBrokers(signal)), ...gathered(findings)];
    });
  }

  /** Once: a table that has come is no news of them. */
  async #lookAtBrokers(signal: AbortSignal): Promise<readonly Finding[]> {
    if (this.#hasLookedAtBrokers) return [];
    this.#hasLookedAtBrokers = true;
    const findings = tlsFindings(this.#config);
    // One that does not answer would hold a start up, which finds out by itself which of them it needs (I10).
    if (this.#context.isExamined !== true) return findings;
    return [
      ...findings,
      ...(await reachFindings(await this.#driver.advertised(signal), signal)),
      ...(await clockFindings(this.#config, this.#context, this.#driver, signal)),
    ];
  }

  async open(place: Place | null, signal: AbortSignal): Promise<Written> {
    const { clusterId } = await this.#connect(signal);
    const saved = place === null ? null : parsePlace(place);
    if (saved !== null && saved.cluster !== clusterId && saved.cluster !== '' && clusterId !== '') {
      throw new SluiceError(otherCluster, { connector: this.#context.connector, saved: saved.cluster, found: clusterId });
    }
    await this.#waitOut(saved, signal);
    return this.#typed(signal, async () => {
      const topics = saved === null ? new Map<string, TopicInfo>() : await this.#savedTopics(saved, signal);
      const lanes = new Lanes({
        config: this.#config,
        context: this.#context,
        driver: this.#driver,
        topics: new Topics(this.#config, this.#context, this.#driver, {
          saved: await this.#partitionsOf(saved, topics, signal),
          judged: this.#judged,
          said: this.#said,
        }),
        trouble: new Trouble(this.#context),
        cluster: clusterId,
      });
      const transactions = saved === null ? [] : await this.#restore(lanes, saved, signal);
      const holds = saved === null && (await this.#holdsOutput(signal));
      this.#lanes = lanes;
      return { transactions, holdsOutput: holds };
    });
  }

  destination(table: TableIdentity): string {
    return topicOf(this.#config.topic, this.#context.connector, table);
  }

  stands(batch: MessageBatch, index: number): boolean {
    return this.#lanes?.stands(batch, index) === true;
  }

  lacking(batch: MessageBatch, index: number): readonly number[] | null {
    return this.#lanes?.lacking(batch, index) ?? null;
  }

  write(batch: MessageBatch, signal: AbortSignal): Promise<Place> {
    if (this.#lanes === null) return Promise.reject(new Error('write() before open()'));
    return this.#lanes.write(batch, signal);
  }

  /** Partitions have no order among each other: there is no last transaction. All that can be unsaved is read back at the next start. */
  async recover(signal: AbortSignal): Promise<{ readonly place: Place; readonly lastTransaction: null }> {
    const { clusterId } = await this.#connect(signal);
    return this.#typed(signal, async () => {
      const infos = await this.#driver.topics(await this.#ownTopics(signal), signal);
      const partitions = partitionsOf(infos.values());
      const from = await unsavedFrom(this.#driver, partitions, signal);
      const place: Record<string, string> = { [CLUSTER]: clusterId, [UNSETTLED]: 'recovered' };
      for (const { name, id, partitions: all } of infos.values()) place[topicEntry(name)] = topicValue({ partitions: all.length, id });
      partitions.forEach(({ topic, partition }, index) => {
        place[laneKey(topic, partition)] = laneValue(from[index] as number, null);
      });
      return { place, lastTransaction: null };
    });
  }

  async close(): Promise<void> {
    const settled = this.#lanes?.isSettled === true && !this.#driver.choosesIdentity;
    const inDoubt = this.#lanes?.leftInDoubt === true && this.#driver.choosesIdentity;
    this.#lanes?.close();
    await this.#loaded?.close();
    if (inDoubt) await this.#context.savePlace({ [UNSETTLED]: 'stopped' });
    // What stays is waited for by the next one; so it may stay where it cannot be saved any more.
    if (settled) await this.#context.savePlace({ [UNSETTLED]: null }).catch(() => undefined);
  }

  /** The connection of preflight serves `open` too. */
  async #connect(signal: AbortSignal): Promise<ClusterInfo> {
    // One at a time: the doctor looks at the brokers while the source is asked for its tables.
    this.#connecting ??= this.#begin(signal).finally(() => (this.#connecting = null));
    return this.#connecting;
  }

  async #begin(signal: AbortSignal): Promise<ClusterInfo> {
    this.#loaded ??= await this.#load();
    this.#cluster ??= await this.#typed(signal, () => this.#driver.connect(signal));
    return this.#cluster;
  }

  get #driver(): KafkaDriver {
    return this.#loaded as KafkaDriver;
  }

  /** Failures of the driver as errors that a user can act on. */
  async #typed<T>(signal: AbortSignal, action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof SluiceError) throw error;
      const failure = toFailure(error);
      if (failure.code === 'OFFSET_OUT_OF_RANGE')
        throw new SluiceError(
          topicLost,
          { topic: this.#config.topic, connector: this.#context.connector, detail: failure.message },
          { cause: failure },
        );
      const { connector } = this.#context;
      if (failure.code === 'TOPIC_AUTHORIZATION_FAILED') {
        throw new SluiceError(
          topicForbidden,
          { topic: this.#config.topic, operation: 'Describe', connector, detail: failure.message },
          { cause: failure },
        );
      }
      throw typedError(failure, { topic: this.#config.topic, connector, bytes: 0, limit: -1 });
    }
  }

  /** An identity that is chosen here is saved before it is used: what a run that dies sends under it late must not be taken for a stranger's. */
  async #saveIdentities(lanes: Lanes, all: readonly (TopicPartition & { readonly place: LanePlace })[]): Promise<void> {
    if (!this.#driver.choosesIdentity) return;
    const chosen: Record<string, string> = {};
    for (const { topic, partition, place } of all) {
      const { key, identity } = lanes.lane(topic, partition);
      if (place.identity === null) chosen[key] = laneValue(place.offset, identity);
    }
    if (Object.keys(chosen).length > 0) await this.#context.savePlace(chosen);
  }

  /** A topic that is needed and not there: whether it can be made is known before there is a message for it. */
  async #absent(topic: string, signal: AbortSignal): Promise<readonly Finding[]> {
    const { createTopics, brokers } = this.#config;
    if (!createTopics) return [errorFinding(new SluiceError(topicMissing, { topic, brokers: brokers.join(',') }))];
    try {
      await this.#driver.tryTopic(newTopic(this.#config, topic), signal);
      return [];
    } catch (error) {
      signal.throwIfAborted();
      const refused = refusedTopic(error, topic, this.#context.connector);
      if (refused instanceof SluiceError) return [errorFinding(refused)];
      throw refused;
    }
  }

  async #ownTopics(signal: AbortSignal): Promise<readonly string[]> {
    const { connector, extraDestinations } = this.#context;
    const matches = topicMatcher(this.#config.topic, connector);
    return (await this.#driver.topicNames(signal)).filter((topic) => matches(topic) || extraDestinations.includes(topic));
  }

  async #holdsOutput(signal: AbortSignal): Promise<boolean> {
    const infos = await this.#driver.topics(await this.#ownTopics(signal), signal);
    return holdsOutput(this.#driver, partitionsOf(infos.values()), this.#context.connector, signal);
  }

  /**
   * The network still delivers what a client before this one has given to its sockets, whether its process was killed or ended in order with a batch on its
   * way. Where the lanes chose their identity such a record meets a sequence number that is taken; else it must have come, or been given up, before the
   * partitions are read.
   */
  async #waitOut(saved: KafkaPlace | null, signal: AbortSignal): Promise<void> {
    if (saved === null) return;
    if (saved.unsettled || (!this.#driver.choosesIdentity && this.#context.previousShutdown === 'unclean'))
      await sleep(this.#context.runtime, this.#config.request.timeout, signal);
    if (saved.unsettled && this.#driver.choosesIdentity) await this.#context.savePlace({ [UNSETTLED]: null });
  }

  /** The topics that were written to. Throws if one is not what it was (I8). */
  async #savedTopics(saved: KafkaPlace, signal: AbortSignal): Promise<ReadonlyMap<string, TopicInfo>> {
    const { connector } = this.#context;
    const found = await this.#driver.topics([...saved.topics.keys()], signal);
    for (const [topic, { partitions, id }] of saved.topics) {
      const info = found.get(topic);
      if (info === undefined) throw new SluiceError(topicLost, { topic, connector, detail: 'it does not exist any more' });
      if (id !== '' && info.id !== '' && info.id !== id)
        throw new SluiceError(topicLost, { topic, connector, detail: 'it was deleted and made again' });
      if (info.partitions.length < partitions) {
        throw new SluiceError(partitionsFewer, { topic, connector, saved: partitions, found: info.partitions.length });
      }
    }
    return found;
  }

  /** Which partitions are written to: those of the saved place, until an operator says otherwise; keys would move (algorithms §2). */
  async #partitionsOf(saved: KafkaPlace | null, found: ReadonlyMap<string, TopicInfo>, signal: AbortSignal): Promise<KafkaPlace['topics']> {
    if (saved === null) return new Map();
    const topics = new Map(saved.topics);
    for (const [topic, known] of saved.topics) {
      const all = found.get(topic)?.partitions.length ?? known.partitions;
      if (all === known.partitions) continue;
      if (this.#config.addedPartitions === 'use' && !(await this.#hasUnsaved(topic, saved, signal))) {
        topics.set(topic, { ...known, partitions: all });
        await this.#context.savePlace({ [topicEntry(topic)]: topicValue({ ...known, partitions: all }) });
        this.#context.log.info(`The topic "${topic}" is written to in ${all} partitions from now on, before in ${known.partitions}.`);
      } else if (this.#config.addedPartitions === 'use') {
        this.#context.log.info(
          `The new partitions of the topic "${topic}" are used from the next start on: what stands there unsaved goes by the old ones.`,
        );
      } else {
        const { code, message, remedy } = new SluiceError(partitionsAdded, { topic, saved: known.partitions, found: all });
        this.#context.log.warn(message, { code, remedy });
      }
    }
    return topics;
  }

  /** What stands behind the place was written by the old number of partitions, and must be replayed so. */
  async #hasUnsaved(topic: string, saved: KafkaPlace, signal: AbortSignal): Promise<boolean> {
    const lanes = [...saved.lanes].map(([key, lane]) => ({ ...parseLaneKey(key), offset: lane.offset })).filter((lane) => lane.topic === topic);
    const ends = await this.#driver.offsets(lanes, 'end', signal);
    const { connector } = this.#context;
    for (const [index, lane] of lanes.entries()) {
      const range = { from: lane.offset, end: ends[index] as number, connector, identity: null };
      if (range.end > range.from && (await readSuffix(this.#driver, lane, range, signal)).noted.size > 0) return true;
    }
    return false;
  }

  /** Takes the lanes up where they were, and notes what stands beyond. Only partitions that moved are read. */
  async #restore(lanes: Lanes, saved: KafkaPlace, signal: AbortSignal): Promise<readonly string[]> {
    const { connector, log } = this.#context;
    const all = [...saved.lanes].map(([key, place]) => ({ ...parseLaneKey(key), place })).filter(({ topic }) => saved.topics.has(topic));
    const ends = await this.#driver.offsets(all, 'end', signal);
    if (this.#driver.choosesIdentity && all.some(({ place }) => place.identity === null)) await lanes.identities.chooseProducer(signal);
    const transactions = new Set<string>();
    let gone = 0;
    const moved: number[] = [];
    all.forEach(({ topic, partition, place }, index) => {
      const end = ends[index] as number;
      if (end < place.offset) {
        const detail = `partition ${partition} ends at offset ${end}, and what was saved as written ends at ${place.offset}`;
        throw new SluiceError(topicLost, { topic, connector, detail });
      }
      const lane = lanes.lane(topic, partition);
      lane.state = 'ready';
      lane.offset = end;
      lane.identity = newest(place.identity ?? lanes.identities.fresh(), saved.epochs.get(lane.key));
      lane.unproved = place.identity !== null && this.#driver.choosesIdentity;
      if (end > place.offset) moved.push(index);
    });
    const readOne = async (index: number): Promise<void> => {
      const { topic, partition, place } = all[index] as (typeof all)[number];
      const lane = lanes.lane(topic, partition);
      const range = { from: place.offset, end: ends[index] as number, connector, identity: place.identity };
      const suffix = await readSuffix(this.#driver, lane, range, signal);
      gone += suffix.gone;
      lane.identity = newest(suffix.identity ?? lane.identity, saved.epochs.get(lane.key));
      // With a hole in it what is left says nothing of what was there: all of it is written again, in its order.
      if (suffix.gone > 0) return;
      lane.expect(suffix.noted);
      for (const transaction of suffix.noted.transactions()) transactions.add(transaction);
    };
    await inParallel(moved, READERS, readOne);
    await this.#saveIdentities(lanes, all);
    if (gone > 0) {
      log.warn(
        `${counted(gone, 'record')} behind the saved place ${gone === 1 ? 'is' : 'are'} gone from Kafka (compacted, deleted, or markers of transactions): what this connector wrote to these partitions since is written again (at least once for it).`,
      );
    }
    if (transactions.size > 0) log.info(`Kafka holds ${counted(transactions.size, 'transaction')} behind the saved place: not written again.`);
    return [...transactions];
  }
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

/** An epoch that was begun counts from its beginning, whether or not something was stored under it. */
function newest(identity: LaneIdentity | null, begun: LaneIdentity | undefined): LaneIdentity | null {
  if (identity === null || begun === undefined) return identity;
  if (begun.producerId !== identity.producerId) return begun.producerId > identity.producerId ? begun : identity;
  return begun.epoch > identity.epoch ? begun : identity;
}

function partitionsOf(infos: Iterable<TopicInfo>): readonly TopicPartition[] {
  return [...infos].flatMap(({ name, partitions }) => partitions.map(({ partition }) => ({ topic: name, partition })));
}
