/** Statements that define tables anew, on their way through the pipeline: each is durable before what is behind it goes, and behind what was in front of it. */
import { describe, expect, it } from 'vitest';
import { debezium } from '../../../src/formats/debezium/index.ts';
import { type PipelineOptions, runPipeline } from '../../../src/pipeline/pipeline.ts';
import { NOTHING_WRITTEN, type Sink } from '../../../src/plugin/sink.ts';
import type { Source } from '../../../src/plugin/source.ts';
import { BatchWriter, OP, type RecordBatch, type Transaction } from '../../../src/record/batch.ts';
import { definitionTable, type TableChange } from '../../../src/record/definition.ts';
import { destinationAt, idAt, type MessageBatch, tableAt } from '../../../src/record/messages.ts';
import type { Place } from '../../../src/record/position.ts';
import { TableRegistry, tableLabel } from '../../../src/record/table.ts';
import { batchOf, CONTEXT, column, DEBEZIUM_DEFAULTS, encodeBatch, tableShape, textsOf } from '../../support/encoded.ts';
import { FakeRuntime, settle } from '../../support/fake-runtime.ts';
import { unboundedMemory } from '../../support/memory.ts';

const registry = new TableRegistry();
const TABLE = registry.version(tableShape([column('id', 'int32')], [0]));
const STATEMENTS = registry.version(definitionTable('db'));
const CHANGE: TableChange = {
  kind: 'ALTER',
  database: 'db',
  name: 'a"b',
  table: {
    charset: 'utf8mb4',
    key: ['id'],
    columns: [
      {
        name: 'id',
        jdbcType: 4,
        type: 'INT',
        charset: null,
        length: null,
        scale: null,
        optional: false,
        autoIncremented: true,
        default: null,
        labels: null,
      },
      {
        name: 'e',
        jdbcType: 1,
        type: 'ENUM',
        charset: 'latin1',
        length: 1,
        scale: null,
        optional: true,
        autoIncremented: false,
        default: 'x',
        labels: ["'x'"],
      },
    ],
  },
};

type What = 'row' | 'statement';

/** Records of a transaction. */
function batch(number: number, records: readonly What[], label = 'public.t'): RecordBatch {
  const writer = new BatchWriter(registry, () => undefined, 64);
  const transaction: Transaction = { id: `T${number}`, commitMicros: 1_000_000, beginId: `B${number}`, endId: `E${number}` };
  for (const [ordinal, what] of records.entries()) {
    writer.record(what === 'row' ? OP.create : OP.message, what === 'row' ? TABLE : STATEMENTS, transaction, ordinal);
    writer.image('after');
    const cells = what === 'row' ? ['1'] : ['ALTER TABLE t', '["t"]', label, JSON.stringify([CHANGE]), ''];
    for (const cell of cells) {
      const start = writer.append(Buffer.from(cell));
      writer.cell(start, writer.arenaLength);
    }
  }
  writer.setCheckpoint({ lsn: String(number) });
  return writer;
}

/** A pipeline whose sink confirms when it is told to. */
function rig(marks = false) {
  const runtime = new FakeRuntime();
  const drain = new AbortController();
  const waiting: RecordBatch[] = [];
  const writes: { readonly what: readonly string[]; readonly confirm: () => void }[] = [];
  let want: (() => void) | null = null;
  const source = {
    async *read(): AsyncGenerator<RecordBatch> {
      for (;;) {
        const next = waiting.shift();
        if (next === undefined) await new Promise<void>((resolve) => (want = resolve));
        else yield next;
      }
    },
    acknowledge: () => undefined,
  } as unknown as Source;
  const sink = {
    open: () => Promise.resolve(NOTHING_WRITTEN),
    destination: tableLabel,
    write: (messages: MessageBatch) =>
      new Promise<Place>((resolve) => {
        const indexes = Array.from({ length: messages.count }, (_, index) => index);
        const what = indexes.map((index) => `${destinationAt(messages, index)} ${idAt(messages, index)} ${tableAt(messages, index)}`.trim());
        writes.push({ what, confirm: () => resolve({ n: String(writes.length) }) });
      }),
  } as unknown as Sink;
  const options: PipelineOptions = {
    source,
    sink,
    runtime,
    format: debezium.create({ ...DEBEZIUM_DEFAULTS, provideTransactionMetadata: marks }, CONTEXT),
    read: { from: { lsn: '0' }, published: [], sinkHoldsOutput: false },
    maxInFlightBytes: 1_000_000,
    memory: unboundedMemory(),
    maxDelayMs: 5,
    checkpointMaxDelayMs: 20,
    save: () => Promise.resolve(),
    undelivered: { divert: () => null, passing: () => undefined, isAside: () => false, settled: () => null },
    policy: null,
    mapping: null,
    saveHistory: () => null,
    announcements: null,
    events: {
      durable: () => undefined,
      idle: () => undefined,
      inFlight: () => undefined,
      saved: () => undefined,
      spent: () => undefined,
      waited: () => undefined,
    },
  };
  const ended = runPipeline(options, drain.signal, new AbortController().signal);
  const offer = async (...batches: RecordBatch[]): Promise<void> => {
    waiting.push(...batches);
    want?.();
    await runtime.advance(10);
  };
  const confirm = async (index: number): Promise<void> => {
    writes[index]?.confirm();
    await settle();
    await runtime.advance(10);
  };
  const end = async (): Promise<void> => {
    drain.abort();
    for (let round = 0; round < 9; round++) {
      for (const { confirm: one } of writes) one();
      await settle();
    }
    await ended;
  };
  return { writes, offer, confirm, end };
}

describe('statements that define tables', () => {
  const row = (id: string): string => `public.t g/${id}/0 public.t`;
  const statement = (id: string): string => `g g/${id}/0 public.t`;

  it('are durable before what is behind them goes, and behind all in front of them', async () => {
    const { writes, offer, confirm, end } = rig();
    await offer(batch(1, ['row']), batch(2, ['row', 'statement', 'row']), batch(3, ['row']));
    expect(writes.map(({ what }) => what)).toEqual([[row('T1/0')], [row('T2/0')]]);
    await confirm(1);
    // The batch before is still on its way.
    expect(writes).toHaveLength(2);
    await confirm(0);
    expect(writes[2]?.what).toEqual([statement('T2/1')]);
    expect(writes).toHaveLength(3);
    await confirm(2);
    expect(writes[3]?.what).toEqual([row('T2/2')]);
    expect(writes).toHaveLength(4);
    await confirm(3);
    expect(writes[4]?.what).toEqual([row('T3/0')]);
    await end();
  });

  it('are no events of a transaction: the one before ends in front of them, and theirs begins with a row', async () => {
    const { writes, offer, confirm, end } = rig(true);
    const open = batch(1, ['row']) as BatchWriter;
    // Its end comes with the next record.
    open.checkpoint = null;
    await offer(open, batch(2, ['statement']), batch(3, ['statement', 'row']));
    for (let write = 0; write < 9; write++) await confirm(write);
    expect(writes.map(({ what }) => what)).toEqual([
      ['g.transaction g/T1/begin/0', row('T1/0')],
      ['g.transaction g/T1/end/0'],
      [statement('T2/0')],
      [statement('T3/0')],
      ['g.transaction g/T3/begin/0', row('T3/1'), 'g.transaction g/T3/end/0'],
    ]);
    await end();
  });

  it('a version of them costs a table nothing, and what they are of is named with the row that waits', () => {
    const format = debezium.create({ ...DEBEZIUM_DEFAULTS }, CONTEXT);
    const [message] = textsOf(encodeBatch(format, batch(1, ['statement'])));
    expect(message?.key).toBe('{"databaseName":"db"}');
    expect(JSON.parse(message?.value ?? '')).toMatchObject({
      source: { db: 'db', table: 't', snapshot: 'false', lsn: null },
      databaseName: 'db',
      schemaName: null,
      ddl: 'ALTER TABLE t',
      tableChanges: [
        {
          type: 'ALTER',
          id: '"db"."a""b"',
          table: {
            primaryKeyColumnNames: ['id'],
            columns: [
              { position: 1, generated: true },
              { position: 2, enumValues: ["'x'"] },
            ],
          },
        },
      ],
    });
  });

  it('are left out where the option says so, and then the format has no place for them', () => {
    const config = { ...DEBEZIUM_DEFAULTS, includeSchemaChanges: false };
    expect(debezium.create(config, CONTEXT).definitions).toBeUndefined();
    expect([debezium.definitions(config, 'shop'), debezium.definitions(DEBEZIUM_DEFAULTS, 'shop')]).toEqual([null, 'shop']);
    expect(textsOf(encodeBatch(debezium.create(config, CONTEXT), batchOf([])))).toEqual([]);
  });
});
