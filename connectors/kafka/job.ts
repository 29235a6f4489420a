import { type MessageBatch, type Place, SPAN, SPAN_SIZE } from '#plugin';

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
    const { bytes, spans } = this.batch;
    const at = message * SPAN_SIZE;
    return bytes.toString('utf8', spans[at + SPAN.idStart], spans[at + SPAN.idEnd]);
  }
}

/** What a job has for one lane: indexes of messages in order, from `at` on. */
export interface Run {
  readonly job: Job;
  readonly indexes: Int32Array;
  at: number;
}
