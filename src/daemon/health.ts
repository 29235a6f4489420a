import type { Logger } from '../plugin/context.ts';
import { rootMessage } from '../plugin/error.ts';
import { type Runtime, sleep } from '../plugin/runtime.ts';
import type { Source, SourceHealth } from '../plugin/source.ts';
import type { Position } from '../record/position.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { figuresOf, PROTECT_ACTIONS, type Pressure, type ProtectAction, type ProtectHands, type Protection } from './protection.ts';

/** How often the source is asked about its slot and lag. */
const OBSERVE_MS = 5_000;
/** Until the stream is connected: `/readyz` says so soon after. */
const OBSERVE_STARTING_MS = 500;

/** A look that takes longer is not waited for. */
const ONE_LOOK_MS = 2_000;

/** A silent connection that its source should have ended for so long, while nothing is on its way to the sink, is not going to be ended. */
const STALLED_MS = 60_000;

interface HealthPorts {
  readonly runtime: Runtime;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/** The life that is watched. */
export interface Watched extends ProtectHands {
  readonly source: Pick<Source, 'observe'>;
  /** Where it would be gone on from. */
  saved(): Position | null;
}

/** What a connector's source says of itself while it runs. */
export class HealthWatch {
  readonly #connector: string;
  readonly #ports: HealthPorts;
  readonly #protection: Protection;
  readonly #growth = new Growth();
  /** The reader hangs: it neither reads nor notices that it does not. Only another process helps. */
  isStalled = false;
  /** Null: it does not run, or has not said anything yet. */
  health: SourceHealth | null = null;

  constructor(connector: string, ports: HealthPorts, protection: Protection) {
    this.#connector = connector;
    this.#ports = ports;
    this.#protection = protection;
  }

  /** What is in force to protect the source; as it was looked at last, where nothing runs. */
  get pressure(): Pressure | null {
    return this.#protection.pressure;
  }

  /** Asks until `signal` is aborted. Never throws. */
  async follow(watched: Watched, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#look(watched, signal);
      await sleep(this.#ports.runtime, this.health?.connected === true ? OBSERVE_MS : OBSERVE_STARTING_MS, signal).catch(() => undefined);
    }
    this.#over();
  }

  /** Asks once, of a life that comes to nothing: its server suffers all the same. Never throws, and does not take long. */
  async lookOnce(watched: Watched): Promise<void> {
    await this.lookAtRest(watched);
    this.#over();
  }

  /** Asks once, and what was answered stands until it is asked again. Never throws, and does not take long. */
  async lookAtRest(watched: Watched): Promise<void> {
    const ending = new AbortController();
    const patience = sleep(this.#ports.runtime, ONE_LOOK_MS, ending.signal).catch(() => undefined);
    await Promise.race([this.#look(watched, ending.signal), patience]);
    ending.abort();
  }

  async #look(watched: Watched, signal: AbortSignal): Promise<void> {
    const { metrics, log, runtime } = this.#ports;
    try {
      const health = await watched.source.observe(signal, watched.saved());
      if (signal.aborted) return;
      this.health = health;
      const { overdueMs = 0, retainedBytes, safeBytes } = health;
      this.isStalled = overdueMs > STALLED_MS && metrics.figures(this.#connector).inFlightBytes === 0;
      const left = secondsLeft(safeBytes ?? null, this.#growth.take(retainedBytes, runtime.monotonicMs()));
      metrics.health(this.#connector, health, left);
      this.#protection.observed(figuresOf(health, left), runtime.monotonicMs(), watched);
      metrics.pressure(this.#connector, PROTECT_ACTIONS.indexOf(this.pressure?.action as ProtectAction) + 1);
    } catch (error) {
      if (!signal.aborted) log.debug(`The source could not be observed: ${rootMessage(error)}`);
    }
  }

  #over(): void {
    this.health = null;
    this.isStalled = false;
    this.#ports.metrics.disconnected(this.#connector);
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
