import { describe, expect, it } from 'vitest';
import { MemoryBudget, type MemoryShare, shareMemory } from '../../../src/pipeline/memory.ts';
import type { MessageWriter } from '../../../src/record/messages.ts';

const MIB = 2 ** 20;
const never = (): void => {
  throw new Error('woken');
};

/** Connectors of a budget of `mib`, each with batches of 1 MiB. */
function shares(mib: number | null, count: number): MemoryShare[] {
  return [...shareMemory(mib === null ? null : mib * MIB, Array(count).fill({ batchBytes: MIB, inFlightBytes: 64 * MIB }))];
}

/** A batch that takes at least so much, held. */
function batch(share: MemoryShare | undefined, bytes = MIB): MessageWriter {
  const writer = (share as MemoryShare).take(bytes);
  writer.reserve(bytes);
  (share as MemoryShare).hold(writer);
  return writer;
}

/** Takes batches for as long as it may. */
function fill(share: MemoryShare | undefined, wake = (): void => undefined): MessageWriter[] {
  const writers: MessageWriter[] = [];
  while ((share as MemoryShare).mayPull(wake)) writers.push(batch(share));
  return writers;
}

const held = (all: readonly MemoryShare[]): number => all.reduce((sum, share) => sum + share.held, 0);
const queued = (all: readonly MemoryShare[]): number => all.reduce((sum, share) => sum + share.queueBytes, 0);

describe('the budget of the process (I9)', () => {
  it('without one each connector has what its own configuration says', () => {
    const [one, two] = shares(null, 2);
    for (let index = 0; index < 1000; index++) batch(one);
    expect([one?.queueBytes, one?.mayPull(never), two?.mayPull(never)]).toEqual([16 * MIB, true, true]);
  });

  it('queues have an eighth of it, and at least one batch each', () => {
    expect(shares(64, 2).map(({ queueBytes }) => queueBytes / MIB)).toEqual([4, 4]);
    expect(shares(8, 4).map(({ queueBytes }) => queueBytes / MIB)).toEqual([1, 1, 1, 1]);
  });

  it('one connector alone has all of it, and at the most one batch more', () => {
    const all = shares(16, 1);
    fill(all[0]);
    expect(held(all) + queued(all)).toBeGreaterThanOrEqual(16 * MIB);
    expect(held(all) + queued(all)).toBeLessThanOrEqual(16 * MIB + (all[0] as MemoryShare).lastBytes);
  });

  it('a part of it is kept for each connector, whatever another one holds', () => {
    const all = shares(64, 2);
    fill(all[0]);
    const kept = fill(all[1]);
    // 56 MiB beside the queues: half of that is divided by two.
    expect(kept.length).toBe(14);
    expect(held(all) + queued(all)).toBeLessThanOrEqual(64 * MIB + 2 * (all[0] as MemoryShare).lastBytes);
  });

  it('a connector that holds nothing may always have one batch, however large the others are', () => {
    const all = shares(8, 4);
    for (const share of all) {
      expect(share.mayPull(never)).toBe(true);
      batch(share, 100 * MIB);
      expect(share.mayPull(never)).toBe(false);
    }
  });

  it('what becomes free goes to whoever has waited longest, a batch at a time', () => {
    const all = shares(32, 3);
    const order: number[] = [];
    const writers = all.map(() => [] as MessageWriter[]);
    // The first takes all that is not the others' own; then all three want more.
    const asks = all.map((share, index) => () => {
      order.push(index);
      expect(share.mayPull(never)).toBe(true);
      writers[index]?.push(batch(share));
    });
    all.forEach((share, index) => {
      writers[index]?.push(...fill(share, asks[index]));
    });
    const before = held(all);
    for (let round = 0; round < 9; round++) {
      all[0]?.release(writers[0]?.shift() as MessageWriter);
      for (const [index, share] of all.entries()) share.mayPull(asks[index] as () => void);
      expect(held(all)).toBeLessThanOrEqual(before);
    }
    for (const index of [1, 2]) expect(order.filter((who) => who === index).length).toBeGreaterThanOrEqual(2);
    expect(order.slice(0, 3)).toEqual([0, 1, 2]);
  });

  it('nobody starves: with sinks that are slow, quick and dead, and batches of all sizes, everyone comes on and the bound holds', {
    timeout: 60_000,
  }, () => {
    let seed = 7;
    const random = (): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
      return seed / 0x7fffffff;
    };
    const all = shares(24, 4);
    const writers = all.map(() => [] as MessageWriter[]);
    const woken = all.map(() => true);
    const done = all.map(() => 0);
    const largest = all.map(() => 0);
    const speed = [0, 0.05, 0.5, 0.95];
    for (let step = 0; step < 40_000; step++) {
      for (const [index, share] of all.entries()) {
        // As the pipeline does: it looks again when something of its own has left, or when it was woken.
        while (woken[index] === true && share.mayPull(() => (woken[index] = true))) {
          const bytes = Math.ceil(random() * (random() < 0.05 ? 3 : 1) * MIB);
          writers[index]?.push(batch(share, bytes));
          largest[index] = Math.max(largest[index] as number, share.lastBytes);
          if (random() < 0.3) break;
          woken[index] = share.hasTurn || random() < 0.7;
        }
        expect(held(all) + queued(all)).toBeLessThanOrEqual(24 * MIB + largest.reduce((sum, bytes) => sum + bytes, 0));
        const list = writers[index] as MessageWriter[];
        if (list.length === 0) woken[index] = true;
        else if (random() < (speed[index] as number)) {
          share.release(list.splice(Math.floor(random() * list.length), 1)[0] as MessageWriter);
          done[index]!++;
          woken[index] = true;
        }
      }
    }
    expect(done[0]).toBe(0);
    for (const index of [1, 2, 3]) expect(done[index]).toBeGreaterThan(40_000 * (speed[index] as number) * 0.8);
  });

  it('memory that is kept for later is within the budget, and is given up when it is needed', () => {
    const all = shares(16, 2);
    const [one, two] = all as [MemoryShare, MemoryShare];
    const small = fill(one);
    for (const writer of small) one.release(writer);
    expect(small).toContain(one.take(MIB));
    // Other sizes: nothing of the pool fits, and it would be beyond the budget.
    for (let index = 0; index < 2; index++) batch(two, 8 * MIB);
    expect(small).not.toContain(one.take(MIB));
  });

  it('a batch in a large buffer counts as a whole: a small one does not take it', () => {
    const [one] = shares(64, 1) as [MemoryShare];
    const large = batch(one, 7 * MIB);
    one.release(large);
    expect(one.take(1000)).not.toBe(large);
    expect(one.take(4 * MIB)).toBe(large);
  });

  it('a batch that is a little larger than the last one takes its memory all the same', () => {
    const [one] = shares(64, 1) as [MemoryShare];
    const last = one.take(1_588_301);
    one.hold(last);
    one.release(last);
    expect(one.take(1_599_999)).toBe(last);
  });

  it('what a pipeline that has ended left behind is not counted, nor taken back later', () => {
    const all = shares(8, 2);
    const [one, two] = all as [MemoryShare, MemoryShare];
    const left = fill(one);
    let woken = 0;
    fill(two, () => woken++);
    one.releaseAll();
    expect([one.held, woken]).toEqual([0, 1]);
    for (const writer of left) one.release(writer);
    expect(one.held).toBe(0);
    expect(left).not.toContain(one.take(MIB));
  });

  it('a connector that comes while the others run has its part, and one that goes gives everything back', () => {
    const need = { batchBytes: MIB, inFlightBytes: 64 * MIB };
    const budget = new MemoryBudget(64 * MIB);
    const [first] = budget.join([need]) as [MemoryShare];
    fill(first);
    const [second] = budget.join([need]) as [MemoryShare];
    // The first one holds all that there was: what is kept for the second one is its own all the same.
    expect(fill(second).length).toBeGreaterThanOrEqual(12);
    let woken = 0;
    const wake = (): void => void woken++;
    expect(first.mayPull(wake)).toBe(false);
    budget.remove(second);
    expect([second.held, first.queueBytes + first.held <= 64 * MIB + 2 * first.lastBytes]).toEqual([0, true]);
    first.releaseAll();
    const again = fill(first);
    expect(again.length).toBeGreaterThanOrEqual(56);
  });
});
