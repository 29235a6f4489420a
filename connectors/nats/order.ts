import type { StreamInfo } from '@nats-io/jetstream';
import { destinationAt, idAt, type MessageBatch, type Place } from '#plugin';
import type { Expectation } from './header.ts';
import type { StreamAccess } from './stream.ts';

/** One `write()`. */
export class Job {
  readonly batch: MessageBatch;
  readonly resolve: (place: Place) => void;
  readonly reject: (error: unknown) => void;
  /** Per message: 1 = stands in the stream. */
  readonly done: Uint8Array;
  remaining: number;
  /** Highest sequence that was confirmed for it, 0 = none. */
  highest = 0;
  /** All its messages stand beyond this sequence; −1 = none was sent yet. */
  floor = -1;
  /** The next call. */
  next: Job | null = null;

  constructor(batch: MessageBatch, resolve: (place: Place) => void, reject: (error: unknown) => void) {
    this.batch = batch;
    this.resolve = resolve;
    this.reject = reject;
    this.done = new Uint8Array(batch.count);
    this.remaining = batch.count;
  }

  subject(index: number): string {
    return destinationAt(this.batch, index);
  }

  id(index: number): string {
    return idAt(this.batch, index);
  }
}

/** A message that was found in the stream by its id. */
export interface Found {
  readonly sequence: number;
  readonly subject: string;
  /** It stands beyond everything that was confirmed to us: if it is none of what is in flight, a run before this one wrote it. */
  readonly ahead: boolean;
}

export interface Resync {
  readonly access: StreamAccess;
  readonly info: StreamInfo;
  /** Everything that is not known stands beyond this sequence. */
  readonly floor: number;
  /** The highest sequence that was confirmed. */
  readonly confirmed: number;
  readonly signal: AbortSignal;
}

/** Which message may go next, and what the server is told to expect, so that retries keep the order (I3). */
export interface Order {
  /** The message picked, and its expectation. */
  readonly job: Job;
  readonly index: number;
  readonly expect: Expectation;
  readonly sequence: number;
  add(job: Job): void;
  /** Finds the next message that may go while `inFlight` are on their way and `confirmed` is the stream's highest known sequence; false = none now. */
  pick(inFlight: number, confirmed: number): boolean;
  /** The picked message is on its way. */
  sent(): void;
  /** The picked message stands in the stream already. */
  skipped(): void;
  stored(job: Job, index: number, sequence: number): void;
  /** What keeps an order of its own: '' or the subject. */
  lane(subject: string): string;
  /** Before the first message, and again whenever the stream was looked at. */
  begin(info: StreamInfo): void;
  /** Reads what the stream holds of what is not known, by id. */
  resync(resync: Resync): Promise<ReadonlyMap<string, Found>>;
  /** Begins anew with everything of these calls that is not done. */
  rebuild(first: Job | null): void;
  /** The place of a call that is complete; `confirmed` as above. */
  place(job: Job, confirmed: number): number;
}
