import type { Logger } from '../plugin/context.ts';
import { rootMessage } from '../plugin/error.ts';
import { type Runtime, sleep } from '../plugin/runtime.ts';
import type { Source, SourceHealth } from '../plugin/source.ts';
import type { Metrics } from '../telemetry/metrics.ts';

/** How often the source is asked about its slot and lag. */
const OBSERVE_MS = 5_000;
/** Until the stream is connected: `/readyz` says so soon after. */
const OBSERVE_STARTING_MS = 500;

/** A silent connection that its source should have ended for so long, while nothing is on its way to the sink, is not going to be ended. */
const STALLED_MS = 60_000;

/** What a connector's source says of itself while it runs. */
export class HealthWatch {
  readonly #connector: string;
  readonly #ports: { readonly runtime: Runtime; readonly metrics: Metrics; readonly log: Logger };
  readonly #growth = new Growth();
  /** The reader hangs: it neither reads nor notices that it does not. Only another process helps. */
  isStalled = false;
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
        const { overdueMs = 0, retainedBytes, safeBytes } = this.health;
        this.isStalled = overdueMs > STALLED_MS && metrics.figures(this.#connector).inFlightBytes === 0;
        const grownBytes = this.#growth.take(retainedBytes, runtime.monotonicMs());
        metrics.health(this.#connector, this.health, secondsLeft(safeBytes ?? null, grownBytes));
      } catch (error) {
        if (!signal.aborted) log.debug(`The source could not be observed: ${rootMessage(error)}`);
      }
      await sleep(runtime, this.health?.connected === true ? OBSERVE_MS : OBSERVE_STARTING_MS, signal).catch(() => undefined);
    }
    this.health = null;
    this.isStalled = false;
    metrics.disconnected(this.#connector);
  }
}

/** How long the rate is remembered by which what the server keeps grows. */
const REMEMBERED_MS = 300_000;

/** The rate at which what the server keeps has grown lately. */
class Growth {
  readonly #seen: { readonly bytes: number; readonly atMs: number }[] = [];

  /** Bytes a second since the oldest look that is remembered; 0: it does not grow, or is not known yet. */
  take(bytes: number | null, atMs: number): number {
    if (bytes === null) return 0;
    this.#seen.push({ bytes, atMs });
    while (atMs - (this.#seen[0]?.atMs ?? atMs) > REMEMBERED_MS) this.#seen.shift();
    const [oldest] = this.#seen;
    if (oldest === undefined || atMs === oldest.atMs) return 0;
    return Math.max(0, ((bytes - oldest.bytes) * 1000) / (atMs - oldest.atMs));
  }
}

/** Until the server gives the slot up, at this rate; infinite: it does not, as things are. */
function secondsLeft(safeBytes: number | null, growth: number): number {
  return safeBytes === null || growth <= 0 ? Number.POSITIVE_INFINITY : safeBytes / growth;
}
