/** Durations and sizes as they are written in configuration files: a number and a unit. */

const DURATIONS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const SIZES: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};
const SPELLINGS: Readonly<Record<string, string>> = {
  sec: 's',
  secs: 's',
  second: 's',
  seconds: 's',
  min: 'm',
  mins: 'm',
  minute: 'm',
  minutes: 'm',
  msec: 'ms',
  hour: 'h',
  hours: 'h',
  day: 'd',
  days: 'd',
};

export const DURATION_UNITS = ['ms', 's', 'm', 'h', 'd'] as const;
export const SIZE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'kB', 'MB', 'GB', 'TB'] as const;
/** For JSON Schema. */
export const DURATION_PATTERN = `^\\d+(\\.\\d+)? ?(${Object.keys(DURATIONS).join('|')})$`;
export const SIZE_PATTERN = `^\\d+(\\.\\d+)? ?(${Object.keys(SIZES).join('|')})$`;

/** A quantity, or why it is none together with what was probably meant (null = no guess). */
export type Quantity =
  | { readonly ok: true; readonly value: number }
  | { readonly ok: false; readonly reason: 'unit' | 'form' | 'whole'; readonly suggestion: string | null };

/** Milliseconds of `"500ms"`, `"1.5s"`, `"10m"`, `"1h"`, `"7d"`. A fraction must come out as whole milliseconds. */
export function parseDuration(text: string): Quantity {
  return parseQuantity(text, DURATIONS);
}

/** Bytes of `"512B"`, `"64MiB"` (powers of 1024), `"10MB"` (powers of 1000). */
export function parseSize(text: string): Quantity {
  return parseQuantity(text, SIZES);
}

function parseQuantity(text: string, units: Readonly<Record<string, number>>): Quantity {
  const match = /^(\d+)(?:\.(\d+))? ?([A-Za-zµ]*)$/.exec(text);
  if (match === null) return { ok: false, reason: 'form', suggestion: null };
  const [, whole = '', fraction = '', unit = ''] = match;
  if (unit === '') return { ok: false, reason: 'unit', suggestion: null };
  const factor = Object.hasOwn(units, unit) ? units[unit] : undefined;
  const number = fraction === '' ? whole : `${whole}.${fraction}`;
  if (factor === undefined) {
    const near = nearestUnit(unit, units);
    return { ok: false, reason: 'unit', suggestion: near === null ? null : `${number}${near}` };
  }
  // In integers: 0.1 of something has no exact double.
  const scaled = BigInt(whole + fraction) * BigInt(factor);
  const divisor = 10n ** BigInt(fraction.length);
  if (scaled % divisor !== 0n) return { ok: false, reason: 'whole', suggestion: null };
  const value = scaled / divisor;
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) return { ok: false, reason: 'form', suggestion: null };
  return { ok: true, value: Number(value) };
}

function nearestUnit(unit: string, units: Readonly<Record<string, number>>): string | null {
  const spelled = SPELLINGS[unit.toLowerCase()];
  if (spelled !== undefined && Object.hasOwn(units, spelled)) return spelled;
  // Sizes: what people write as K, M, mb or Mib is nearly always meant in powers of 1024.
  const upper = unit.toUpperCase().replace(/^([KMGT])(I?B)?$/, '$1iB');
  return Object.hasOwn(units, upper) ? upper : (Object.keys(units).find((known) => known.toLowerCase() === unit.toLowerCase()) ?? null);
}

/** The shortest way to write a duration. */
export function formatDuration(ms: number): string {
  return shortest(ms, DURATIONS, ['d', 'h', 'm', 's', 'ms']);
}

/** The shortest way to write a size. */
export function formatSize(bytes: number): string {
  return shortest(bytes, SIZES, ['TiB', 'GiB', 'MiB', 'KiB', 'B']);
}

function shortest(value: number, units: Readonly<Record<string, number>>, order: readonly string[]): string {
  const smallest = order[order.length - 1] as string;
  const unit = value === 0 ? smallest : (order.find((name) => value % (units[name] as number) === 0) ?? smallest);
  return `${value / (units[unit] as number)}${unit}`;
}

/** What a bare number most likely means. `usual`: the field's default; small numbers get its unit. */
export function suggestDuration(number: number, usual: string | undefined): string {
  const unit = number < 1_000 ? (/[a-z]+$/.exec(usual ?? '')?.[0] ?? 'ms') : 'ms';
  return `${number}${unit}`;
}

/** What a bare number most likely means: bytes, written short. */
export function suggestSize(number: number): string {
  return formatSize(Math.ceil(number));
}
