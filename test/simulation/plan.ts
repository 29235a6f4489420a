import type { Dialect } from './binlog/layout.ts';
import type { Random } from './random.ts';

/** What is read: a slot that is modelled, or a binary log by the real code. */
export type SourceKind = 'slot' | Dialect;

/** How often what goes wrong, and how large everything is: drawn from the seed. */
export interface Plan {
  readonly partitions: number;
  readonly topicTemplate: string;
  readonly maxRecords: number;
  readonly maxBatchBytes: number;
  readonly maxInFlightBytes: number;
  readonly maxDelayMs: number;
  readonly checkpointMaxDelayMs: number;
  readonly request: { readonly bytes: number; readonly records: number; readonly timeout: number };
  readonly windowBytes: number;
  /** The Kafka client lets its producers' identity be chosen. */
  readonly choosesIdentity: boolean;
  /** Shares of the records at whose durability something happens. */
  readonly crashes: readonly number[];
  readonly cuts: readonly number[];
  readonly stops: readonly number[];
  /** Probabilities. */
  readonly sinkTrouble: number;
  readonly sourceTrouble: number;
  readonly diskTrouble: number;
  /** At a crash. */
  readonly corruption: number;
  /** Between two of the source's transactions, milliseconds at most. */
  readonly pauseMs: number;
  readonly latencyMs: number;
  readonly source: SourceKind;
  /** Of a log: what may wait between the socket and the engine. */
  readonly queueBytes: number;
  /** Of a log: how often the server says that it lives. */
  readonly heartbeatMs: number;
}

export function drawPlan(random: Random): Plan {
  const rough = random.next();
  return {
    partitions: random.between(1, 4),
    topicTemplate: random.pick(['{table}', '{connector}.{table}', 'all']),
    maxRecords: random.pick([4, 10, 25, 60]),
    maxBatchBytes: random.pick([600, 2000, 100_000]),
    maxInFlightBytes: random.pick([3000, 8000, 20_000]),
    maxDelayMs: random.between(1, 8),
    checkpointMaxDelayMs: random.pick([0, 5, 50, 200]),
    request: { bytes: random.pick([700, 2000, 6000]), records: random.pick([3, 8, 25]), timeout: random.pick([300, 600, 1200]) },
    windowBytes: random.pick([800, 3000, 12_000]),
    choosesIdentity: random.chance(0.75),
    crashes: Array.from({ length: random.between(3, 5) }, () => random.next() * 0.92),
    cuts: Array.from({ length: random.between(2, 3) }, () => random.next() * 0.92),
    stops: random.chance(0.4) ? [random.next() * 0.92] : [],
    sinkTrouble: rough * 0.16,
    sourceTrouble: random.next() * 0.03,
    diskTrouble: random.chance(0.4) ? random.next() * 0.04 : 0,
    corruption: random.chance(0.15) ? 0.5 : 0,
    pauseMs: random.pick([1, 5, 25]),
    latencyMs: random.pick([1, 4, 15]),
    source: random.pick(['slot', 'slot', 'slot', 'gtid', 'gtid', 'file', 'mixed', 'mariadb', 'mariadb'] as const),
    queueBytes: random.pick([1000, 100_000, 1_000_000]),
    heartbeatMs: random.pick([100, 250]),
  };
}
