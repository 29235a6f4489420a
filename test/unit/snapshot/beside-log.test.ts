import { expect, test } from 'vitest';
import { nodeRuntime } from '../../../src/daemon/node-runtime.ts';
import type { CopyTable, SnapshotSource, SnapshotView } from '../../../src/plugin/snapshot.ts';
import { BatchWriter, OP, type RecordBatch, type Transaction } from '../../../src/record/batch.ts';
import { TableRegistry } from '../../../src/record/table.ts';
import { BesideLog, CHUNK_LIMITS } from '../../../src/snapshot/beside-log.ts';
import { LogGate } from '../../../src/snapshot/log-gate.ts';
import { Pace } from '../../../src/snapshot/pace.ts';
import { TableCopy } from '../../../src/snapshot/table-copy.ts';

const ignore = (): void => undefined;
const version = new TableRegistry().version({
  kind: 'table',
  catalog: 'db',
  schema: 'public',
  name: 't',
  columns: [{ name: 'id', type: 'int32', typeName: 'integer', scale: null, precision: null }],
  key: [0],
});

function portsOf(snapshots: SnapshotSource, gate: LogGate) {
  const events = { planned: ignore, failed: ignore, later: ignore, moved: ignore, unfinished: ignore };
  const signal = new AbortController().signal;
  const runtime = nodeRuntime();
  const pace = new Pace({ maxRowsPerSecond: 0, maxLag: 1024 }, runtime, { debug: ignore, info: ignore, warn: ignore, error: ignore });
  return { snapshots, gate, runtime, signal, events, limits: CHUNK_LIMITS, pace, offer: ignore };
}

test('while a copy waits for a transaction that is open, what the log shows is not remembered without end', async () => {
  const looked: string[] = [];
  const view = { shows: ({ id }: Transaction) => id !== 'late', close: () => Promise.resolve() } as Partial<SnapshotView> as SnapshotView;
  const take = (): Promise<SnapshotView> => {
    looked.push('view');
    return Promise.resolve(view);
  };
  const snapshots = { settle: () => new Promise(ignore), view: take, ask: ignore } as Partial<SnapshotSource> as SnapshotSource;
  const gate = new LogGate(ignore);
  const failed = (error: unknown): never => {
    throw error;
  };
  new BesideLog([new TableCopy('public.t', 'again')], 1, portsOf(snapshots, gate), ignore, failed).kick();
  const registry = new TableRegistry();
  const batch = (ids: readonly string[]): RecordBatch => {
    const writer = new BatchWriter(registry, ignore, 0);
    for (const id of ids) writer.record(OP.delete, version, { id, commitMicros: 1 }, 0);
    return writer;
  };
  gate.observe(batch(['late']));
  for (let n = 0; n < 50; n++) {
    gate.observe(batch(Array.from({ length: 1000 }, (_, at) => `${n}/${at}`)));
    await new Promise(setImmediate);
  }
  expect(looked.length).toBeGreaterThan(1);
  expect(looked.length).toBeLessThan(10);
  const { unseen } = gate.hold();
  expect(unseen.length).toBeLessThan(11_000);
  expect(unseen[0]?.id).toBe('late');
});

test('a copy that is ended while it is planned stays ended', async () => {
  const copy = new TableCopy('public.t', 'again');
  const view = {
    open: (label: string): Promise<CopyTable> => Promise.resolve({ label, version, estimatedRows: 1 }),
    bounds: () => {
      copy.state = 'stopped';
      return Promise.resolve([]);
    },
    close: () => Promise.resolve(),
  } as Partial<SnapshotView> as SnapshotView;
  const snapshots = { settle: () => Promise.resolve(), view: () => Promise.resolve(view), ask: ignore } as Partial<SnapshotSource> as SnapshotSource;
  await new Promise<void>((idle, failed) => {
    new BesideLog([copy], 1, portsOf(snapshots, new LogGate(ignore)), idle, failed).kick();
  });
  expect([copy.state, copy.parts]).toEqual(['stopped', null]);
});
