import type { Logger } from '../plugin/context.ts';
import { rootMessage } from '../plugin/error.ts';
import { type Runtime, sleep } from '../plugin/runtime.ts';
import type { Source, SourceHealth } from '../plugin/source.ts';
import type { Metrics } from '../telemetry/metrics.ts';

/** How often the source is asked about its slot and lag. */
const OBSERVE_MS = 5_000;
/** Until the stream is connected: `/readyz` says so soon after. */
const OBSERVE_STARTING_MS = 500;

/** What a connector's source says of itself while it runs. */
export class HealthWatch {
  readonly #connector: string;
  readonly #ports: { readonly runtime: Runtime; readonly metrics: Metrics; readonly log: Logger };
  /** Null: it does not run, or has not said anything yet. */
  health: SourceHealth | null = null;

  constructor(connector: string, ports: { readonly runtime: Runtime; readonly metrics: Metrics; readonly log: Logger }) {
    this.#connector = connector;
    this.#ports = ports;
  }

  /** Asks until `signal` is aborted. Never throws. */
  async follow(source: Source, signal: AbortSignal): Promise<void> {
    const { metrics, log, runtime } = this.#ports;
    while (!signal.aborted) {
      try {
        this.health = await source.observe(signal);
        metrics.health(this.#connector, this.health);
      } catch (error) {
        if (!signal.aborted) log.debug(`The source could not be observed: ${rootMessage(error)}`);
      }
      await sleep(runtime, this.health?.connected === true ? OBSERVE_MS : OBSERVE_STARTING_MS, signal).catch(() => undefined);
    }
    this.health = null;
    metrics.disconnected(this.#connector);
  }
}
