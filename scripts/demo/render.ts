/** A line of the stdout sink, with a value in the native format. */
export interface ShownChange {
  readonly topic: string;
  readonly value: NativeValue | null;
}

interface NativeValue {
  readonly op: string;
  readonly before?: Row | null;
  readonly after?: Row | null;
  readonly ts?: string;
}

type Row = Readonly<Record<string, unknown>>;

const COLORS: Readonly<Record<string, number>> = { create: 32, update: 33, delete: 31, truncate: 35 };

/** One change as a line that is readable at a glance; null for a tombstone. */
export function renderChange(change: ShownChange, color: boolean): string | null {
  if (change.value === null) return null;
  const { op, before, after, ts } = change.value;
  const row = after ?? before ?? {};
  const cells = Object.entries(row).map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  const paint = (text: string, code: number): string => (color ? `\u001b[${code}m${text}\u001b[0m` : text);
  const time = typeof ts === 'string' ? ts.slice(11, 23) : '';
  return `${paint(time.padEnd(12), 90)} ${paint(op.padEnd(8), COLORS[op] ?? 0)} ${change.topic.split('.').at(-1)?.padEnd(10)} ${cells.join('  ')}`;
}
