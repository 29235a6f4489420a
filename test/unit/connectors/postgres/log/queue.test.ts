import { describe, expect, test } from 'vitest';
import { LogQueue } from '../../../../../connectors/postgres/log/queue.ts';
import { OP } from '../../../../../src/record/batch.ts';
import { TableRegistry } from '../../../../../src/record/table.ts';
import { FakeRuntime, settle } from '../../../../support/fake-runtime.ts';

const TRANSACTION = { id: 't', commitMicros: 1 };

interface Bench {
  readonly queue: LogQueue;
  readonly runtime: FakeRuntime;
  readonly calls: string[];
  add(count?: number, bytes?: number): void;
  mark(lo: number): void;
}

function bench(limits: { maxRecords?: number; maxBytes?: number; maxBufferedBytes?: number; start?: bigint } = {}): Bench {
  const runtime = new FakeRuntime();
  const tables = new TableRegistry();
  const table = tables.version({ kind: 'table', catalog: 'c', schema: 's', name: 't', columns: [], key: [] });
  const calls: string[] = [];
  const queue = new LogQueue({
    runtime,
    tables,
    maxRecords: 1000,
    maxBytes: 1 << 20,
    maxBufferedBytes: 1 << 20,
    start: 0n,
    ...limits,
    position: ({ lo }) => ({ lsn: String(lo) }),
    pause: () => calls.push('pause'),
    resume: () => calls.push('resume'),
  });
  return {
    queue,
    runtime,
    calls,
    add(count = 1, bytes = 10) {
      for (let i = 0; i < count; i++) {
        queue.writer.append(Buffer.alloc(bytes));
        queue.writer.record(OP.create, table, TRANSACTION, 0);
        queue.recordAdded();
      }
    },
    mark: (lo) => queue.checkpointAt(0, lo, 0, lo, 0),
  };
}

/** Whether a promise is settled already. */
async function isPending(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol('pending');
  await settle();
  return (await Promise.race([promise, Promise.resolve(pending)])) === pending;
}

test('a waiting reader gets what is there when the piece of data is done, not before', async () => {
  const { queue, add } = bench();
  const next = queue.next();
  add(3);
  expect(await isPending(next)).toBe(true);
  queue.flush(false);
  expect((await next)?.count).toBe(3);
});

test('what came while nobody read is handed over at once, in order', async () => {
  const { queue, add } = bench({ maxRecords: 2 });
  add(5);
  queue.flush(false);
  expect([(await queue.next())?.count, (await queue.next())?.count, (await queue.next())?.count]).toEqual([2, 2, 1]);
});

test('a batch is closed at the limit of bytes', async () => {
  const { queue, add } = bench({ maxBytes: 1000 });
  add(3, 600);
  expect([(await queue.next())?.count, (await queue.next())?.count]).toEqual([2, 1]);
});

describe('checkpoints', () => {
  test('one without records waits for a second, and the newest counts', async () => {
    const { queue, mark, runtime } = bench();
    const next = queue.next();
    mark(5);
    queue.flush(false);
    mark(9);
    queue.flush(false);
    await runtime.advance(999);
    expect(await isPending(next)).toBe(true);
    await runtime.advance(1);
    const batch = await next;
    expect([batch?.count, batch?.checkpoint]).toEqual([0, { lsn: '9' }]);
    expect(runtime.timers).toBe(0);
  });

  test('one that the server waits for goes at once', async () => {
    const { queue, mark } = bench();
    mark(5);
    queue.flush(true);
    expect((await queue.next())?.checkpoint).toEqual({ lsn: '5' });
  });

  test('I6: one that is not ahead is none', async () => {
    const { queue, mark } = bench();
    mark(5);
    queue.flush(true);
    await queue.next();
    mark(5);
    mark(4);
    const next = queue.next();
    queue.flush(true);
    expect(await isPending(next)).toBe(true);
    queue.close();
  });

  test('each is in one batch only, and counts the records before it', async () => {
    const { queue, add, mark } = bench({ maxRecords: 3 });
    add(2);
    mark(5);
    add(3);
    const first = await queue.next();
    expect([first?.count, first?.checkpoint, first?.checkpointRecords]).toEqual([3, { lsn: '5' }, 2]);
    expect((await queue.next())?.checkpoint).toBeNull();
  });
});

describe('memory', () => {
  test('I9: above the bound the socket is paused, below half of it resumed', async () => {
    // What a batch has in memory counts, and that is about 89 kB, however little is in it.
    const { queue, add, calls } = bench({ maxRecords: 1, maxBufferedBytes: 300_000 });
    add(3, 300);
    expect(calls).toEqual([]);
    add(1, 300);
    expect(calls).toEqual(['pause']);
    await queue.next();
    await queue.next();
    expect(calls).toEqual(['pause']);
    await queue.next();
    expect(calls).toEqual(['pause', 'resume']);
  });

  test('I9: what is kept for later has its place within the bound, but for one', async () => {
    const { queue, add } = bench({ maxRecords: 1, maxBufferedBytes: 200_000 });
    add(4);
    const batches = [await queue.next(), await queue.next(), await queue.next(), await queue.next()];
    for (const batch of batches) batch?.release();
    add(4);
    const later = [await queue.next(), await queue.next(), await queue.next(), await queue.next()];
    expect(batches.filter((batch) => later.includes(batch))).toHaveLength(1);
  });

  test('released batches are filled again; one that is still read is not', async () => {
    const { queue, add } = bench({ maxRecords: 1 });
    add(2);
    const first = await queue.next();
    const second = await queue.next();
    first?.release();
    first?.release();
    add(3);
    const later = [await queue.next(), await queue.next(), await queue.next()];
    expect(later).toContain(first);
    expect(later).not.toContain(second);
    expect(new Set(later).size).toBe(3);
  });

  test('the memory of one huge row is not kept', async () => {
    const { queue, add } = bench({ maxBytes: 1000 });
    add(1, 1 << 20);
    const huge = await queue.next();
    huge?.release();
    add(10, 600);
    for (let i = 0; i < 5; i++) expect(await queue.next()).not.toBe(huge);
  });
});

describe('the end', () => {
  test('of the log: what is there is handed over, then null for ever', async () => {
    const { queue, add, mark } = bench();
    add(1);
    mark(7);
    queue.end();
    expect((await queue.next())?.checkpoint).toEqual({ lsn: '7' });
    expect(await queue.next()).toBeNull();
    expect(await queue.next()).toBeNull();
  });

  test('of an idle log: a waiting reader is told', async () => {
    const { queue } = bench();
    const next = queue.next();
    queue.end();
    expect(await next).toBeNull();
  });

  test('by an error: nothing more is handed over, not even what is there', async () => {
    const { queue, add, mark } = bench({ maxRecords: 1 });
    add(1);
    mark(7);
    const error = new Error('gone');
    queue.fail(error);
    queue.fail(new Error('later'));
    await expect(queue.next()).rejects.toBe(error);
    expect(queue.over).toBe(true);
  });

  test('by closing: no timer stays', async () => {
    const { queue, mark, runtime } = bench();
    const next = queue.next();
    mark(7);
    queue.flush(false);
    expect(runtime.timers).toBe(1);
    queue.close();
    expect(await next).toBeNull();
    expect(runtime.timers).toBe(0);
  });
});

test('trap: a keepalive while the server still decodes from before the start is no checkpoint: the offset would go back (I6)', async () => {
  const { queue, mark } = bench({ start: 50n });
  const next = queue.next();
  mark(40);
  queue.flush(true);
  expect(await isPending(next)).toBe(true);
  mark(50);
  queue.flush(true);
  expect(await isPending(next)).toBe(true);
  mark(60);
  queue.flush(true);
  expect((await next)?.checkpoint).toEqual({ lsn: '60' });
});
