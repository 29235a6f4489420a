import { idAt, type MessageBatch, type Place } from '#plugin';

/** One `write()`. */
export class Job {
  readonly batch: MessageBatch;
  readonly resolve: (moved: Place) => void;
  readonly reject: (error: unknown) => void;
  /** Messages, once for each partition that they go to, that are not durable yet. */
  remaining = 0;
  /** Entries of the place that moved with it; lanes add theirs as their last message of the call is durable. */
  readonly moved: Record<string, string> = {};

  constructor(batch: MessageBatch, resolve: (moved: Place) => void, reject: (error: unknown) => void) {
    this.batch = batch;
    this.resolve = resolve;
    this.reject = reject;
  }

  id(message: number): string {
    return idAt(this.batch, message);
  }
}

/** What a job has for one lane: indexes of messages in order, from `at` on. */
export interface Run {
  readonly job: Job;
  readonly indexes: Int32Array;
  at: number;
}
