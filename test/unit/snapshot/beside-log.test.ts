import { expect, test } from 'vitest';
import { nodeRuntime } from '../../../src/daemon/node-runtime.ts';
import type { CopyTable, SnapshotSource, SnapshotView } from '../../../src/plugin/snapshot.ts';
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
  const events = { planned: ignore, failed: ignore, later: ignore, moved: ignore, unfinished: ignore };
  await new Promise<void>((idle, failed) => {
    const signal = new AbortController().signal;
    const runtime = nodeRuntime();
    const pace = new Pace({ maxRowsPerSecond: 0, maxLag: 1024 }, runtime, { debug: ignore, info: ignore, warn: ignore, error: ignore });
    const ports = { snapshots, gate: new LogGate(ignore), runtime, signal, events, limits: CHUNK_LIMITS, pace, offer: ignore };
    new BesideLog([copy], 1, ports, idle, failed).kick();
  });
  expect([copy.state, copy.parts]).toEqual(['stopped', null]);
});
