import type { Distance, Position } from '#plugin';
import { type LogPosition, parseGtids, readPosition, type System } from './position.ts';

/** How far apart two positions are, in transactions or in bytes of one file; null: it cannot be told. */
export function distanceOf(from: Position, to: Position, system: System): Distance | null {
  const [a, b] = [readPosition(from, system), readPosition(to, system)];
  if (a === null || b === null) return null;
  if (a.by === 'file' || b.by === 'file') return inFile(a, b);
  const [before, after] = [countsOf(a.gtid, system), countsOf(b.gtid, system)];
  if (before === null || after === null) return null;
  return directed(missing(before, after), missing(after, before), 'transactions');
}

function inFile(a: LogPosition, b: LogPosition): Distance | null {
  if (a.file !== b.file || a.file === '') return null;
  const bytes = BigInt(b.pos) - BigInt(a.pos);
  return directed(bytes < 0n ? -bytes : 0n, bytes > 0n ? bytes : 0n, 'bytes of log');
}

function directed(back: bigint, forward: bigint, unit: string): Distance {
  return { back: back === 0n ? null : `${back} ${unit}`, forward: forward === 0n ? null : `${forward} ${unit}` };
}

type Interval = readonly [first: bigint, last: bigint];

/** Transactions of each source: `uuid`, or `uuid:tag` (MySQL 8.3), or a domain, of which a position holds all up to one. Null: the text is none. */
function countsOf(text: string, system: System): ReadonlyMap<string, readonly Interval[]> | null {
  const parsed = parseGtids(text, system);
  if (parsed === null) return null;
  const sources = new Map<string, Interval[]>();
  for (const entry of parsed
    .toString()
    .split(',')
    .filter((each) => each !== '')) {
    if (system === 'mariadb') {
      const [domain = '', , last = '0'] = entry.split('-');
      sources.set(domain, [[1n, BigInt(last)]]);
      continue;
    }
    const [uuid = '', ...items] = entry.trim().split(':');
    let source = uuid;
    for (const item of items) {
      const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(item) ?? [];
      if (first === undefined || last === undefined) source = `${uuid}:${item}`;
      else sources.set(source, [...(sources.get(source) ?? []), [BigInt(first), BigInt(last)]]);
    }
  }
  return sources;
}

/** How many of the first are not in the second. Intervals of one source are sorted and do not touch. */
function missing(from: ReadonlyMap<string, readonly Interval[]>, other: ReadonlyMap<string, readonly Interval[]>): bigint {
  let count = 0n;
  for (const [source, intervals] of from) {
    const there = other.get(source) ?? [];
    for (const [first, last] of intervals) {
      count += last - first + 1n;
      for (const [low, high] of there) {
        if (high < first || low > last) continue;
        count -= last - first + 1n;
        if (low > first) count += low - first;
        if (high < last) count += last - high;
      }
    }
  }
  return count;
}
