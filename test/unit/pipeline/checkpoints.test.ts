import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CheckpointTracker } from '../../../src/pipeline/checkpoints.ts';

const position = (lsn: number): { lsn: string } => ({ lsn: String(lsn) });
const place = (sequence: number): { sequence: string } => ({ sequence: String(sequence) });

describe('CheckpointTracker', () => {
  it('hands out nothing while an earlier batch is not durable (I5: contiguous prefix only)', () => {
    const tracker = new CheckpointTracker(null);
    const first = tracker.begin(position(1), true);
    const second = tracker.begin(position(2), true);
    tracker.finish(second, place(20));
    expect(tracker.take()).toBeNull();
    tracker.finish(first, place(10));
    expect(tracker.take()).toEqual({ position: position(2), place: place(20) });
    expect(tracker.take()).toBeNull();
  });

  it('saves the place before a batch that ends inside a transaction, so that its torn part is read back (algorithms §2)', () => {
    const tracker = new CheckpointTracker(place(5));
    tracker.finish(tracker.begin(position(1), true), place(10));
    tracker.finish(tracker.begin(position(2), false), place(20));
    expect(tracker.take()).toEqual({ position: position(2), place: place(10) });
    tracker.finish(tracker.begin(null, false), place(30));
    expect(tracker.take()).toBeNull();
    tracker.finish(tracker.begin(position(3), true), place(40));
    expect(tracker.take()).toEqual({ position: position(3), place: place(40) });
  });

  it('keeps the place through batches that wrote nothing', () => {
    const tracker = new CheckpointTracker(place(7));
    tracker.finish(tracker.begin(position(9), true), null);
    expect(tracker.take()).toEqual({ position: position(9), place: place(7) });
  });

  it('for any order of finishing, never goes back and never passes an unfinished batch (I5, I6)', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 200 }), fc.infiniteStream(fc.nat()), (checkpoints, picks) => {
        const tracker = new CheckpointTracker(null);
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
