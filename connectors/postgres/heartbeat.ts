import { type Logger, type Runtime, rootMessage, SluiceError, type Timer } from '#plugin';
import type { ControlConnection } from './client.ts';

/**
 * Prefix of our heartbeats. Logical messages ignore publications, so every connector of the database sees those of all others: whatever begins
 * with it is consumed, whoever wrote it (algorithms §5).
 */
export const HEARTBEAT_PREFIX = 'sluice.heartbeat';

/** A dead standby or a lock must not let heartbeats pile up. */
const TIMEOUT_MS = 5_000;

/**
 * Writes a small transactional message into the log at an interval, so that the slot of a connector whose tables are idle moves on with the rest
 * of the database (I10). It must be transactional: a message outside of a transaction does not move the position that the slot needs. Failing is
 * said once and tried again; it never ends the connector.
 */
export class Heartbeat {
  readonly #control: ControlConnection;
  readonly #intervalMs: number;
  readonly #runtime: Runtime;
  readonly #log: Logger;
  #timer: Timer | null = null;
  #failing = false;

  constructor(control: ControlConnection, intervalMs: number, runtime: Runtime, log: Logger) {
    this.#control = control;
    this.#intervalMs = intervalMs;
    this.#runtime = runtime;
    this.#log = log;
  }

  /** Begins; the first one is written after one interval. Not for standbys, which cannot write. */
  start(): void {
    this.#timer = this.#runtime.setTimer(() => void this.#beat(), this.#intervalMs, true);
  }

  stop(): void {
    this.#timer?.clear();
    this.#timer = null;
  }

  async #beat(): Promise<void> {
    const timer = this.#timer;
    try {
      // `synchronous_commit=local` is a setting of the session (client.ts).
      const query = { text: 'SELECT pg_logical_emit_message(true, $1, $2)', values: [HEARTBEAT_PREFIX, ''], query_timeout: TIMEOUT_MS };
      await this.#control.run('the heartbeat', (client) => client.query(query));
      if (this.#failing) this.#log.info('Heartbeats are written again.');
      this.#failing = false;
    } catch (error) {
      // Stopped meanwhile: its connection was closed under it.
      if (this.#timer !== timer) return;
      const remedy = error instanceof SluiceError ? error.remedy : 'See the log of the server.';
      if (!this.#failing)
        this.#log.warn(`A heartbeat could not be written, idle tables hold the log back: ${rootMessage(error)}.`, {
          code: 'SLUICE_PG_HEARTBEAT',
          remedy,
        });
      this.#failing = true;
    }
    if (this.#timer === timer) this.start();
  }
}
