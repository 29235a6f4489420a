import type { Place } from '#plugin';

/** Under which the records of a lane are written; `sequence` is that of the next record. */
export interface LaneIdentity {
  readonly producerId: bigint;
  readonly epoch: number;
  readonly sequence: number;
}

/** Where a connector's output in one partition ends. */
export interface LanePlace {
  /** Of the next record. */
  readonly offset: number;
  /** Null: the driver does not let it be chosen, or did not. */
  readonly identity: LaneIdentity | null;
}

export interface TopicPlace {
  /** As many as are written to: partitions that are added later move no key. */
  readonly partitions: number;
  /** The topic's own id, '' = not known. */
  readonly id: string;
}

/** A place as the sink reads it. */
export interface KafkaPlace {
  readonly cluster: string;
  readonly topics: ReadonlyMap<string, TopicPlace>;
  /** By `laneKey`. */
  readonly lanes: ReadonlyMap<string, LanePlace>;
  /** Epochs that were begun before a checkpoint tells of them, by `laneKey`. */
  readonly epochs: ReadonlyMap<string, LaneIdentity>;
  /** Bytes of a client that was not heard to the end may still arrive. */
  readonly unsettled: boolean;
}

/** The entry that every place of this sink has. */
export const CLUSTER = 'cluster';
/** No topic's name can begin so. */
const TOPIC = '#';
/** Stands from before the first message that a client whose identity is not chosen sends until it has ended with nothing on its way. */
export const UNSETTLED = '!unsettled';
const EPOCH = '~';

export function laneKey(topic: string, partition: number): string {
  return `${topic}/${partition}`;
}

export function topicEntry(topic: string): string {
  return TOPIC + topic;
}

export function topicValue({ partitions, id }: TopicPlace): string {
  return `${partitions} ${id}`;
}

export function epochEntry(lane: string): string {
  return EPOCH + lane;
}

export function epochValue({ producerId, epoch }: LaneIdentity): string {
  return `${producerId} ${epoch}`;
}

export function laneValue(offset: number, identity: LaneIdentity | null): string {
  return identity === null ? `${offset}` : `${offset} ${identity.producerId} ${identity.epoch} ${identity.sequence}`;
}

/** Null: it is no place of this sink (the connector wrote somewhere else until now), or cannot be read. */
export function parsePlace(place: Place): KafkaPlace | null {
  const cluster = place[CLUSTER];
  if (typeof cluster !== 'string') return null;
  const topics = new Map<string, TopicPlace>();
  const lanes = new Map<string, LanePlace>();
  const epochs = new Map<string, LaneIdentity>();
  for (const [key, value] of Object.entries(place)) {
    if (value === null || key === CLUSTER) continue;
    if (key.startsWith(TOPIC)) {
      const match = /^(\d{1,9}) (.*)$/.exec(value);
      if (match !== null) topics.set(key.slice(1), { partitions: Number(match[1]), id: match[2] as string });
    } else if (key.startsWith(EPOCH)) {
      const match = /^(\d{1,19}) (\d{1,5})$/.exec(value);
      if (match !== null) epochs.set(key.slice(1), { producerId: BigInt(match[1] as string), epoch: Number(match[2]), sequence: 0 });
    } else if (/^[^/]+\/\d{1,9}$/.test(key)) {
      const match = /^(\d{1,16})(?: (\d{1,19}) (\d{1,5}) (\d{1,10}))?$/.exec(value);
      if (match === null) return null;
      const [, offset, producerId, epoch, sequence] = match;
      const identity = producerId === undefined ? null : { producerId: BigInt(producerId), epoch: Number(epoch), sequence: Number(sequence) };
      lanes.set(key, { offset: Number(offset), identity });
    }
  }
  return { cluster, topics, lanes, epochs, unsettled: typeof place[UNSETTLED] === 'string' };
}

/** Topic and partition of a lane's key. */
export function parseLaneKey(key: string): { readonly topic: string; readonly partition: number } {
  const slash = key.lastIndexOf('/');
  return { topic: key.slice(0, slash), partition: Number(key.slice(slash + 1)) };
}
