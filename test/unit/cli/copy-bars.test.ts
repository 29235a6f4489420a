import type { WriteStream } from 'node:tty';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CopyBars } from '../../../src/cli/copy-bars.ts';
import type { CopyView } from '../../../src/snapshot/view.ts';
import { Screen } from '../../support/screen.ts';

let screen: Screen;
let bars: CopyBars;

beforeEach(() => {
  screen = new Screen();
  bars = new CopyBars(screen as unknown as WriteStream);
});

afterEach(() => bars.hide());

function copying(table: string, rows: number, changes: Partial<CopyView> = {}): CopyView {
  const estimatedRows = 4_000;
  const percent = Math.floor((rows / estimatedRows) * 100);
  const rate = { rowsPerSecond: 1_000, secondsLeft: (estimatedRows - rows) / 1_000 };
  return {
    connector: 'shop',
    table,
    copy: 'first',
    state: 'copying',
    rows,
    estimatedRows,
    percent,
    ...rate,
    where: null,
    surrogateKey: null,
    error: null,
    ...changes,
  };
}

test('a bar for each table that is being copied, at the bottom; lines of the log stand above them, whole', () => {
  bars.write('first\n');
  bars.show([copying('public.orders', 1_000), copying('public.a', 2_000), copying('public.later', 0, { state: 'waiting' })]);
  bars.write('a line\nand a next one of it\n');
  bars.show([copying('public.orders', 3_000), copying('public.a', 3_999)]);
  bars.write('short\n');
  expect(screen.lines).toEqual([
    'first',
    'a line',
    'and a next one of it',
    'short',
    'public.orders [============----] 75 % 3,000 of ~4,000  1,000/s  1 s left',
    'public.a      [================] 99 % 3,999 of ~4,000  1,000/s  0.001 s left',
  ]);
});

test('they go when their copies end, and leave nothing behind', () => {
  bars.show([copying('public.orders', 1_000), copying('public.a', 2_000)]);
  bars.write('one is done\n');
  bars.show([copying('public.orders', 2_000)]);
  expect(screen.lines).toEqual(['one is done', 'public.orders [========--------] 50 % 2,000 of ~4,000  1,000/s  2 s left']);
  bars.show([copying('public.orders', 4_000, { state: 'done' })]);
  bars.write('all are done\n');
  expect(screen.lines).toEqual(['one is done', 'all are done', '']);
});

test('an estimate that is missing or was too low', () => {
  const unknown = { estimatedRows: null, percent: null, secondsLeft: null };
  bars.show([copying('t', 9_000, { percent: 99, secondsLeft: null }), copying('u', 5, { ...unknown, rowsPerSecond: null })]);
  expect(screen.lines).toEqual(['t [================] 99 % 9,000 of ~4,000  1,000/s', 'u [----------------]      5']);
});

test('no more than fit, cut where the terminal is narrow', () => {
  const narrow = new Screen(40, 6);
  bars = new CopyBars(narrow as unknown as WriteStream);
  bars.show(Array.from({ length: 20 }, (_, n) => copying(`public.t${n}`, n)));
  expect(narrow.lines).toHaveLength(4);
  expect(narrow.lines.every((line) => line.length <= 40)).toBe(true);
});
