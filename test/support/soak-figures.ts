/** What a soak measured each second, and the bounds that it is held to. */

export const SINKS = ['kafka', 'nats'] as const;
export type SinkName = (typeof SINKS)[number];

export interface SoakSample {
  /** Since the load began. */
  readonly atMs: number;
  /** Since the last kill, or since the load began. */
  readonly sinceKillMs: number;
  /** Of the daemon, null where there was none. */
  readonly residentBytes: number | null;
  /** Seconds from commit to durable in the sink, as the daemon says it (`sluice_lag_seconds`); null where it did not answer. */
  readonly lag: Readonly<Record<SinkName, number | null>>;
  /** Age of the position that the slot has acknowledged, measured at the server: it grows where the daemon's own word does not. */
  readonly slotLag: Readonly<Record<SinkName, number | null>>;
  readonly retainedBytes: number;
  /** Durable in the sink, over all processes of the daemon: a message that was durable but not yet counted when it was killed is not in it. */
  readonly messages: Readonly<Record<SinkName, number>>;
  readonly rowsCommitted: number;
  /** The load average over a minute: lag on a machine that others use says little. */
  readonly machineLoad: number;
}

export interface Spread {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** Samples in which it could not be measured. */
  readonly unknown: number;
}

export interface SoakFigures {
  readonly residentMB: readonly number[];
  readonly lagSeconds: Readonly<Record<SinkName, Spread>>;
  readonly slotLagSeconds: Readonly<Record<SinkName, Spread>>;
  readonly retainedMaxMB: number;
  readonly machineLoad: { readonly p50: number; readonly max: number };
}

export interface SoakBounds {
  /** What comes for so long after a kill, or after the beginning, is not lag but catching up. */
  readonly catchUpMs: number;
  readonly lagSeconds: number;
  readonly slotLagSeconds: number;
  /** Of the median resident memory of the last quarter above that of the second. */
  readonly growth: number;
  readonly growthMB: number;
  /** Shorter runs tell the memory of their quarters, but are not held to it: V8's heap finds its size in the first minutes. */
  readonly memoryFromMs: number;
}

export const SOAK_BOUNDS: SoakBounds = { catchUpMs: 10_000, lagSeconds: 2, slotLagSeconds: 5, growth: 0.1, growthMB: 16, memoryFromMs: 570_000 };

export function figuresOf(samples: readonly SoakSample[], { catchUpMs }: SoakBounds): SoakFigures {
  const steady = samples.filter(({ sinceKillMs }) => sinceKillMs > catchUpMs);
  const spreads = (pick: (sample: SoakSample) => Readonly<Record<SinkName, number | null>>): Record<SinkName, Spread> => ({
    kafka: spread(steady.map((sample) => pick(sample).kafka)),
    nats: spread(steady.map((sample) => pick(sample).nats)),
  });
  const lengthMs = samples.at(-1)?.atMs ?? 0;
  const quarters = [0, 1, 2, 3].map((quarter) =>
    samples.flatMap(({ atMs, residentBytes }) => (Math.min(3, Math.floor((atMs * 4) / lengthMs)) === quarter ? (residentBytes ?? []) : [])),
  );
  const machineLoad = spread(samples.map((sample) => sample.machineLoad));
  return {
    machineLoad: { p50: machineLoad.p50, max: machineLoad.max },
    residentMB: quarters.map((values) => Math.round(quantile(values, 0.5) / 1e5) / 10),
    lagSeconds: spreads(({ lag }) => lag),
    slotLagSeconds: spreads(({ slotLag }) => slotLag),
    retainedMaxMB: Math.round(Math.max(0, ...samples.map(({ retainedBytes }) => retainedBytes)) / 1e6),
  };
}

/** The bounds that were broken, in words. */
export function brokenBounds(samples: readonly SoakSample[], bounds: SoakBounds): string[] {
  const { residentMB, lagSeconds, slotLagSeconds } = figuresOf(samples, bounds);
  const broken: string[] = [];
  for (const sink of SINKS) {
    const lag = lagSeconds[sink];
    if (lag.max > bounds.lagSeconds) broken.push(`${sink}: lag of ${lag.max} s (bound ${bounds.lagSeconds} s)`);
    if (lag.unknown > 0) broken.push(`${sink}: the daemon told no lag in ${lag.unknown} seconds that belong to no kill`);
    const { max } = slotLagSeconds[sink];
    if (max > bounds.slotLagSeconds) broken.push(`${sink}: the slot stood ${max} s behind (bound ${bounds.slotLagSeconds} s)`);
  }
  const [, second = 0, , last = 0] = residentMB;
  const bound = second * (1 + bounds.growth) + bounds.growthMB;
  if ((samples.at(-1)?.atMs ?? 0) >= bounds.memoryFromMs && !(last <= bound))
    broken.push(`memory grew: median ${second} MB in the second quarter, ${last} MB in the last (bound ${bound.toFixed(1)} MB)`);
  return broken;
}

function spread(values: readonly (number | null)[]): Spread {
  const known = values.filter((value) => value !== null);
  const rounded = (q: number): number => Math.round(quantile(known, q) * 1000) / 1000;
  return { p50: rounded(0.5), p99: rounded(0.99), max: rounded(1), unknown: values.length - known.length };
}

/** 0 where there is nothing. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0;
}
