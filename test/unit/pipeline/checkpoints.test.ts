import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CheckpointTracker } from '../../../src/pipeline/checkpoints.ts';
import type { Place } from '../../../src/record/position.ts';

const position = (lsn: number): { lsn: string } => ({ lsn: String(lsn) });
const place = (sequence: number): { sequence: string } => ({ sequence: String(sequence) });

describe('CheckpointTracker', () => {
  it('hands out nothing while an earlier batch is not durable (I5: contiguous prefix only)', () => {
    const tracker = new CheckpointTracker(null);
    const first = tracker.begin(position(1), true, null);
    const second = tracker.begin(position(2), true, null);
    tracker.finish(second, place(20));
    expect(tracker.take()).toBeNull();
    tracker.finish(first, place(10));
    expect(tracker.take()).toEqual({ position: position(2), place: place(20), progress: null, shapes: null });
    expect(tracker.take()).toBeNull();
  });

  it('saves the place before a batch that ends inside a transaction, so that its torn part is read back (algorithms §2)', () => {
    const tracker = new CheckpointTracker(null);
    tracker.finish(tracker.begin(position(1), true, null), place(10));
    tracker.finish(tracker.begin(position(2), false, null), place(20));
    expect(tracker.take()).toEqual({ position: position(2), place: place(10), progress: null, shapes: null });
    tracker.finish(tracker.begin(null, false, null), place(30));
    expect(tracker.take()).toBeNull();
    tracker.finish(tracker.begin(position(3), true, null), place(40));
    expect(tracker.take()).toEqual({ position: position(3), place: place(40), progress: null, shapes: null });
  });

  it('says that nothing moved where batches wrote nothing', () => {
    const tracker = new CheckpointTracker(null);
    tracker.finish(tracker.begin(position(9), true, null), null);
    expect(tracker.take()).toEqual({ position: position(9), place: null, progress: null, shapes: null });
  });

  it('says nothing moved where everything is held back, and a later value wins over one that was held back', () => {
    const tracker = new CheckpointTracker(null);
    tracker.finish(tracker.begin(position(1), false, null), { a: '1', b: '1' });
    expect(tracker.take()).toEqual({ position: position(1), place: null, progress: null, shapes: null });
    tracker.finish(tracker.begin(null, false, null), { a: '2' });
    tracker.finish(tracker.begin(position(3), false, null), { a: '3', c: '3' });
    expect(tracker.take()).toEqual({ position: position(3), place: { a: '2', b: '1' }, progress: null, shapes: null });
    tracker.finish(tracker.begin(position(4), true, null), null);
    expect(tracker.take()).toEqual({ position: position(4), place: { a: '3', c: '3' }, progress: null, shapes: null });
  });

  it('what is known of a copy waits for every batch before it, and is saved with the position that is known (I5)', () => {
    const tracker = new CheckpointTracker(position(1));
    const before = tracker.begin(null, false, null);
    tracker.finish(tracker.begin(null, false, { t: 'a' }), place(20));
    expect(tracker.take()).toBeNull();
    tracker.finish(before, place(10));
    // The place is not that of the position: what stands beyond it is read back.
    expect(tracker.take()).toEqual({ position: position(1), place: null, progress: { t: 'a' }, shapes: null });
    tracker.finish(tracker.begin(null, false, { t: null, u: 'b' }), null);
    tracker.finish(tracker.begin(position(2), true, { u: 'c' }), null);
    expect(tracker.take()).toEqual({ position: position(2), place: place(20), progress: { t: null, u: 'c' }, shapes: null });
    expect(tracker.take()).toBeNull();
  });

  it('for any order of finishing and taking, the entries of all checkpoints together are what a whole copy at each would give (I4, I5)', () => {
    const batch = fc.record({
      checkpoint: fc.boolean(),
      atEnd: fc.boolean(),
      moved: fc.option(fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.option(fc.nat({ max: 99 }).map(String)))),
    });
    const picks = fc.infiniteStream(fc.record({ which: fc.nat(), take: fc.boolean() }));
    fc.assert(
      fc.property(fc.array(batch, { maxLength: 40 }), picks, (batches, random) => {
        const tracker = new CheckpointTracker(null);
        const open = batches.map(({ checkpoint, atEnd, moved }, index) => ({
          index,
          moved,
          entry: tracker.begin(checkpoint ? position(index) : null, atEnd, null),
        }));
        const done = new Set<number>();
        let stored: Place = {};
        let newest: object | null = null;
        while (open.length > 0) {
          const { which, take } = random.next().value as { which: number; take: boolean };
          const [{ index, moved, entry }] = open.splice(which % open.length, 1) as [(typeof open)[number]];
          tracker.finish(entry, moved);
          done.add(index);
          if (!take && open.length > 0) continue;
          const taken = tracker.take();
          stored = { ...stored, ...taken?.place };
          newest = taken?.position ?? newest;
          // The naive way: the whole place, copied at every checkpoint.
          let after: Place = {};
          let expected: { at: object | null; place: Place } = { at: null, place: {} };
          for (let each = 0; done.has(each); each++) {
            const { checkpoint, atEnd, moved: changes } = batches[each] as (typeof batches)[number];
            const before = after;
            after = { ...after, ...changes };
            if (checkpoint) expected = { at: position(each), place: atEnd ? after : before };
          }
          expect({ at: newest, place: stored }).toEqual(expected);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('for any order of finishing, never goes back and never passes an unfinished batch (I5, I6)', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 200 }), fc.infiniteStream(fc.nat()), (checkpoints, picks) => {
        const tracker = new CheckpointTracker(null);
        const open = checkpoints.map((has, index) => ({ index, entry: tracker.begin(has ? position(index) : null, has, null) }));
        const unfinished = new Set(open.map(({ index }) => index));
        let last = -1;
        while (open.length > 0) {
          const [picked] = open.splice((picks.next().value as number) % open.length, 1) as [(typeof open)[number]];
          unfinished.delete(picked.index);
          tracker.finish(picked.entry, place(picked.index));
          const taken = tracker.take();
          if (taken === null) continue;
          const at = Number((taken.position as { lsn: string }).lsn);
          expect(at).toBeGreaterThan(last);
          expect(Math.min(...unfinished, Number.POSITIVE_INFINITY)).toBeGreaterThan(at);
          last = at;
        }
        expect(last).toBe(checkpoints.lastIndexOf(true));
        expect(tracker.pending).toBe(0);
      }),
    );
  });
});
