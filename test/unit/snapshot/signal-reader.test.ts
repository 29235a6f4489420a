import { beforeEach, expect, test } from 'vitest';
import { nodeRuntime } from '../../../src/daemon/node-runtime.ts';
import type { Logger } from '../../../src/plugin/context.ts';
import { BatchWriter, HEAD, HEAD_SIZE, NULL, OP, type Op, type RecordBatch } from '../../../src/record/batch.ts';
import { TableRegistry, type TableVersion } from '../../../src/record/table.ts';
import { SnapshotCommands } from '../../../src/snapshot/commands.ts';
import { Copies } from '../../../src/snapshot/copies.ts';
import { SignalReader } from '../../../src/snapshot/signal-reader.ts';

const POSITION = { lsn: '1' };
const registry = new TableRegistry();
const column = (name: string) => ({ name, type: 'text', typeName: 'text', scale: null, precision: null }) as const;
const table = (name: string, ...columns: string[]): TableVersion =>
  registry.version({ kind: 'table', catalog: 'db', schema: 'public', name, columns: columns.map(column), key: [0] });
const ORDERS = table('orders', 'id');
const LINES = table('lines', 'id');
const SIGNALS = table('signals', 'id', 'type', 'data');

let copies: Copies;
let commands: SnapshotCommands;
let reader: SignalReader;
let said: string[];

beforeEach(() => {
  copies = new Copies('no_data', {}, false);
  copies.begin(['public.orders', 'public.lines'].map((label) => ({ label, identity: '1', isNew: false, isCopied: true, where: null })));
  commands = new SnapshotCommands('shop', copies, nodeRuntime());
  said = [];
  const say = (message: string, fields?: { code?: string }): void => void said.push(fields?.code ?? message);
  reader = new SignalReader('public.signals', commands, { debug: say, info: say, warn: say, error: say } as Logger);
});

type Row = readonly [Op, TableVersion, ...(string | null)[]];

/** `before`: how many records stand before the checkpoint; null: there is none. */
function batchOf(rows: readonly Row[], before: number | null = rows.length): BatchWriter {
  const batch = new BatchWriter(registry, (each) => each.reset(), 16);
  for (const [ordinal, [op, version, ...values]] of rows.entries()) {
    if (before === ordinal) batch.setCheckpoint(POSITION);
    batch.record(op, version, { id: 'a', commitMicros: 1 }, ordinal);
    batch.image(op === OP.delete ? 'before' : 'after');
    for (const value of values) {
      if (value === null) batch.mark(NULL);
      else {
        const start = batch.append(Buffer.from(value));
        batch.cell(start, start + Buffer.byteLength(value));
      }
    }
  }
  if (before === rows.length) batch.setCheckpoint(POSITION);
  return batch;
}

const EXECUTE: Row = [OP.create, SIGNALS, '1', 'execute-snapshot', '{"data-collections": ["public.orders"]}'];
const open = (): string[] => copies.list().flatMap((copy) => (copy.isOpen ? [`${copy.entry}${copy.paused ? ' paused' : ''}`] : []));

/** What is left, as table and first cell. */
function rest(batch: RecordBatch): unknown[] {
  return Array.from({ length: batch.count }, (_, record) => {
    const head = (field: number): number => batch.heads[record * HEAD_SIZE + field] as number;
    const at = (head(HEAD.after) >= 0 ? head(HEAD.after) : head(HEAD.before)) * 2;
    return [batch.tables[head(HEAD.table)]?.name, batch.arena.toString('utf8', batch.cells[at], batch.cells[at + 1]), head(HEAD.ordinal)];
  });
}

test('a batch without signals is handed on as it is', () => {
  const batch = batchOf([[OP.create, ORDERS, '1']]);
  expect(reader.take(batch)).toBe(batch);
});

test('the rows of the signal table are taken out, whatever they are, and the checkpoint stays where it is', () => {
  const batch = batchOf(
    [
      [OP.create, ORDERS, '1'],
      EXECUTE,
      [OP.delete, SIGNALS, '1', null, null],
      [OP.create, LINES, '2'],
      [OP.update, SIGNALS, '1', 'stop-snapshot', null],
      [OP.create, ORDERS, '3'],
    ],
    4,
  );
  const taken = reader.take(batch);
  expect(rest(taken)).toEqual([
    ['orders', '1', 0],
    ['lines', '2', 3],
    ['orders', '3', 5],
  ]);
  expect(taken.tables.map(({ name }) => name)).toEqual(['orders', 'lines']);
  expect([taken.checkpoint, taken.checkpointRecords]).toEqual([POSITION, 2]);
  taken.release();
  expect(batch.count).toBe(0);
  // An update is no signal.
  reader.take(batchOf([]));
  expect(open()).toEqual(['again/public.orders']);
});

test('a batch of nothing but signals is empty, with its checkpoint at its end', () => {
  const taken = reader.take(batchOf([EXECUTE]));
  expect([taken.count, taken.checkpointRecords, taken.checkpoint]).toEqual([0, 0, POSITION]);
});

test('a signal is followed with the batch whose checkpoint covers it: it is saved in one with that place (I5)', () => {
  reader.take(batchOf([EXECUTE], null));
  reader.take(batchOf([[OP.create, ORDERS, '1']], null));
  expect(open()).toEqual([]);
  // The checkpoint stands before the second one.
  reader.take(
    batchOf(
      [
        [OP.create, ORDERS, '1'],
        [OP.create, SIGNALS, '2', 'pause-snapshot', null],
      ],
      1,
    ),
  );
  expect(open()).toEqual(['again/public.orders']);
  reader.take(batchOf([[OP.create, ORDERS, '1']], 0));
  expect(open()).toEqual(['again/public.orders paused']);
});

test('signals are followed in their order', () => {
  const signal = (type: string, data: string | null = null): Row => [OP.create, SIGNALS, '1', type, data];
  reader.take(batchOf([EXECUTE, signal('execute-snapshot', '{"data-collections": ["public.lines"]}'), signal('pause-snapshot')]));
  expect(open()).toEqual(['again/public.orders paused', 'again/public.lines paused']);
  reader.take(batchOf([signal('stop-snapshot', '{"data-collections": ["public.orders"]}'), signal('resume-snapshot')]));
  expect(open()).toEqual(['again/public.lines']);
  reader.take(batchOf([signal('stop-snapshot')]));
  expect(open()).toEqual([]);
  reader.take(batchOf([signal('stop-snapshot')]));
  expect(said.at(-1)).toBe('A signal asked to stop copies; none is open.');
});

test('a table that is being copied is passed over, the others are begun', () => {
  reader.take(batchOf([EXECUTE]));
  reader.take(batchOf([[OP.create, SIGNALS, '2', 'execute-snapshot', '{"data-collections": [".*"]}']]));
  expect(open()).toEqual(['again/public.orders', 'again/public.lines']);
  expect(said).toEqual(['Copies begun by a signal: public.orders.', 'SLUICE_SIGNAL_UNDER_WAY', 'Copies begun by a signal: public.lines.']);
});

test('what cannot be understood is said and passed over', () => {
  const odd = table('signals', 'id', 'type', 'data', 'more');
  reader.take(
    batchOf([
      [OP.create, odd, '1', 'stop-snapshot', null, null],
      [OP.create, SIGNALS, '1', 'nonsense', null],
      [OP.create, SIGNALS, '1', null, null],
    ]),
  );
  expect(said).toEqual(['SLUICE_SIGNAL_DATA', 'SLUICE_SIGNAL_TYPE', 'SLUICE_SIGNAL_DATA']);
});

test('of a transaction with more signals than may be kept the first ones are followed, the others are counted', () => {
  const long = ' '.repeat(100_000);
  for (let n = 0; n < 50; n++) reader.take(batchOf([EXECUTE, [OP.create, SIGNALS, '2', 'stop-snapshot', long]], null));
  expect(open()).toEqual([]);
  reader.take(batchOf([[OP.create, ORDERS, '1']]));
  expect(said.filter((line) => line === 'SLUICE_SIGNAL_TOO_MANY')).toHaveLength(1);
  expect(said.filter((line) => line.startsWith('Copies stopped'))).toHaveLength(41);
  said.length = 0;
  reader.take(batchOf([[OP.create, SIGNALS, '3', 'stop-snapshot', null]]));
  expect(said).toEqual(['Copies stopped by a signal: public.orders.']);
});
