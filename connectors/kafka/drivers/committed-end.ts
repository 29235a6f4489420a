/**
 * Where a partition ends. Consumers are told up to where its records are committed; what the leader has and its replicas do not have yet stands behind
 * that, and will be there a moment later. Who reads back only what consumers see takes a batch of the process before it for lost, and writes it again.
 */
import { type Runtime, sleep } from '#plugin';
import { KafkaFailure } from './driver.ts';

/** Replicas that lag longer are taken out of the in-sync ones by the leader (`replica.lag.time.max.ms`, 30 s by default). */
const LONGEST_MS = 10_000;
const LOOK_MS = 50;

/**
 * ListOffsets' replica id decides what a leader tells: −1, a consumer: up to what is committed; any follower's: up to its log's end
 * (ReplicaManager.fetchOffset). −2 would be answered by a broker that does not lead, too.
 */
export const AS_CONSUMER = -1;
export const AS_FOLLOWER = 1_000_000_000;

/** Asks for the ends of partitions, by `topic/partition`. */
export type AskEnds = (keys: readonly string[], replica: typeof AS_CONSUMER | typeof AS_FOLLOWER) => Promise<ReadonlyMap<string, number>>;

/**
 * Behind the last record that each partition has now, once it is committed. Throws KafkaFailure OFFSET_NOT_AVAILABLE if that takes too long. What is
 * written meanwhile is not waited for; what a new leader has cut off is not either.
 */
export async function committedEnds(
  keys: readonly string[],
  ask: AskEnds,
  runtime: Runtime,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, number>> {
  const ends = new Map<string, number>();
  const until = runtime.monotonicMs() + LONGEST_MS;
  for (let open = keys; open.length > 0; ) {
    for (const [key, end] of await ask(open, AS_FOLLOWER)) ends.set(key, Math.min(end, ends.get(key) ?? end));
    const committed = await ask(open, AS_CONSUMER);
    open = open.filter((key) => (committed.get(key) ?? -1) < (ends.get(key) ?? 0));
    if (open.length === 0) break;
    if (runtime.monotonicMs() > until) {
      throw new KafkaFailure(
        'OFFSET_NOT_AVAILABLE',
        `replicas have not taken over yet what ${open[0]} holds up to offset ${ends.get(open[0] as string)}`,
      );
    }
    await sleep(runtime, LOOK_MS, signal);
  }
  return ends;
}
