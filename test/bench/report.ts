import type { Latency } from './latency.ts';

export interface Row {
  readonly name: string;
  readonly seconds: number;
  readonly cpuMicros: number;
  readonly peakBytes: number;
  readonly count: number;
}

export interface Summary {
  readonly name: string;
  readonly rate: number;
  readonly cpu: number;
  readonly peakMiB: number;
  readonly spread: string;
}

/** What goes into a sink, and the sink alone. */
const SINK_ROWS = [
  ['Sluice into NATS', 'NATS publisher alone'],
  ['Sluice into Kafka', 'Kafka lanes alone'],
  ['Sluice into Kafka (kafkajs)', 'Kafka (kafkajs) lanes alone'],
] as const;

/** The table, and below it the bars with what was reached. */
export function report(
  rows: readonly Row[],
  live: { startSeconds: number; latency: Latency; idleBytes: number },
  about: { rows: number; cores: number; postgres: string; nats: string; kafka: string; node: string },
): string {
  const summaries = [...new Set(rows.map(({ name }) => name))].map((name) =>
    summarise(
      name,
      rows.filter((row) => row.name === name),
    ),
  );
  const of = (name: string): Summary => summaries.find((summary) => summary.name === name) as Summary;
  const [recv, nothing] = [of('pg_recvlogical'), of('Sluice into nothing')];
  const lines = [
    `${about.rows.toLocaleString('en')} rows, ${about.cores} cores, PostgreSQL ${about.postgres}, NATS ${about.nats}, Kafka ${about.kafka}, Node ${about.node}. Medians; parity checked.`,
    '',
    ...tableOf(summaries),
    '',
    recvBar(nothing, recv, of('bare reader in bursts')),
    bar('into nothing: CPU µs/row', nothing.cpu, '≤', 3.5),
    ...SINK_ROWS.flatMap(([into, alone]) => (summaries.some(({ name }) => name === into) ? sinkBars(into, of(into), of(alone), nothing) : [])),
    bar('commit to NATS at 500 tx/s: p50 ms', live.latency.p50Ms, '<', 5),
    bar('commit to NATS at 500 tx/s: p99 ms', live.latency.p99Ms, '<', 20),
    bar('start to first event: s', live.startSeconds, '<', 0.7),
    bar('resident when idle: MB', live.idleBytes / 1e6, '<', 110),
  ];
  return `${lines.join('\n')}\n`;
}

export function tableOf(summaries: readonly Summary[]): readonly string[] {
  return [
    `| ${'what'.padEnd(28)} | rows/s    | fastest–slowest     | CPU µs/row | peak MiB |`,
    `|${'-'.repeat(30)}|-----------|---------------------|------------|----------|`,
    ...summaries.map(
      ({ name, rate, spread, cpu, peakMiB }) =>
        `| ${name.padEnd(28)} | ${Math.round(rate).toLocaleString('en').padStart(9)} | ${spread.padEnd(19)} | ${cpu.toFixed(2).padStart(10)} | ${peakMiB.toFixed(0).padStart(8)} |`,
    ),
  ];
}

/**
 * Reading in bursts saves the wake-up for each row. Where even a bare reader gains little by it, pg_recvlogical's wake-ups are not what limits it here, and
 * only keeping up with it can be asked for.
 */
function recvBar(nothing: Summary, recv: Summary, bare: Summary): string {
  const possible = bare.rate / recv.rate;
  const bound = possible >= 2 ? 1.8 : 0.9;
  return bar(`into nothing: rows/s against pg_recvlogical (a bare reader in bursts: ${possible.toFixed(2)})`, nothing.rate / recv.rate, '≥', bound);
}

/** Against what the two halves would take one after the other: with n and r rows a second, 1 / (1/n + 1/r). */
export function sinkBars(name: string, into: Summary, alone: Summary, nothing: Summary): string[] {
  const what = name.replace('Sluice ', '');
  return [
    bar(`${what}: rows/s`, into.rate, '≥', 0.9 / (1 / nothing.rate + 1 / alone.rate)),
    bar(`${what}: CPU µs/row`, into.cpu, '≤', 1.15 * (nothing.cpu + alone.cpu)),
  ];
}

export function summarise(name: string, rows: readonly Row[]): Summary {
  const rates = rows.map(({ count, seconds }) => count / seconds).sort((a, b) => a - b);
  const round = (rate: number | undefined): string => Math.round(rate ?? 0).toLocaleString('en');
  return {
    name,
    rate: median(rates),
    cpu: median(rows.map(({ count, cpuMicros }) => cpuMicros / count)),
    peakMiB: Math.max(...rows.map(({ peakBytes }) => peakBytes)) / 1024 / 1024,
    spread: `${round(rates.at(-1))}–${round(rates[0])}`,
  };
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;
}

export function bar(what: string, value: number, sign: '≥' | '≤' | '<', bound: number): string {
  const met = sign === '≥' ? value >= bound : sign === '≤' ? value <= bound : value < bound;
  const show = (number: number): string => (number >= 1000 ? Math.round(number).toLocaleString('en') : number.toFixed(2));
  return `${met ? 'met   ' : 'MISSED'}  ${what}: ${show(value)} (${sign} ${show(bound)})`;
}
