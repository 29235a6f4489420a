/** What stands in the partitions beyond a place (algorithms §2). */
import { Noted } from '#plugin';
import type { KafkaDriver, StandingRecord, TopicPartition } from './drivers/driver.ts';
import type { LaneIdentity } from './place.ts';

const SEQUENCES = 2 ** 31;
/**
 * How far back is read where no place was saved, in each partition: far more than can be unsaved (what is in flight, and what came between two
 * checkpoints).
 */
const UNSAVED_RECORDS = 1_000_000;
/** Records at a partition's end that are looked at to tell whether this connector has written there. */
const TAIL_RECORDS = 10_000;

interface Range {
  readonly from: number;
  readonly end: number;
  readonly connector: string;
  readonly identity: LaneIdentity | null;
}

export async function endOf(driver: KafkaDriver, where: TopicPartition, signal: AbortSignal): Promise<number> {
  const [end] = await driver.offsets([where], 'end', signal);
  return end as number;
}

/** Offsets of this connector's records by id; `identity`: what follows the last one of the same producer, null = there is none. */
export async function findOurs(
  driver: KafkaDriver,
  where: TopicPartition,
  { from, end, connector, identity }: Range,
  signal: AbortSignal,
): Promise<{ readonly standing: Map<string, number>; readonly identity: LaneIdentity | null }> {
  const standing = new Map<string, number>();
  const ours = `${connector}/`;
  let following: LaneIdentity | null = null;
  await driver.read(
    where,
    from,
    end,
    ({ offset, id, producerId, epoch, sequence }) => {
      if (id?.startsWith(ours) === true) standing.set(id, offset);
      if (producerId === identity?.producerId && sequence >= 0) following = { producerId, epoch, sequence: (sequence + 1) % SEQUENCES };
    },
    signal,
  );
  return { standing, identity: following };
}

/** What a run before this one left in a partition. */
export interface Suffix {
  readonly noted: Noted;
  /** Offsets behind the place whose records are not there any more: compacted, deleted, or a transaction's marker. */
  readonly gone: number;
  /** Under which to go on; null: what was written last is not known. */
  readonly identity: LaneIdentity | null;
}

export async function readSuffix(driver: KafkaDriver, where: TopicPartition, range: Range, signal: AbortSignal): Promise<Suffix> {
  const { from, end, connector } = range;
  const noted = new Noted(connector);
  let { identity } = range;
  let seen = 0;
  await driver.read(
    where,
    from,
    end,
    ({ id, producerId, epoch, sequence }) => {
      seen++;
      if (id !== null) noted.note('', id);
      if (identity !== null && producerId === identity.producerId && sequence >= 0)
        identity = { producerId, epoch, sequence: (sequence + 1) % SEQUENCES };
    },
    signal,
  );
  return { noted, gone: end - from - seen, identity };
}

/** Whether these ids stand at these offsets. */
export async function standsThere(
  driver: KafkaDriver,
  where: TopicPartition,
  wanted: ReadonlyMap<number, string>,
  signal: AbortSignal,
): Promise<boolean> {
  let found = 0;
  for (const [offset, wantedId] of wanted) {
    await driver.read(where, offset, offset + 1, ({ id }) => void (id === wantedId && found++), signal);
  }
  return found === wanted.size;
}

/** True if a record of this connector stands near the end of one of the partitions. */
export async function holdsOutput(
  driver: KafkaDriver,
  partitions: readonly TopicPartition[],
  connector: string,
  signal: AbortSignal,
): Promise<boolean> {
  if (partitions.length === 0) return false;
  const [ends, firsts] = await Promise.all([driver.offsets(partitions, 'end', signal), driver.offsets(partitions, 'first', signal)]);
  const ours = `${connector}/`;
  let holds = false;
  for (const [index, where] of partitions.entries()) {
    const end = ends[index] as number;
    const from = Math.max(firsts[index] as number, end - TAIL_RECORDS);
    const look = ({ id }: StandingRecord): void => {
      if (id?.startsWith(ours) === true) holds = true;
    };
    if (from < end) await driver.read(where, from, end, look, signal);
    if (holds) return true;
  }
  return false;
}

/** From where the partitions are read back when nothing was saved. */
export async function unsavedFrom(driver: KafkaDriver, partitions: readonly TopicPartition[], signal: AbortSignal): Promise<readonly number[]> {
  if (partitions.length === 0) return [];
  const [ends, firsts] = await Promise.all([driver.offsets(partitions, 'end', signal), driver.offsets(partitions, 'first', signal)]);
  return ends.map((end, index) => Math.max(firsts[index] as number, end - UNSAVED_RECORDS));
}
