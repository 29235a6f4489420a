import { destinationAt, idAt, type MessageBatch, SluiceError, SPAN, SPAN_SIZE } from '#plugin';
import { compactedKeyless } from './errors.ts';
import { Lane } from './lane.ts';
import { partitionOfKey } from './partitioner.ts';
import type { KnownTopic, Topics } from './topics.ts';

const TO_ALL = -1;

/** What a batch has for one lane. */
export interface Share {
  readonly lane: Lane;
  /** Messages of the batch, in order. */
  readonly indexes: Int32Array;
}

/** Which lane a message goes to (algorithms §4): by its key as Java's clients do, without one by its table, a TRUNCATE to all. */
export class LaneMap {
  readonly #topics: Topics;
  readonly #lanes = new Map<string, Lane[]>();

  constructor(topics: Topics) {
    this.#topics = topics;
  }

  /** The lane, made if it is new. */
  lane(topic: string, partition: number): Lane {
    let lanes = this.#lanes.get(topic);
    if (lanes === undefined) {
      lanes = [];
      this.#lanes.set(topic, lanes);
    }
    lanes[partition] ??= new Lane(topic, partition);
    return lanes[partition];
  }

  /** Topics of the batch that nothing is known of yet. */
  newTopics({ count, spans, destinations }: MessageBatch): readonly string[] {
    const used = new Set<number>();
    for (let at = SPAN.destination; at < count * SPAN_SIZE; at += SPAN_SIZE) used.add(spans[at] as number);
    return [...used].map((destination) => destinations[destination] as string).filter((topic) => this.#topics.known(topic) === undefined);
  }

  /** Counts, then fills: an array of indexes for each lane. All topics are known. Throws SLUICE_KAFKA_COMPACTED_KEYLESS. */
  split(batch: MessageBatch): readonly Share[] {
    const partitions = new Int32Array(batch.count);
    const counts = new Map<Lane, number>();
    for (let message = 0; message < batch.count; message++) {
      const partition = this.#partitionOf(batch, message);
      partitions[message] = partition;
      if (partition === TO_ALL) for (const lane of this.#all(batch, message)) count(counts, lane);
      else count(counts, this.lane(destinationAt(batch, message), partition));
    }
    const filled = new Map<Lane, { readonly indexes: Int32Array; length: number }>();
    for (const [lane, length] of counts) filled.set(lane, { indexes: new Int32Array(length), length: 0 });
    const put = (lane: Lane, message: number): void => {
      const share = filled.get(lane) as { readonly indexes: Int32Array; length: number };
      share.indexes[share.length++] = message;
    };
    for (let message = 0; message < batch.count; message++) {
      const partition = partitions[message] as number;
      if (partition === TO_ALL) for (const lane of this.#all(batch, message)) put(lane, message);
      else put(this.lane(destinationAt(batch, message), partition), message);
    }
    return [...filled].map(([lane, { indexes }]) => ({ lane, indexes }));
  }

  /** Whether a message was noted as standing in its lanes. A topic that nothing was written to yet has no lanes. */
  stands(batch: MessageBatch, message: number): boolean {
    const topic = destinationAt(batch, message);
    const id = idAt(batch, message);
    const lanes = this.#lanes.get(topic) ?? [];
    const partitions = this.#topics.partitionsOf(topic);
    if (partitions === 0) return false;
    const partition = partitionIn(batch, message, partitions);
    const of = partition === TO_ALL ? lanes : [lanes[partition]];
    return of.length > 0 && of.every((lane) => lane?.found?.has('', id) === true);
  }

  /** Partitions in which a message to all of them was not noted as standing; null: it goes to one, or there are none yet. */
  lacking(batch: MessageBatch, message: number): readonly number[] | null {
    const topic = destinationAt(batch, message);
    const partitions = this.#topics.partitionsOf(topic);
    if (partitions === 0 || partitionIn(batch, message, partitions) !== TO_ALL) return null;
    const id = idAt(batch, message);
    const lanes = this.#lanes.get(topic) ?? [];
    return Array.from({ length: partitions }, (_, each) => each).filter((each) => lanes[each]?.found?.has('', id) !== true);
  }

  /** Whether something that was sent is unanswered. */
  get isSending(): boolean {
    return [...this.#lanes.values()].some((lanes) => lanes.some((lane) => lane?.sending != null));
  }

  /** Whether something that was sent may come although nobody has confirmed it. */
  get isDoubtful(): boolean {
    return [...this.#lanes.values()].some((lanes) => lanes.some((lane) => lane?.sending != null && lane.doubtful));
  }

  /** Nothing waits in any lane any more. */
  clear(): void {
    for (const lanes of this.#lanes.values()) for (const lane of lanes) lane?.clear();
  }

  #partitionOf(batch: MessageBatch, message: number): number {
    const topic = destinationAt(batch, message);
    const { partitions, compacted } = this.#topics.known(topic) as KnownTopic;
    if (compacted && (batch.spans[message * SPAN_SIZE + SPAN.keyStart] as number) < 0) throw new SluiceError(compactedKeyless, { topic });
    return partitionIn(batch, message, partitions);
  }

  #all(batch: MessageBatch, message: number): readonly Lane[] {
    const topic = destinationAt(batch, message);
    const { partitions } = this.#topics.known(topic) as KnownTopic;
    return Array.from({ length: partitions }, (_, each) => this.lane(topic, each));
  }
}

function partitionIn({ bytes, spans }: MessageBatch, message: number, partitions: number): number {
  const at = message * SPAN_SIZE;
  const start = spans[at + SPAN.keyStart] as number;
  if (start >= 0) return partitionOfKey(bytes, start, spans[at + SPAN.keyEnd] as number, partitions);
  const spread = spans[at + SPAN.spread] as number;
  return spread < 0 ? TO_ALL : spread % partitions;
}

function count(counts: Map<Lane, number>, lane: Lane): void {
  counts.set(lane, (counts.get(lane) ?? 0) + 1);
}
