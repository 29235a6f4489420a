import type { Runtime, Timer } from '../plugin/runtime.ts';
import type { Checkpoint, CheckpointTracker } from './checkpoints.ts';

interface SaverOptions {
  readonly runtime: Runtime;
  readonly checkpointMaxDelayMs: number;
  readonly save: (checkpoint: Checkpoint) => Promise<void>;
  /** Called after a checkpoint is stored: it may be acknowledged now (I5). */
  readonly saved: (checkpoint: Checkpoint) => void;
  readonly failed: (error: unknown) => void;
}

/** Saves what the tracker says is safe, one save at a time, at most `checkpointMaxDelayMs` after it became so. */
export class Saver {
  readonly #tracker: CheckpointTracker;
  readonly #options: SaverOptions;
  #timer: Timer | null = null;
  #running: Promise<void> | null = null;
  #failure: { readonly error: unknown } | null = null;

  constructor(tracker: CheckpointTracker, options: SaverOptions) {
    this.#tracker = tracker;
    this.#options = options;
  }

  /** Something may have become safe. */
  kick(): void {
    if (this.#timer !== null || this.#running !== null || this.#failure !== null || !this.#tracker.hasReady) return;
    this.#timer = this.#options.runtime.setTimer(() => {
      this.#timer = null;
      this.#running = this.#save();
    }, this.#options.checkpointMaxDelayMs);
  }

  /** Saves what is safe now and resolves when it is acknowledged. Throws what the store threw. */
  async finish(): Promise<void> {
    this.#timer?.clear();
    this.#timer = null;
    await this.#running;
    await this.#save();
    if (this.#failure !== null) throw this.#failure.error;
  }

  async #save(): Promise<void> {
    const checkpoint = this.#failure === null ? this.#tracker.take() : null;
    try {
      if (checkpoint !== null) {
        await this.#options.save(checkpoint);
        this.#options.saved(checkpoint);
      }
    } catch (error) {
      this.#failure = { error };
      this.#options.failed(error);
    } finally {
      this.#running = null;
    }
    this.kick();
  }
}
