import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { debezium } from '../../../src/formats/debezium/index.ts';
import type { DebeziumConfig } from '../../../src/formats/debezium/options.ts';
import { BatchEncoder } from '../../../src/pipeline/encode.ts';
import { BatchWriter, OP, SNAPSHOT_MARK, type Transaction } from '../../../src/record/batch.ts';
import { destinationAt, tableAt } from '../../../src/record/messages.ts';
import { TableRegistry, tableLabel } from '../../../src/record/table.ts';
import { CONTEXT, column, DEBEZIUM_DEFAULTS, type EncodedMessage, MESSAGES, tableShape, textsOf } from '../../support/encoded.ts';
import { unboundedMemory } from '../../support/memory.ts';

const ID = [column('id', 'int32')];
const TABLES = [tableShape(ID, [0], 'pkc'), tableShape(ID, [0], 'child')] as const;

/** What happens in the log, in its order. */
type Happening =
  | { readonly kind: 'row'; readonly transaction: Transaction; readonly table: number; readonly ordinal: number; readonly op?: 'create' | 'update' }
  | { readonly kind: 'copied' }
  | { readonly kind: 'message'; readonly transaction: Transaction }
  | { readonly kind: 'checkpoint' }
  | { readonly kind: 'cut' };

interface Sent extends EncodedMessage {
  readonly topic: string;
}

function transaction(number: number): Transaction {
  return { id: `7298/${number}`, commitMicros: number * 1_000_000 + 7, beginId: `${number}:${number}00`, endId: `${number}:${number}99` };
}

function add(batch: BatchWriter, happening: Happening): void {
  const cell = (text: string): void => {
    const start = batch.append(Buffer.from(text));
    batch.cell(start, batch.arenaLength);
  };
  const origin = (number: string, lsn: string): void => {
    batch.image('origin');
    for (const text of ['[null,"1"]', number, lsn]) cell(text);
    for (let mark = 0; mark < 3; mark++) batch.mark(-1);
  };
  if (happening.kind === 'row') {
    const { transaction: of, table, ordinal, op = 'create' } = happening;
    batch.record(OP[op], batch.table(TABLES[table] as (typeof TABLES)[0]), of, ordinal);
    batch.image('after');
    cell(String(ordinal));
    origin(String(of.beginId?.split(':')[0]), `${of.beginId?.split(':')[1]}${ordinal}`);
  } else if (happening.kind === 'copied') {
    batch.record(OP.read, batch.table(TABLES[0]), { id: 'snapshot/1/2', commitMicros: 5 }, 0);
    batch.snapshot(SNAPSHOT_MARK.incremental);
    batch.image('after');
    cell('0');
  } else if (happening.kind === 'message') {
    batch.record(OP.message, batch.table(MESSAGES), happening.transaction, 0);
    batch.image('after');
    cell('prefix');
    cell('content');
    origin('11', '1100');
  } else if (happening.kind === 'checkpoint') batch.setCheckpoint({ lsn: '1' });
}

/** All messages, batch by batch; of batches that have none the pipeline is told so. */
function sent(happenings: readonly Happening[], options: Partial<DebeziumConfig> = {}): Sent[][] {
  const format = debezium.create({ ...DEBEZIUM_DEFAULTS, provideTransactionMetadata: true, ...options }, CONTEXT);
  const encoder = new BatchEncoder(format, tableLabel, unboundedMemory());
  const registry = new TableRegistry();
  const batches: Sent[][] = [];
  let batch = new BatchWriter(registry, () => undefined, 64);
  for (const happening of [...happenings, { kind: 'cut' } as const]) {
    if (happening.kind !== 'cut') {
      add(batch, happening);
      continue;
    }
    if (batch.count > 0 || encoder.ending(batch) !== null) {
      const out = encoder.encode(batch, 1);
      batches.push(textsOf(out).map((message, index) => ({ ...message, topic: destinationAt(out, index) })));
      const ofNoTable = textsOf(out).flatMap(({ id }, index) => (/\/(begin|end)\//.test(id) ? [tableAt(out, index)] : []));
      expect(ofNoTable.every((label) => label === '')).toBe(true);
    }
    batch = new BatchWriter(registry, () => undefined, 64);
  }
  return batches;
}

/** One transaction: its rows, by table, and its commit. */
function rows(of: Transaction, tables: readonly number[]): Happening[] {
  return [...tables.map((table, ordinal) => ({ kind: 'row', transaction: of, table, ordinal }) as const), { kind: 'checkpoint' }];
}

const block = ({ value }: Sent): unknown => (JSON.parse(value ?? 'null') as { transaction?: unknown } | null)?.transaction;

describe('transaction metadata', () => {
  const [one, two] = [transaction(11), transaction(12)];

  it('is BEGIN, numbered changes and END, the tables as Java orders them', () => {
    const [messages = []] = sent([...rows(one, [1, 0, 0]), ...rows(two, [0])]);
    expect(messages.map(({ topic, key, value, id }) => [topic, key, topic === 'g.transaction' ? value : '', id])).toEqual([
      [
        'g.transaction',
        '{"id":"11:1100"}',
        '{"status":"BEGIN","id":"11:1100","event_count":null,"data_collections":null,"ts_ms":11000}',
        'g/7298/11/begin/0',
      ],
      ['public.child', '{"id":0}', '', 'g/7298/11/0/0'],
      ['public.pkc', '{"id":1}', '', 'g/7298/11/1/0'],
      ['public.pkc', '{"id":2}', '', 'g/7298/11/2/0'],
      [
        'g.transaction',
        '{"id":"11:1199"}',
        '{"status":"END","id":"11:1199","event_count":3,"data_collections":[{"data_collection":"public.pkc","event_count":2},{"data_collection":"public.child","event_count":1}],"ts_ms":11000}',
        'g/7298/11/end/0',
      ],
      [
        'g.transaction',
        '{"id":"12:1200"}',
        '{"status":"BEGIN","id":"12:1200","event_count":null,"data_collections":null,"ts_ms":12000}',
        'g/7298/12/begin/0',
      ],
      ['public.pkc', '{"id":0}', '', 'g/7298/12/0/0'],
      [
        'g.transaction',
        '{"id":"12:1299"}',
        '{"status":"END","id":"12:1299","event_count":1,"data_collections":[{"data_collection":"public.pkc","event_count":1}],"ts_ms":12000}',
        'g/7298/12/end/0',
      ],
    ]);
    expect(messages.map(block).filter((each) => each !== undefined)).toEqual([
      { id: '11:11000', total_order: 1, data_collection_order: 1 },
      { id: '11:11001', total_order: 2, data_collection_order: 1 },
      { id: '11:11002', total_order: 3, data_collection_order: 2 },
      { id: '12:12000', total_order: 1, data_collection_order: 1 },
    ]);
  });

  it('is the same however batches are cut, and no checkpoint is saved before the END in front of it', () => {
    const log = fc
      .array(fc.tuple(fc.array(fc.nat(1), { minLength: 1, maxLength: 5 }), fc.boolean()), { minLength: 1, maxLength: 5 })
      .map((list) =>
        list.flatMap(([tables, isFollowed], index): Happening[] => [
          ...rows(transaction(11 + index), tables),
          ...(isFollowed ? [{ kind: 'message', transaction: { id: `7298/m${index}`, commitMicros: 1 } } as const] : []),
        ]),
      );
    const cuts = fc.array(fc.tuple(fc.nat(40), fc.constantFrom('cut', 'copied', 'both')), { maxLength: 12 });
    fc.assert(
      fc.property(log, cuts, (happenings, places) => {
        const whole = sent(happenings).flat();
        const parted = [...happenings];
        for (const [at, what] of places.sort((a, b) => b[0] - a[0])) {
          // A row of a copy comes in a batch of its own, between two of the log.
          const inserted: Happening[] = what === 'cut' ? [{ kind: 'cut' }] : [{ kind: 'cut' }, { kind: 'copied' }, { kind: 'cut' }];
          parted.splice(Math.min(at, parted.length), 0, ...inserted);
        }
        const batches = sent(parted);
        const messages = batches.flat().filter(({ id }) => !id.startsWith('g/snapshot/'));
        expect(messages.map(({ topic, key, value, id }) => [topic, key, value, id])).toEqual(
          whole.map(({ topic, key, value, id }) => [topic, key, value, id]),
        );
        const copied = batches.flat().filter(({ id }) => id.startsWith('g/snapshot/'));
        expect(copied.map(block).every((each) => each === null)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it('ends with an empty batch whose checkpoint is behind the last record, and with nothing before it', () => {
    const [row] = rows(one, [0]) as [Happening];
    expect(sent([row, { kind: 'cut' }, { kind: 'cut' }, { kind: 'checkpoint' }]).map((batch) => batch.map(({ id }) => id))).toEqual([
      ['g/7298/11/begin/0', 'g/7298/11/0/0'],
      ['g/7298/11/end/0'],
    ]);
  });

  it('stands around what is said between parts of a batch: of a shape, inside the transaction of its first row (I4)', () => {
    const format = debezium.create({ ...DEBEZIUM_DEFAULTS, provideTransactionMetadata: true }, CONTEXT);
    const encoder = new BatchEncoder(format, tableLabel, unboundedMemory());
    const batch = new BatchWriter(new TableRegistry(), () => undefined, 64);
    for (const happening of [...rows(one, [0]), ...rows(two, [1, 1])]) add(batch, happening);
    const parts = [
      [0, 0],
      [0, 1],
      [1, 3],
    ].map(([from, to]) => textsOf(encoder.encode(batch, 1, from, to)).map(({ id }) => id));
    expect(parts).toEqual([
      ['g/7298/11/begin/0'],
      ['g/7298/11/0/0', 'g/7298/11/end/0', 'g/7298/12/begin/0'],
      ['g/7298/12/0/0', 'g/7298/12/1/0', 'g/7298/12/end/0'],
    ]);
  });

  it('counts no operation that is left out, as Debezium does, and no message outside transactions', () => {
    const happenings: Happening[] = [
      { kind: 'row', transaction: one, table: 0, ordinal: 0, op: 'update' },
      { kind: 'checkpoint' },
      { kind: 'message', transaction: { id: '7298/m', commitMicros: 1 } },
    ];
    const [messages = []] = sent(happenings, { skippedOperations: ['u'] });
    expect(messages.map(({ id }) => id)).toEqual(['g/7298/11/begin/0', 'g/7298/11/end/0', 'g/7298/m/0/0']);
    expect(messages[1]?.value).toContain('"event_count":0,"data_collections":[]');
    expect(block(messages[2] as Sent)).toBeNull();
  });

  it('counts messages of a transaction under a name of their own', () => {
    const [messages = []] = sent([{ kind: 'message', transaction: one }, { kind: 'checkpoint' }]);
    expect(messages[2]?.value).toContain('"data_collections":[{"data_collection":"LOGICAL_DECODING_MESSAGE","event_count":1}]');
  });

  it('has its schemas inline, as Connect writes them', () => {
    const [messages = []] = sent(rows(one, [0]), { schemasEnable: true });
    expect(messages[0]?.key).toBe(
      '{"schema":{"type":"struct","fields":[{"type":"string","optional":false,"field":"id"}],"optional":false,"name":"io.debezium.connector.common.TransactionMetadataKey","version":1},"payload":{"id":"11:1100"}}',
    );
    expect(messages[2]?.value).toBe(
      '{"schema":{"type":"struct","fields":[{"type":"string","optional":false,"field":"status"},{"type":"string","optional":false,"field":"id"},{"type":"int64","optional":true,"field":"event_count"},{"type":"array","items":{"type":"struct","fields":[{"type":"string","optional":false,"field":"data_collection"},{"type":"int64","optional":false,"field":"event_count"}],"optional":true,"name":"event.collection","version":1},"optional":true,"field":"data_collections"},{"type":"int64","optional":false,"field":"ts_ms"}],"optional":false,"name":"io.debezium.connector.common.TransactionMetadataValue","version":1},"payload":{"status":"END","id":"11:1199","event_count":1,"data_collections":[{"data_collection":"public.pkc","event_count":1}],"ts_ms":11000}}',
    );
    expect(messages[1]?.value).toContain('"transaction":{"id":"11:11000","total_order":1,"data_collection_order":1},"op":"c"');
  });
});
