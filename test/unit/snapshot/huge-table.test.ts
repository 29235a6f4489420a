import { expect, test } from 'vitest';
import { nodeRuntime } from '../../../src/daemon/node-runtime.ts';
import type { CopiedRows, CopyTable, RowRequest, SnapshotSource, SnapshotView } from '../../../src/plugin/snapshot.ts';
import type { Source } from '../../../src/plugin/source.ts';
import { BatchWriter, OP, type RecordBatch } from '../../../src/record/batch.ts';
import type { Progress } from '../../../src/record/position.ts';
import { TableRegistry } from '../../../src/record/table.ts';
import { CHUNK_LIMITS } from '../../../src/snapshot/beside-log.ts';
import { SnapshotCommands } from '../../../src/snapshot/commands.ts';
import { Copies } from '../../../src/snapshot/copies.ts';
import { CopyingSource } from '../../../src/snapshot/copying-source.ts';
import { Pace } from '../../../src/snapshot/pace.ts';

/** A row stands for so many: chunks are as many as those of a table of 100,000,000 rows. */
const ROWS = 100_000_000;
const STANDS_FOR = 5_000;
const CHUNK_ROWS = CHUNK_LIMITS.rows / STANDS_FOR;
const PARALLELISM = 8;
/** Keys as long as they come: what is stored of them must stay small all the same. */
const keyOf = (row: number): string => `customer-${String(row).padStart(40, '0')}`;

const ignore = (): void => undefined;
const log = { debug: ignore, info: ignore, warn: ignore, error: ignore };
const config = {
  mode: 'initial',
  include: [],
  exclude: [],
  where: {},
  order: 'listed',
  parallelism: PARALLELISM,
  maxRowsPerSecond: 0,
  maxLag: 1024 ** 3,
} as const;

test('of a table of 100,000,000 rows little is planned, and little is stored, first and beside the log', async () => {
  const held = await copy({ isFirst: true });
  expect(held).toMatchObject({ rows: ROWS / STANDS_FOR, state: 'done', plans: 1 });
  const beside = await copy({ isFirst: false });
  expect(beside).toMatchObject({ rows: ROWS / STANDS_FOR, state: 'done', plans: 1 });
  // The first chunks are small, until it is known how large rows are.
  expect(beside.chunks).toBeGreaterThan(ROWS / CHUNK_LIMITS.rows);
  for (const { bounds, storedBytes } of [held, beside]) {
    expect(bounds).toBe(PARALLELISM - 1);
    expect(storedBytes).toBeLessThan(3_000);
  }
});

interface Copied {
  readonly rows: number;
  readonly state: string;
  readonly plans: number;
  readonly bounds: number;
  readonly chunks: number;
  /** The most that was ever stored of the table. */
  readonly storedBytes: number;
}

async function copy({ isFirst }: { isFirst: boolean }): Promise<Copied> {
  const runtime = nodeRuntime();
  const tables = new TableRegistry();
  const counts = { plans: 0, bounds: 0, chunks: 0 };
  const copies = new Copies('initial', isFirst ? {} : { 'first/public.t': JSON.stringify({ state: 'waiting', identity: '1' }) }, !isFirst);
  const source = new CopyingSource(sourceOf(tables, counts), config, copies, new SnapshotCommands('s', copies, runtime), {
    runtime,
    tables,
    events: { planned: ignore, failed: (_, error) => expect.fail(error.message), later: ignore, moved: ignore, unfinished: ignore },
    limits: { ...CHUNK_LIMITS, rows: CHUNK_ROWS, firstRows: 1 },
    pace: new Pace(config, runtime, log),
    signals: null,
    renew: ignore,
  });
  const seen = new Set<string>();
  let storedBytes = 0;
  const note = (progress: Progress | null): void => {
    for (const [entry, text] of Object.entries(progress ?? {})) storedBytes = Math.max(storedBytes, entry.length + (text ?? '').length);
  };
  const from = isFirst ? null : { lsn: '1' };
  for await (const batch of source.read({ from, published: [], sinkHoldsOutput: false }, new AbortController().signal)) {
    note(batch.progress);
    for (let record = 0; record < batch.count; record++) seen.add(textOf(batch, record));
    batch.release();
    if (copies.open === 0) break;
  }
  await source.close();
  return { ...counts, rows: seen.size, state: copies.get('first/public.t')?.state ?? '', storedBytes };
}

function textOf({ arena, cells }: RecordBatch, record: number): string {
  return arena.toString('latin1', cells[record * 2] as number, cells[record * 2 + 1] as number);
}

function sourceOf(tables: TableRegistry, counts: { plans: number; bounds: number; chunks: number }): Source {
  const version = tables.version({
    kind: 'table',
    catalog: 'db',
    schema: 'public',
    name: 't',
    columns: [{ name: 'id', type: 'text', typeName: 'text', scale: null, precision: null }],
    key: [0],
  });
  const batchOf = (): BatchWriter => new BatchWriter(tables, () => undefined, 4_096);
  const view = (): SnapshotView => ({
    shows: () => true,
    passedBy: () => true,
    keyOf: () => [],
    open: (label) => Promise.resolve({ label, version, estimatedRows: ROWS }),
    bounds: (_: CopyTable, parts: number) => {
      counts.plans++;
      counts.bounds += parts - 1;
      return Promise.resolve(Array.from({ length: parts - 1 }, (_each, at) => [keyOf(Math.floor((ROWS / STANDS_FOR / parts) * (at + 1)))]));
    },
    async *rows(_: CopyTable, { range, limit }: RowRequest): AsyncGenerator<CopiedRows, void, undefined> {
      counts.chunks++;
      const number = (key: string | undefined, otherwise: number): number => (key === undefined ? otherwise : Number(key.slice('customer-'.length)));
      const first = number(range?.after?.[0], -1) + 1;
      const end = Math.min(number(range?.upTo?.[0], ROWS / STANDS_FOR - 1) + 1, first + (limit ?? ROWS));
      for (let row = first; row < end; ) {
        const batch = batchOf();
        for (const until = Math.min(end, row + 500); row < until; row++) {
          batch.record(OP.read, version, { id: `snapshot/${counts.chunks}.${row}`, commitMicros: 0 }, 0);
          batch.image('after');
          const start = batch.append(Buffer.from(keyOf(row)));
          batch.cell(start, start + keyOf(row).length);
        }
        yield { batch, lastKey: [keyOf(row - 1)] };
      }
    },
    close: () => Promise.resolve(),
  });
  const snapshots: SnapshotSource = {
    tables: () => [{ label: 'public.t', identity: '1', isNew: false, isCopied: true, where: null }],
    keyOf: () => [],
    held: (count) => Promise.resolve(Array.from({ length: count }, view)),
    settle: () => Promise.resolve(),
    view: () => Promise.resolve(view()),
    ask: ignore,
    rest: () => Promise.resolve(),
  };
  let isClosed = false;
  return {
    async *read() {
      for (let lsn = 1; !isClosed; lsn++) {
        const batch = batchOf();
        batch.setCheckpoint({ lsn: String(lsn) });
        yield batch;
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    },
    snapshot: () => Promise.resolve(snapshots),
    close: () => {
      isClosed = true;
      return Promise.resolve();
    },
  } as Partial<Source> as Source;
}
