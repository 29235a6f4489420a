/** Whoever looks at changes as they pass sees what was asked for, and holds nothing up however slow (I9). */
import { describe, expect, it } from 'vitest';
import type { SluiceError } from '../../../src/plugin/error.ts';
import { BatchWriter, NULL, OP, UNAVAILABLE } from '../../../src/record/batch.ts';
import { TableRegistry, type TableShape } from '../../../src/record/table.ts';
import type { TailWish } from '../../../src/tail/filter.ts';
import type { TailLine } from '../../../src/tail/render.ts';
import { TailPoint, TailPoints, type TailWatch } from '../../../src/tail/tail.ts';
import { messageBatch } from '../../support/message-batches.ts';

const column = (name: string, type: 'int32' | 'text' | 'bytes') => ({ name, type, typeName: type, scale: null, precision: null });
const shape = (name: string): TableShape => ({
  kind: 'table',
  catalog: 'shop',
  schema: 'public',
  name,
  columns: [column('id', 'int32'), column('__proto__', 'text'), column('raw', 'bytes')],
  key: [0],
});

/** Rows `id, text`, the last column not sent. */
function batchOf(...rows: readonly (readonly [table: string, op: number, id: number, text: string | null])[]): BatchWriter {
  const batch = new BatchWriter(new TableRegistry(), () => undefined, 64);
  const transaction = { id: '1-2', commitMicros: 1_000_000 };
  for (const [index, [table, op, id, text]] of rows.entries()) {
    batch.record(op as 0, batch.table(shape(table)), transaction, index);
    batch.image('after');
    for (const value of [String(id), text]) {
      if (value === null) batch.mark(NULL);
      else {
        const start = batch.append(Buffer.from(value));
        batch.cell(start, batch.arenaLength);
      }
    }
    if (op === OP.create) {
      const start = batch.append(Buffer.from([0xff, 0]));
      batch.cell(start, batch.arenaLength);
    } else batch.mark(UNAVAILABLE);
  }
  return batch;
}

const EVERYTHING: TailWish = { stages: ['read'], tables: [], operations: [], where: [] };
const linesOf = async (watch: TailWatch): Promise<TailLine[]> => {
  watch.end();
  const lines: TailLine[] = [];
  for await (const text of watch) for (const line of text.trimEnd().split('\n')) lines.push(JSON.parse(line) as TailLine);
  return lines;
};
const codeOf = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    return (error as SluiceError).code;
  }
  return '';
};

describe('changes as they pass', () => {
  it('are shown with every value, whatever its column is called', async () => {
    const point = new TailPoint();
    const watch = point.watch(EVERYTHING, null);
    point.read(batchOf(['orders', OP.create, 7, 'a\nb'], ['orders', OP.update, 8, null]));
    point.mapped(batchOf(['orders', OP.create, 9, 'not asked for']));
    const [first, second, ...more] = (await linesOf(watch)) as unknown as [{ after: object }, { after: object }];
    expect(more).toEqual([]);
    expect(first).toMatchObject({ stage: 'read', operation: 'create', table: 'public.orders', transaction: '1-2', ordinal: 0, before: null });
    expect(Object.entries(first.after)).toEqual([
      ['id', '7'],
      ['__proto__', 'a\nb'],
      ['raw', '/wA='],
    ]);
    expect(Object.entries(second.after)).toEqual([
      ['id', '8'],
      ['__proto__', null],
      ['raw', { unavailable: true }],
    ]);
  });

  it('are chosen by table, operation and value', async () => {
    const point = new TailPoint();
    const rows = batchOf(['orders', OP.create, 7, 'x'], ['orders', OP.update, 7, 'x'], ['orders', OP.update, 77, 'x'], ['notes', OP.update, 7, 'x']);
    const watch = point.watch({ stages: ['read', 'mapped'], tables: ['public.ord*'], operations: ['update'], where: ['id=7'] }, null);
    point.read(rows);
    point.mapped(rows);
    expect(await linesOf(watch)).toMatchObject([
      { stage: 'read', table: 'public.orders', operation: 'update', after: { id: '7' } },
      { stage: 'mapped', table: 'public.orders', operation: 'update', after: { id: '7' } },
    ]);
  });

  it('are messages behind the format: text, or base64 where they are none', async () => {
    const point = new TailPoint();
    const messages = messageBatch([
      { id: 'shop/1-2/0', destination: 'shop.public.orders', table: 'public.orders', key: 'k', value: 'v', headers: [['h', '1']] },
      { id: 'shop/1-2/1', destination: 'shop.heartbeat', value: null },
    ]);
    const watch = point.watch({ ...EVERYTHING, stages: ['encoded', 'durable'] }, null);
    point.encoded(messages);
    point.isBinary = true;
    point.durable(messages);
    expect(await linesOf(watch)).toMatchObject([
      { stage: 'encoded', operation: 'create', destination: 'shop.public.orders', id: 'shop/1-2/0', key: 'k', value: 'v', headers: { h: '1' } },
      { stage: 'encoded', operation: null, table: '', key: null, value: null },
      { stage: 'durable', key: 'aw==', value: 'dg==', isBinary: true },
      { stage: 'durable', value: null },
    ]);
  });

  it('that come faster than they are taken are counted, not kept', async () => {
    const point = new TailPoint();
    const watch = point.watch(EVERYTHING, null);
    const long = 'x'.repeat(10_000);
    for (let batch = 0; batch < 100; batch++) point.read(batchOf(...Array.from({ length: 10 }, () => ['orders', OP.create, 1, long] as const)));
    const lines = await linesOf(watch);
    const missed = lines.flatMap((line) => ('missed' in line ? [line.missed] : []));
    expect(missed).toHaveLength(1);
    expect(lines.length - 1 + (missed[0] as number)).toBe(1000);
    expect(lines.length).toBeLessThan(250);
  });

  it('end with the number asked for, when nobody looks any more, and with the connector', async () => {
    const points = new TailPoints();
    const point = points.of('shop');
    const limited = point.watch(EVERYTHING, 2);
    point.read(batchOf(['orders', OP.create, 1, 'a'], ['orders', OP.create, 2, 'a'], ['orders', OP.create, 3, 'a']));
    expect(await linesOf(limited)).toHaveLength(2);
    const left = point.watch(EVERYTHING, null);
    const waiting = left.next();
    await left.return();
    expect(await waiting).toEqual({ done: true, value: undefined });
    const last = point.watch(EVERYTHING, null).next();
    points.keep(['other']);
    expect(await last).toEqual({ done: true, value: undefined });
    expect(points.of('shop')).not.toBe(point);
  });

  it('a value that is very long is cut, and that is said', async () => {
    const point = new TailPoint();
    const watch = point.watch(EVERYTHING, null);
    point.read(batchOf(['orders', OP.create, 1, 'x'.repeat(20_000)]));
    const [line] = (await linesOf(watch)) as unknown as [{ after: Record<string, string> }];
    expect(Object.values(line.after)[1]).toMatch(/^x{16384}… \(20000 bytes\)$/);
  });

  it('a wish that is not understood is refused', () => {
    const point = new TailPoint();
    for (const wish of [
      { stages: ['sent'] },
      { operations: ['insert'] },
      { tables: ['orders'] },
      { where: ['id'] },
      { stages: ['durable'], where: ['id=1'] },
    ])
      expect(codeOf(() => point.watch({ ...EVERYTHING, ...wish }, null))).toBe('SLUICE_TAIL_FILTER');
  });
});
