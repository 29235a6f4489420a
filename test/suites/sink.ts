import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Sink } from '../../src/plugin/sink.ts';
import type { Place } from '../../src/record/position.ts';
import { messageBatch, series, type TestMessage } from '../support/message-batches.ts';

/** What the suite needs to know of a sink. */
export interface SinkHarness {
  /** A new sink for the connector `shop`, on the same target each time. */
  sink(): Sink;
  /** What the sinks have saved of their place by themselves (`savePlace`). */
  saved?(): Place;
  /** Destinations that may be written to. */
  readonly destinations: readonly string[];
  /** The ids of what arrived, in order. */
  ids(): Promise<readonly string[]>;
  /** `write()` does not resolve before this is undone; the return value undoes it. */
  stall(): Promise<() => Promise<void>>;
  dispose(): Promise<void>;
}

export interface SinkTraits {
  /** It is read on start, so that what stands beyond the saved place is not written twice (I4). */
  readonly readsBack: boolean;
  /** Order is that of all messages, not only that of one destination. */
  readonly totalOrder: boolean;
}

const BATCH = 40;
const never = new AbortController().signal;

/** What every sink must do, whatever stands behind it. */
export function sinkSuite(name: string, traits: SinkTraits, make: () => Promise<SinkHarness>): void {
  describe(`${name}: what every sink does`, () => {
    let harness: SinkHarness;
    let open: Sink[] = [];

    beforeEach(async () => {
      harness = await make();
    });

    afterEach(async () => {
      await Promise.all(open.map((sink) => sink.close()));
      open = [];
      await harness.dispose();
    });

    async function opened(place: Place | null): Promise<Sink> {
      const sink = harness.sink();
      open.push(sink);
      await sink.preflight([], never);
      await sink.open(place, never);
      return sink;
    }

    const messages = (from: number, to: number): TestMessage[] => series({ connector: 'shop', destinations: harness.destinations }, from, to);
    const batch = (number: number) => messageBatch(messages(number * BATCH, (number + 1) * BATCH));

    async function arrivedAs(expected: readonly TestMessage[]): Promise<void> {
      const ids = await harness.ids();
      if (traits.totalOrder) expect(ids).toEqual(expected.map(({ id }) => id));
      expect([...ids].sort()).toEqual(expected.map(({ id }) => id).sort());
      const position = new Map(ids.map((id, at) => [id, at]));
      for (const destination of harness.destinations) {
        const own = expected.filter((message) => message.destination === destination).map(({ id }) => position.get(id) as number);
        expect(own, `order of ${destination} (I3)`).toEqual([...own].sort((a, b) => a - b));
      }
    }

    it('overlapping calls become durable in call order (I3)', async () => {
      const sink = await opened(null);
      await Promise.all(Array.from({ length: 12 }, (_, number) => sink.write(batch(number), never)));
      await arrivedAs(messages(0, 12 * BATCH));
    });

    it('a batch of nothing is durable at once', async () => {
      const sink = await opened(null);
      await expect(sink.write(messageBatch([]), never)).resolves.toBeDefined();
    });

    it('resolves only when everything is there', async () => {
      const sink = await opened(null);
      for (let number = 0; number < 3; number++) {
        await sink.write(batch(number), never);
        expect(await harness.ids()).toHaveLength((number + 1) * BATCH);
      }
    });

    it.runIf(traits.readsBack)('from any place that a call resolved with, a replay writes nothing twice (I4)', async () => {
      const first = await opened(null);
      const places = await Promise.all(Array.from({ length: 6 }, (_, number) => first.write(batch(number), never)));
      await first.close();
      let place: Place = harness.saved?.() ?? {};
      for (const [number, moved] of places.entries()) {
        place = { ...place, ...moved };
        const again = await opened(place);
        // The engine replays everything after the batch whose place was saved, and goes on.
        for (let next = number + 1; next < 7 + number; next++) await again.write(batch(next), never);
        await again.close();
        await arrivedAs(messages(0, (7 + number) * BATCH));
      }
    });

    it.runIf(traits.readsBack)(
      'before the first checkpoint a replay writes nothing twice (I4); without anything saved it is said that the sink holds output',
      async () => {
        const first = await opened(null);
        await first.write(batch(0), never);
        await first.close();
        const looking = harness.sink();
        open.push(looking);
        expect((await looking.open(null, never)).holdsOutput).toBe(true);
        const again = await opened(harness.saved?.() ?? null);
        await again.write(batch(0), never);
        await again.write(batch(1), never);
        await arrivedAs(messages(0, 2 * BATCH));
      },
    );

    it('an abort settles every pending call with its reason', async () => {
      const sink = await opened(null);
      const undo = await harness.stall();
      const controller = new AbortController();
      const pending = [0, 1, 2].map((number) => sink.write(batch(number), controller.signal));
      const settled = Promise.allSettled(pending);
      controller.abort(new Error('enough'));
      for (const outcome of await settled) expect(outcome).toMatchObject({ status: 'rejected', reason: { message: 'enough' } });
      await undo();
    });

    it('closing settles every pending call', async () => {
      const sink = await opened(null);
      const undo = await harness.stall();
      const settled = Promise.allSettled([0, 1, 2].map((number) => sink.write(batch(number), never)));
      const closing = sink.close();
      for (const outcome of await settled) expect(outcome.status).toBe('rejected');
      await undo();
      await closing;
    });
  });
}
