import { describe, expect, it } from 'vitest';
import { native } from '../../../src/formats/native/index.ts';
import { type PipelineOptions, runPipeline } from '../../../src/pipeline/pipeline.ts';
import { NOTHING_WRITTEN, type Sink } from '../../../src/plugin/sink.ts';
import type { Source } from '../../../src/plugin/source.ts';
import { BatchWriter, HEAD, OP, type RecordBatch, SNAPSHOT_MARK } from '../../../src/record/batch.ts';
import { destinationAt, idAt, type MessageBatch, MessageWriter, tableAt } from '../../../src/record/messages.ts';
import type { Place } from '../../../src/record/position.ts';
import { type ColumnFacts, TableRegistry, type TableVersion, tableId, tableLabel } from '../../../src/record/table.ts';
import { SchemaAnnouncements } from '../../../src/schema-history/announcements.ts';
import { CONTEXT, column, tableShape, textsOf } from '../../support/encoded.ts';
import { FakeRuntime, settle } from '../../support/fake-runtime.ts';
import { unboundedMemory } from '../../support/memory.ts';

const TOPIC = 'g.schema-changes';
const registry = new TableRegistry();
const [narrow, wide] = [tableShape([column('id', 'int32')], [0]), tableShape([column('id', 'int32'), column('more', 'text')], [0])].map((shape) =>
  registry.version(shape),
) as [TableVersion, TableVersion];
const ID = tableId(narrow);
const NO_FACTS: ColumnFacts = { required: true, default: null, computed: false, labels: null, id: '1' };

interface Row {
  readonly table: TableVersion;
  readonly copied?: true;
}

/** Rows of one transaction each batch; `checkpoint`: how many of them stand before it. */
function batchOf(number: number, rows: readonly Row[], checkpoint = rows.length): RecordBatch {
  const batch = new BatchWriter(registry, () => undefined, 64);
  const transaction = { id: `T${number}`, commitMicros: 1_000_000 };
  for (const [ordinal, { table, copied }] of rows.entries()) {
    if (ordinal === checkpoint) batch.setCheckpoint({ lsn: String(number) });
    batch.record(OP.create, table, transaction, ordinal);
    batch.image('after');
    for (const _ of table.columns) batch.mark(-1);
    if (copied === true) batch.snapshot(SNAPSHOT_MARK.row);
  }
  if (checkpoint === rows.length) batch.setCheckpoint({ lsn: String(number) });
  return batch;
}

/** A pipeline whose sink confirms when it is told to. */
function rig(announced: Readonly<Record<string, number>>) {
  const runtime = new FakeRuntime();
  const drain = new AbortController();
  const waiting: RecordBatch[] = [];
  const saved: unknown[] = [];
  const writes: { readonly what: readonly string[]; readonly confirm: () => void }[] = [];
  let want: (() => void) | null = null;
  const source = {
    async *read(): AsyncGenerator<RecordBatch> {
      for (;;) {
        const batch = waiting.shift();
        if (batch === undefined) await new Promise<void>((resolve) => (want = resolve));
        else yield batch;
      }
    },
    acknowledge: () => undefined,
  } as unknown as Source;
  const sink = {
    open: () => Promise.resolve(NOTHING_WRITTEN),
    destination: tableLabel,
    write: (batch: MessageBatch) =>
      new Promise<Place>((resolve) => {
        const what = Array.from(
          { length: batch.count },
          (_, index) => `${destinationAt(batch, index)} ${idAt(batch, index)} ${tableAt(batch, index)}`,
        );
        writes.push({ what, confirm: () => resolve({ n: String(writes.length) }) });
      }),
  } as unknown as Sink;
  const options: PipelineOptions = {
    source,
    sink,
    runtime,
    format: native.create({ tombstones: true }, CONTEXT),
    read: { from: { lsn: '0' }, published: [], sinkHoldsOutput: false },
    maxInFlightBytes: 1_000_000,
    memory: unboundedMemory(),
    maxDelayMs: 5,
    checkpointMaxDelayMs: 20,
    save: ({ position, place, shapes }) => Promise.resolve(void saved.push([position['lsn'], place?.['n'] ?? null, shapes])),
    undelivered: { divert: () => null, passing: () => undefined, isAside: () => false, settled: () => null },
    policy: null,
    mapping: null,
    saveHistory: () => null,
    announcements: new SchemaAnnouncements({ connector: 'g', capture: 'log', destination: TOPIC }, announced, [narrow, wide]),
    events: {
      durable: () => undefined,
      idle: () => undefined,
      inFlight: () => undefined,
      saved: () => undefined,
      spent: () => undefined,
      waited: () => undefined,
    },
  };
  const offer = (...batches: RecordBatch[]): void => {
    waiting.push(...batches);
    want?.();
  };
  const ended = runPipeline(options, drain.signal, new AbortController().signal);
  const confirm = async (index: number): Promise<void> => {
    writes[index]?.confirm();
    await settle();
    await runtime.advance(1);
  };
  const end = async (): Promise<void> => {
    drain.abort();
    for (let round = 0; round < 9; round++) {
      for (const { confirm: one } of writes) one();
      await settle();
    }
    await ended;
  };
  return { runtime, writes, saved, offer, confirm, end };
}

describe('announced schema changes', () => {
  const row = (id: string): string => `public.t g/${id} public.t`;
  const news = (version: number, id: string): string => `${TOPIC} g/shape/${version}/${id}/0 public.t`;

  it('are durable before the first row in the new shape goes, and that before the next batch', async () => {
    const { writes, offer, confirm, end, runtime } = rig({ [ID]: 1 });
    offer(batchOf(1, [{ table: narrow }, { table: wide }]), batchOf(2, [{ table: wide }]));
    await runtime.advance(10);
    expect(writes.map(({ what }) => what)).toEqual([[row('T1/0/0')]]);
    await confirm(0);
    expect(writes[1]?.what).toEqual([news(2, 'T1/1')]);
    await runtime.advance(100);
    expect(writes).toHaveLength(2);
    await confirm(1);
    expect(writes[2]?.what).toEqual([row('T1/1/0')]);
    await runtime.advance(100);
    expect(writes).toHaveLength(3);
    await confirm(2);
    expect(writes[3]?.what).toEqual([row('T2/0/0')]);
    await end();
  });

  it('are told again by a replay of what was not saved, and by no other (I4): what stands behind the checkpoint is saved with the next one', async () => {
    const { saved, offer, end, confirm, runtime } = rig({ [ID]: 1 });
    offer(batchOf(1, [{ table: narrow }, { table: wide }], 1));
    for (let write = 0; write < 3; write++) {
      await runtime.advance(1);
      await confirm(write);
    }
    await runtime.advance(50);
    expect(saved).toEqual([['1', null, null]]);
    offer(batchOf(2, [{ table: wide }]));
    await runtime.advance(1);
    await confirm(3);
    await runtime.advance(50);
    expect(saved[1]).toEqual(['2', '4', { [ID]: 2 }]);
    await end();
  });

  it('are saved with the checkpoint behind them', async () => {
    const { saved, offer, end, confirm, runtime } = rig({ [ID]: 1 });
    offer(batchOf(1, [{ table: wide }, { table: wide }], 1));
    for (let write = 0; write < 2; write++) {
      await runtime.advance(1);
      await confirm(write);
    }
    await runtime.advance(50);
    expect(saved).toEqual([['1', null, { [ID]: 2 }]]);
    await end();
  });

  it('go back with the table, tell a table that was never announced, and nothing of copied rows', async () => {
    const { writes, offer, end, confirm, runtime } = rig({});
    offer(batchOf(1, [{ table: wide, copied: true }, { table: narrow }, { table: wide }, { table: narrow }]));
    for (let write = 0; write < 7; write++) {
      await runtime.advance(1);
      await confirm(write);
    }
    expect(writes.map(({ what }) => what)).toEqual([
      [row('T1/0/0')],
      [news(1, 'T1/1')],
      [row('T1/1/0')],
      [news(2, 'T1/2')],
      [row('T1/2/0')],
      [news(1, 'T1/3')],
      [row('T1/3/0')],
    ]);
    await end();
  });

  it('tell a default that changed while the catalogue was ahead of the log and did not tell it: of what was announced last', async () => {
    const described = new TableRegistry({ described: true });
    const version = (facts: Partial<ColumnFacts> | null): TableVersion =>
      described.version({
        ...tableShape([{ ...column('id', 'int32'), ...(facts === null ? {} : { facts: { ...NO_FACTS, ...facts } }) }], [0]),
        facts: { id: '1', replicaIdentity: 'default' },
      });
    const [first, untold, changed] = [version({ default: '1' }), version(null), version({ default: '2' })] as const;
    const announcements = new SchemaAnnouncements({ connector: 'g', capture: 'log', destination: TOPIC }, { [ID]: 1 }, [first, untold, changed]);
    const batch = batchOf(1, [{ table: first }, { table: untold }, { table: untold }, { table: changed }, { table: untold }]);
    expect(announcements.next(batch, 0, null)).toBe(3);
    const out = new MessageWriter(64);
    announcements.write(batch, 3, out);
    expect(JSON.parse(textsOf(out)[0]?.value ?? '')).toMatchObject({
      previousVersion: 1,
      version: 3,
      changes: [{ kind: 'defaultChanged', column: 'id', before: '1', after: '2' }],
    });
    expect(announcements.next(batch, 3, null)).toBe(-1);
  });

  it('tell nothing of a TRUNCATE, which shows no row', async () => {
    const batch = batchOf(1, [{ table: wide }]);
    batch.heads[HEAD.op] = OP.truncate;
    const { writes, offer, end, runtime } = rig({ [ID]: 1 });
    offer(batch);
    await runtime.advance(10);
    expect(writes.map(({ what }) => what)).toEqual([['public.t g/T1/0/0 public.t']]);
    await end();
  });

  it('cost a batch of announced shapes nothing', async () => {
    const { writes, offer, end, runtime } = rig({ [ID]: 2 });
    offer(batchOf(1, [{ table: wide }]), batchOf(2, [{ table: wide }]));
    await runtime.advance(10);
    expect(writes).toHaveLength(2);
    await end();
  });
});
