import { SPAN, SPAN_SIZE } from '#plugin';
import { EXPECT, type Expectation } from './header.ts';
import type { Found, Job, Order, Resync } from './order.ts';

/** From `index` on, the messages of one lane in one call. */
interface Run {
  readonly job: Job;
  readonly links: Int32Array;
  index: number;
}

interface Lane {
  readonly subject: string;
  readonly runs: Run[];
  /** Sequence of the subject's last message, whoever wrote it; −1 = not asked yet. */
  last: number;
  inFlight: boolean;
  queued: boolean;
  asking: boolean;
}

const END = -1;

/**
 * One of several writers of a stream: one message of each subject in flight, with the subject's last sequence expected. With two, m1 could fail and
 * m2 be stored by a writer that goes on from the stream's end, and m1 would be lost or come after it (algorithms §4).
 */
export class SharedOrder implements Order {
  job!: Job;
  index = 0;
  expect: Expectation = EXPECT.lastSubjectSequence;
  sequence = 0;
  readonly #learn: (subject: string) => Promise<number>;
  readonly #ready: () => void;
  readonly #lanes = new Map<string, Lane>();
  #queue: Lane[] = [];
  #picked!: Lane;

  /** `learn` asks for the sequence of a subject's last message, 0 = none, and never rejects; `ready` is called when a lane may go on. */
  constructor(learn: (subject: string) => Promise<number>, ready: () => void) {
    this.#learn = learn;
    this.#ready = ready;
  }

  add(job: Job): void {
    const { batch, done } = job;
    const links = new Int32Array(batch.count).fill(END);
    const newest: number[] = [];
    for (let index = 0; index < batch.count; index++) {
      if (done[index] === 1) continue;
      const destination = batch.spans[index * SPAN_SIZE + SPAN.destination] as number;
      const before = newest[destination];
      newest[destination] = index;
      if (before !== undefined) links[before] = index;
      else {
        const lane = this.#lane(batch.destinations[destination] as string);
        lane.runs.push({ job, links, index });
        this.#enqueue(lane);
      }
    }
  }

  pick(): boolean {
    for (let lane = this.#queue[0]; lane !== undefined; lane = this.#queue[0]) {
      const run = lane.runs[0];
      if (run !== undefined && !lane.inFlight && lane.last >= 0) {
        this.#picked = lane;
        this.job = run.job;
        this.index = run.index;
        this.sequence = lane.last;
        return true;
      }
      this.#queue.shift();
      lane.queued = false;
      if (run !== undefined && lane.last < 0) void this.#ask(lane);
    }
    return false;
  }

  sent(): void {
    this.#picked.inFlight = true;
    this.#advance();
  }

  skipped(): void {
    this.#advance();
  }

  stored(job: Job, index: number, sequence: number): void {
    const lane = this.#lane(job.subject(index));
    lane.inFlight = false;
    if (sequence > lane.last) lane.last = sequence;
    this.#enqueue(lane);
  }

  lane(subject: string): string {
    return subject;
  }

  begin(): void {
    // Each message says what it expects of its own subject, with and without replicas.
  }

  /** Each lane with a message on its way is read from the last sequence that is known of it. */
  async resync({ access, info, signal }: Resync): Promise<ReadonlyMap<string, Found>> {
    const found = new Map<string, Found>();
    for (const lane of this.#lanes.values()) {
      if (!lane.inFlight) continue;
      const last = await access.last(lane.subject);
      const end = last?.sequence ?? 0;
      if (end > lane.last) {
        const visit = (sequence: number, subject: string, id: string): void => void found.set(id, { sequence, subject, ahead: true });
        await access.readBack(info, lane.last + 1, Math.max(end, info.state.last_seq), visit, signal, { filter: lane.subject });
      }
      // Also where it is lower: messages were removed, and the server expects what it has.
      lane.last = end;
    }
    return found;
  }

  rebuild(first: Job | null): void {
    this.#queue = [];
    for (const lane of this.#lanes.values()) {
      lane.runs.length = 0;
      lane.inFlight = false;
      lane.queued = false;
    }
    for (let job = first; job !== null; job = job.next) this.add(job);
  }

  /** Lanes go at their own pace: later calls may have written before this one was complete, but nothing before their first message was sent. */
  place(job: Job, confirmed: number): number {
    let place = confirmed;
    for (let later = job.next; later !== null; later = later.next) if (later.floor >= 0 && later.floor < place) place = later.floor;
    return place;
  }

  #lane(subject: string): Lane {
    let lane = this.#lanes.get(subject);
    if (lane === undefined) {
      lane = { subject, runs: [], last: -1, inFlight: false, queued: false, asking: false };
      this.#lanes.set(subject, lane);
    }
    return lane;
  }

  #advance(): void {
    const lane = this.#picked;
    const run = lane.runs[0] as Run;
    run.index = run.links[run.index] as number;
    if (run.index === END) lane.runs.shift();
  }

  #enqueue(lane: Lane): void {
    if (lane.queued || lane.inFlight || lane.runs.length === 0) return;
    lane.queued = true;
    this.#queue.push(lane);
  }

  async #ask(lane: Lane): Promise<void> {
    if (lane.asking) return;
    lane.asking = true;
    const last = await this.#learn(lane.subject);
    lane.asking = false;
    // Failed: after the recovery it is asked again. Or a recovery found out meanwhile.
    if (last < 0 || lane.last >= 0) return;
    lane.last = last;
    this.#enqueue(lane);
    this.#ready();
  }
}
