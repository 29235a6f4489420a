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

  it('the entries of all checkpoints together are the place that a whole copy at each would give (I4)', () => {
    const batch = fc.record({
      position: fc.boolean(),
      atEnd: fc.boolean(),
      taken: fc.boolean(),
      moved: fc.option(fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.nat({ max: 99 }).map(String))),
    });
    fc.assert(
      fc.property(fc.array(batch, { maxLength: 60 }), (batches) => {
        const tracker = new CheckpointTracker();
        let stored: Place = {};
        // The naive way: the whole place before and after each batch.
        let after: Place = {};
        let expected: Place = {};
        batches.forEach(({ position: has, atEnd, taken, moved }, index) => {
          const before = after;
          after = { ...after, ...moved };
          if (has) expected = atEnd ? after : before;
          tracker.finish(tracker.begin(has ? position(index) : null, atEnd), moved);
          if (!taken && index < batches.length - 1) return;
          stored = { ...stored, ...tracker.take()?.place };
          expect(stored).toEqual(expected);
        });
      }),
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
