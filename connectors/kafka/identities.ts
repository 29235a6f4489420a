/** Under which identities lanes write, each saved before it is used: a run after this one must know whose bytes come late (I4, I5). */
import type { Lane } from './lane.ts';
import type { LanesHost } from './lanes-host.ts';
import { CLUSTER, epochEntry, epochValue, type LaneIdentity, laneValue, topicEntry, topicValue, UNSETTLED } from './place.ts';
import type { KnownTopic } from './topics.ts';

/** Epochs of a producer are 16 bits. */
const LAST_EPOCH = 32_767;

export class Identities {
  readonly #host: LanesHost;
  #producerId: bigint | null = null;
  /** The place says that a client is sending. */
  #marked = false;

  constructor(host: LanesHost) {
    this.#host = host;
  }

  /** A producer id, for lanes that have no identity yet. */
  async chooseProducer(signal: AbortSignal): Promise<void> {
    this.#producerId ??= await this.#host.driver.newProducerId(signal);
  }

  /** Null: the driver has its own. */
  fresh(): LaneIdentity | null {
    return this.#producerId === null ? null : { producerId: this.#producerId, epoch: 0, sequence: 0 };
  }

  /** Before the first message: a client whose identity is not ours to choose may leave bytes behind that come late. */
  async mark(): Promise<void> {
    if (this.#marked) return;
    const { driver, context, cluster } = this.#host;
    if (!driver.choosesIdentity) await context.savePlace({ [CLUSTER]: cluster, [UNSETTLED]: 'open' });
    this.#marked = true;
  }

  /** Where new lanes begin, and under which identity. */
  async begin(lanes: readonly Lane[], signal: AbortSignal): Promise<void> {
    const { driver, topics, context, cluster } = this.#host;
    if (driver.choosesIdentity) await this.chooseProducer(signal);
    const ends = await driver.offsets(lanes, 'end', signal);
    const entries: Record<string, string> = { [CLUSTER]: cluster };
    lanes.forEach((lane, index) => {
      lane.offset = ends[index] as number;
      lane.identity = this.fresh();
      entries[lane.key] = laneValue(lane.offset, lane.identity);
      entries[topicEntry(lane.topic)] = topicValue(topics.known(lane.topic) as KnownTopic);
    });
    await context.savePlace(entries);
  }

  /** Saved before it is used: else a process after this one would go on in the old epoch, and our bytes that come late would be taken for new. */
  async nextEpoch(lane: Lane, { producerId, epoch }: LaneIdentity, signal: AbortSignal): Promise<LaneIdentity> {
    const isLast = epoch >= LAST_EPOCH;
    const next = { producerId: isLast ? await this.#host.driver.newProducerId(signal) : producerId, epoch: isLast ? 0 : epoch + 1, sequence: 0 };
    await this.#host.context.savePlace({ [epochEntry(lane.key)]: epochValue(next) });
    return next;
  }
}
