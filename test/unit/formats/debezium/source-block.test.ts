import { describe, expect, it } from 'vitest';
import { debezium } from '../../../../src/formats/debezium/index.ts';
import { BatchWriter, NULL, OP, SNAPSHOT_MARK } from '../../../../src/record/batch.ts';
import { RecordCursor } from '../../../../src/record/cursor.ts';
import { MessageWriter } from '../../../../src/record/messages.ts';
import { TableRegistry } from '../../../../src/record/table.ts';
import {
  batchOf,
  CONTEXT,
  column,
  DEBEZIUM_DEFAULTS,
  encodeBatch,
  type RecordSpec,
  TRANSACTION,
  tableShape,
  textsOf,
} from '../../../support/encoded.ts';

const table = tableShape([column('id', 'int64')]);
const read = (id: string, lsn: string): RecordSpec => ({
  op: 'read',
  table,
  after: [id],
  origin: [`[null,"${lsn}"]`, NULL, lsn, NULL, NULL, NULL],
});

function lsns(values: readonly (string | null)[]): unknown[] {
  return values.map((value) => {
    const { source } = JSON.parse(value ?? '') as { source: { lsn: number; sequence: string } };
    expect(source.sequence).toBe(`[null,"${source.lsn}"]`);
    return source.lsn;
  });
}

describe('the source block of copied rows, which is written once for a batch', () => {
  it('is each row’s own where the rows of a batch come from several places', () => {
    const format = debezium.create(DEBEZIUM_DEFAULTS, CONTEXT);
    const batch = batchOf([read('1', '11'), read('2', '22'), read('3', '11')]);
    expect(lsns(textsOf(encodeBatch(format, batch)).map(({ value }) => value))).toEqual([11, 22, 11]);
  });

  it('is not that of the batch before it, whose memory the batch has, in the same transaction', () => {
    const format = debezium.create(DEBEZIUM_DEFAULTS, CONTEXT);
    const registry = new TableRegistry();
    const encoder = format.prepare(registry.version(table));
    const of = (lsn: string): unknown[] => {
      const cursor = new RecordCursor();
      const batch = batchOf([read('1', lsn), read('2', lsn)], registry);
      const out = new MessageWriter(16);
      format.begin(0);
      cursor.open(batch);
      for (let index = 0; index < batch.count; index++) {
        cursor.move(index);
        encoder.encode(cursor, out);
      }
      return lsns(textsOf(out).map(({ value }) => value));
    };
    expect([of('11'), of('22')]).toEqual([
      [11, 11],
      [22, 22],
    ]);
  });

  it('is the same bytes as one by one, where all rows share the ranges of their origin', () => {
    const batch = new BatchWriter(new TableRegistry(), () => undefined, 64);
    const sequence = batch.append(Buffer.from('[null,"24023128"]'));
    for (const id of ['1', '22', '333']) {
      batch.record(OP.read, batch.table(table), TRANSACTION, batch.count);
      batch.snapshot(SNAPSHOT_MARK.row);
      batch.image('after');
      const start = batch.append(Buffer.from(id));
      batch.cell(start, start + id.length);
      batch.image('origin');
      batch.cell(sequence, sequence + 17);
      batch.mark(NULL);
      batch.cell(sequence + 7, sequence + 15);
      for (let rest = 0; rest < 3; rest++) batch.mark(NULL);
    }
    const shared = textsOf(encodeBatch(debezium.create(DEBEZIUM_DEFAULTS, CONTEXT), batch));
    const single = ['1', '22', '333'].map((id, ordinal) => {
      const alone = batchOf([{ ...read(id, '24023128'), ordinal }]);
      return textsOf(encodeBatch(debezium.create(DEBEZIUM_DEFAULTS, CONTEXT), alone))[0];
    });
    expect(shared).toEqual(single);
  });
});
