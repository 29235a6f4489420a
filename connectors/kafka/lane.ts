/**
 * One topic-partition: a queue of messages, and one batch of them in flight. It keeps its order through every failure, because nothing behind a batch
 * is sent before the batch itself is known to stand there (I3).
 */
import type { Noted } from '#plugin';
import { type RecordRun, type RecordSet, recordBytesOf } from './drivers/driver.ts';
import type { Job, Run } from './job.ts';
import { type LaneIdentity, laneKey, laneValue } from './place.ts';

/** Producer sequence numbers wrap around to 0 (DefaultRecordBatch.incrementSequence). */
const SEQUENCES = 2 ** 31;

/** Told of messages of a job that stand in this lane now. */
export type Done = (job: Job, count: number) => void;

export interface LaneLimits {
  readonly bytes: number;
  readonly records: number;
  /** The topic's own, −1 = not known. */
  readonly message: number;
}

/** A set of records that is being sent, and whose they are. */
export interface Sending {
  readonly set: RecordSet;
  readonly bytes: number;
  readonly runs: readonly { readonly job: Job; readonly indexes: Int32Array }[];
}

export class Lane {
  readonly topic: string;
  readonly partition: number;
  readonly key: string;
  /** `ready`: its beginning is in the saved place, messages may be sent. */
  state: 'new' | 'beginning' | 'ready' = 'new';
  /** Offset behind the last record of ours that is known to stand there. */
  offset = 0;
  /** Of the next record. */
  identity: LaneIdentity | null = null;
  /** It goes on where a run before this one ended: the first confirmation could be that run's, and is looked at. */
  unproved = false;
  /** What stands beyond the saved place and may come again; null = nothing. */
  noted: Noted | null = null;
  /** What was found behind the place when the lane was taken up. */
  found: Noted | null = null;
  /** All that was noted is behind us: the place may move. */
  #passed = true;
  sending: Sending | null = null;
  /** Something of it is under way: a request, a pause, a look at the partition. */
  busy = false;
  /** In the scheduler's queue. */
  queued = false;
  failures = 0;
  /** An attempt to send this very set was not answered, or not for good: it may stand there already. */
  doubtful = false;
  /** Of what is being sent, something was not noted: once it stands, all that is noted is behind us. */
  #isNew = false;
  readonly #queue: Run[] = [];
  /** Halved when a batch is too large, doubled when one went through. */
  #maxRecords = Number.POSITIVE_INFINITY;

  constructor(topic: string, partition: number) {
    this.topic = topic;
    this.partition = partition;
    this.key = laneKey(topic, partition);
  }

  /** `noted`: of this connector, and only what stands in this partition behind the place. */
  expect(noted: Noted): void {
    this.found ??= noted;
    if (noted.size === 0) return;
    this.noted = noted;
    this.#passed = false;
  }

  add(run: Run): void {
    this.#queue.push(run);
  }

  get waiting(): boolean {
    return this.#queue.length > 0;
  }

  /**
   * Takes the next records out of the queue, without those that stand there already (algorithms §2): `done` is told of these. Null: none is left.
   *
   * What stands is a contiguous part of the lane's messages but for those that became dead letters, so that the first one that is not noted and is stored is behind
   * all of it: from there on the place may move. The rest of the notes is kept for a while all the same, for a replay under another configuration.
   */
  take(limits: LaneLimits, timestampMs: number, done: Done): Sending | null {
    this.doubtful = false;
    this.#isNew = false;
    const runs: { job: Job; indexes: Int32Array }[] = [];
    const maxRecords = Math.min(limits.records, this.#maxRecords);
    let count = 0;
    let bytes = 0;
    let full = false;
    for (let run = this.#queue[0]; run !== undefined && !full && count < maxRecords; run = this.#queue[0]) {
      const { job } = run;
      const from = run.at;
      let stands = false;
      while (run.at < run.indexes.length && count < maxRecords) {
        const message = run.indexes[run.at] as number;
        const wasNew: boolean = this.#isNew;
        stands = this.noted !== null && this.#stands(this.noted, job.id(message));
        if (stands) break;
        const size = recordBytesOf(job.batch, message);
        full = count > 0 && bytes + size > limits.bytes;
        // It is not sent with the others: of them alone is said what stands behind what.
        if (full) this.#isNew = wasNew;
        if (full) break;
        bytes += size;
        count++;
        run.at++;
      }
      if (run.at > from) runs.push({ job, indexes: run.indexes.subarray(from, run.at) });
      if (stands) {
        run.at++;
        this.#moved(job);
        done(job, 1);
      }
      if (run.at >= run.indexes.length) this.#queue.shift();
    }
    if (count === 0) return null;
    const records: RecordRun[] = runs.map(({ job, indexes }) => ({ batch: job.batch, indexes }));
    const { topic, partition, identity } = this;
    this.sending = { set: { topic, partition, runs: records, count, timestampMs, identity, maxBytes: limits.message, encoded: null }, bytes, runs };
    return this.sending;
  }

  /** Nothing of it was stored: it may have another time. */
  restamp(timestampMs: number): void {
    const { set, bytes, runs } = this.sending as Sending;
    this.sending = { set: { ...set, timestampMs, encoded: null }, bytes, runs };
  }

  /** The whole of what was being sent stands there, from `base` on. */
  confirmed(base: number, done: Done): void {
    const { runs, set } = this.sending as Sending;
    this.sending = null;
    this.failures = 0;
    if (this.#isNew) this.#passed = true;
    if (set.count >= this.#maxRecords) this.#maxRecords *= 2;
    let offset = base;
    for (const { job, indexes } of runs) {
      offset += indexes.length;
      this.#follow(offset, indexes.length);
      this.#moved(job);
      done(job, indexes.length);
    }
  }

  /** The batch is larger than the partition takes: half as many next time. False if it was a single record. */
  halve(): boolean {
    const { set } = this.sending as Sending;
    if (set.count === 1) return false;
    this.#maxRecords = Math.ceil(set.count / 2);
    this.giveBack();
    return true;
  }

  /** The one record that is left of what was being sent is kept elsewhere: on behind it. */
  passOver(done: Done): void {
    const { job } = (this.sending as Sending).runs[0] as Sending['runs'][number];
    this.sending = null;
    this.failures = 0;
    done(job, 1);
  }

  /** Back into the queue, in front of everything else. */
  giveBack(): void {
    const { runs } = this.sending as Sending;
    this.sending = null;
    for (const { job, indexes } of [...runs].reverse()) this.#queue.unshift({ job, indexes, at: 0 });
  }

  /**
   * Of what was being sent, `standing` (id → offset) was found in the partition; the rest goes back into the queue. What stands is a prefix: the records
   * of one batch are stored together or not at all.
   */
  settle(standing: Map<string, number>, done: Done): void {
    const { runs } = this.sending as Sending;
    this.sending = null;
    const rest: Run[] = [];
    for (const { job, indexes } of runs) {
      let found = 0;
      while (rest.length === 0 && found < indexes.length) {
        const id = job.id(indexes[found] as number);
        const at = standing.get(id);
        if (at === undefined) break;
        standing.delete(id);
        if (this.#isNew && this.noted?.isBeside(id) !== true) this.#passed = true;
        this.#follow(Math.max(this.offset, at + 1), 1);
        found++;
      }
      if (found < indexes.length) rest.push({ job, indexes, at: found });
      if (found === 0) continue;
      this.#moved(job);
      done(job, found);
    }
    this.#queue.unshift(...rest);
  }

  /** Drops everything that waits: the sink has ended. */
  clear(): void {
    this.#queue.length = 0;
    this.sending = null;
  }

  /** Whether the next message of the lane stands there. One that does not is behind all that do, or was a dead letter: it is once more, and others may follow that stand. */
  #stands(noted: Noted, id: string): boolean {
    const stands = noted.skips('', id);
    // What is sent of a resumed table, of dead letters, or of a copy, is beside the order of the log.
    if (!stands && !noted.isBeside(id)) this.#isNew = true;
    if (noted.size === 0) {
      this.noted = null;
      this.#passed = true;
    }
    return stands;
  }

  #follow(offset: number, count: number): void {
    this.offset = offset;
    if (this.identity !== null) this.identity = { ...this.identity, sequence: (this.identity.sequence + count) % SEQUENCES };
  }

  /** While something noted is expected the saved entry stays: what a later run must read begins there. */
  #moved(job: Job): void {
    if (this.#passed) job.moved[this.key] = laneValue(this.offset, this.identity);
  }
}
