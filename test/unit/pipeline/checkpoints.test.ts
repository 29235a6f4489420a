import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CheckpointTracker } from '../../../src/pipeline/checkpoints.ts';
import type { Place } from '../../../src/record/position.ts';

const position = (lsn: number): { lsn: string } => ({ lsn: String(lsn) });
const place = (sequence: number): { sequence: string } => ({ sequence: String(sequence) });

describe('CheckpointTracker', () => {
  it('hands out nothing while an earlier batch is not durable (I5: contiguous prefix only)', () => {
    const tracker = new CheckpointTracker();
    const first = tracker.begin(position(1), true);
    const second = tracker.begin(position(2), true);
    tracker.finish(second, place(20));
    expect(tracker.take()).toBeNull();
    tracker.finish(first, place(10));
    expect(tracker.take()).toEqual({ position: position(2), place: place(20) });
    expect(tracker.take()).toBeNull();
  });

  it('saves the place before a batch that ends inside a transaction, so that its torn part is read back (algorithms §2)', () => {
    const tracker = new CheckpointTracker();
    tracker.finish(tracker.begin(position(1), true), place(10));
    tracker.finish(tracker.begin(position(2), false), place(20));
    expect(tracker.take()).toEqual({ position: position(2), place: place(10) });
    tracker.finish(tracker.begin(null, false), place(30));
    expect(tracker.take()).toBeNull();
    tracker.finish(tracker.begin(position(3), true), place(40));
    expect(tracker.take()).toEqual({ position: position(3), place: place(40) });
  });

  it('says that nothing moved where batches wrote nothing', () => {
    const tracker = new CheckpointTracker();
    tracker.finish(tracker.begin(position(9), true), null);
    expect(tracker.take()).toEqual({ position: position(9), place: null });
  });

  it('says nothing moved where everything is held back, and a later value wins over one that was held back', () => {
    const tracker = new CheckpointTracker();
    tracker.finish(tracker.begin(position(1), false), { a: '1', b: '1' });
    expect(tracker.take()).toEqual({ position: position(1), place: null });
    tracker.finish(tracker.begin(null, false), { a: '2' });
    tracker.finish(tracker.begin(position(3), false), { a: '3', c: '3' });
    expect(tracker.take()).toEqual({ position: position(3), place: { a: '2', b: '1' } });
    tracker.finish(tracker.begin(position(4), true), null);
    expect(tracker.take()).toEqual({ position: position(4), place: { a: '3', c: '3' } });
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
        const tracker = new CheckpointTracker();
        const open = batches.map(({ checkpoint, atEnd, moved }, index) => ({
          index,
          moved,
          entry: tracker.begin(checkpoint ? position(index) : null, atEnd),
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
        const tracker = new CheckpointTracker();
        const open = checkpoints.map((has, index) => ({ index, entry: tracker.begin(has ? position(index) : null, has) }));
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
