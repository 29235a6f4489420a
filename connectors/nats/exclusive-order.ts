import type { StreamInfo } from '@nats-io/jetstream';
import { EXPECT, type Expectation } from './header.ts';
import type { Found, Job, Order, Resync } from './order.ts';

/**
 * The only writer of a stream: all messages in one order, many in flight, each chained to the id of the one before. Where one fails, all behind it
 * fail too, so that what the stream holds is always a prefix (algorithms §4).
 *
 * With nothing in flight the stream's last sequence is known and expected instead of the last id: the server's own memory of that id is empty
 * after its restart once the duplicate window has passed, and the chain would fail for ever.
 *
 * Where the stream has replicas each message expects the sequence of the one before it instead: a chain of ids can stop such a stream for good
 * (docs/decisions/0007).
 */
export class ExclusiveOrder implements Order {
  job!: Job;
  index = 0;
  expect: Expectation = EXPECT.lastSequence;
  sequence = 0;
  /** The stream has replicas. */
  replicated = false;
  /** Sequence of the message that was sent last, if it is stored as expected. */
  #sent = 0;
  readonly #ours: string;
  readonly #foreign: (count: number) => void;
  #cursor: Job | null = null;
  #at = 0;

  /** `foreign` is told how many messages of others were found. */
  constructor(connector: string, foreign: (count: number) => void) {
    this.#ours = `${connector}/`;
    this.#foreign = foreign;
  }

  add(job: Job): void {
    if (this.#cursor !== null) return;
    this.#cursor = job;
    this.#at = 0;
  }

  pick(inFlight: number, confirmed: number): boolean {
    for (let job = this.#cursor; job !== null; job = this.#cursor) {
      while (this.#at < job.batch.count && job.done[this.#at] === 1) this.#at++;
      if (this.#at < job.batch.count) {
        this.job = job;
        this.index = this.#at;
        this.expect = inFlight === 0 || this.replicated ? EXPECT.lastSequence : EXPECT.lastMessageId;
        this.sequence = inFlight === 0 ? confirmed : this.#sent;
        return true;
      }
      this.#cursor = job.next;
      this.#at = 0;
    }
    return false;
  }

  sent(): void {
    this.#sent = this.sequence + 1;
    this.#at++;
  }

  skipped(): void {
    this.#at++;
  }

  stored(): void {
    // Which sequence it got is all that matters, and the publisher knows that.
  }

  lane(): string {
    return '';
  }

  begin(info: StreamInfo): void {
    this.replicated = info.config.num_replicas > 1;
  }

  async resync({ access, info, floor, confirmed, signal }: Resync): Promise<ReadonlyMap<string, Found>> {
    this.begin(info);
    const found = new Map<string, Found>();
    let others = 0;
    const visit = (sequence: number, subject: string, id: string): void => {
      if (id.startsWith(this.#ours)) found.set(id, { sequence, subject, ahead: sequence > confirmed });
      else others++;
    };
    await access.readBack(info, floor + 1, info.state.last_seq, visit, signal);
    if (others > 0) this.#foreign(others);
    return found;
  }

  rebuild(first: Job | null): void {
    this.#cursor = first;
    this.#at = 0;
  }

  /** Messages are confirmed in order: what later calls write stands beyond the last one of this call. */
  place(job: Job, confirmed: number): number {
    return job.highest === 0 ? confirmed : job.highest;
  }
}
