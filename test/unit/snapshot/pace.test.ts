import { expect, test } from 'vitest';
import type { SourceHealth } from '../../../src/plugin/source.ts';
import { Pace } from '../../../src/snapshot/pace.ts';
import { RowRate } from '../../../src/snapshot/row-rate.ts';
import { FakeRuntime } from '../../support/fake-runtime.ts';

const never = new AbortController().signal;
const health = (lagBytes: number, standbyLagBytes?: number): SourceHealth => ({
  lagBytes,
  retainedBytes: lagBytes,
  slotState: 'reserved',
  connected: true,
  ...(standbyLagBytes === undefined ? {} : { standbyLagBytes }),
});

function pace(limits: { maxRowsPerSecond?: number; maxLag?: number; maxStandbyLag?: number } = {}) {
  const runtime = new FakeRuntime();
  const said: string[] = [];
  const say = (message: string): void => void said.push(message);
  const log = { debug: say, info: say, warn: say, error: say };
  return { runtime, said, pace: new Pace({ maxRowsPerSecond: 0, maxLag: 1024, ...limits }, runtime, log) };
}

test('several who read together stay within the rows a second', async () => {
  const { runtime, pace: shared } = pace({ maxRowsPerSecond: 1_000 });
  let rows = 0;
  const read = async (): Promise<void> => {
    for (;;) {
      await shared.spend(100, never);
      rows += 100;
    }
  };
  for (let reader = 0; reader < 4; reader++) void read();
  await runtime.advance(10_000);
  expect(rows).toBeGreaterThanOrEqual(10_000);
  // What may be made up for, and one batch of each reader.
  expect(rows).toBeLessThanOrEqual(10_750);
});

test('what was not read is given back; without a bound nobody waits', async () => {
  const { runtime, pace: bounded } = pace({ maxRowsPerSecond: 1_000 });
  await bounded.spend(250, never);
  await bounded.turn(1_000, never);
  bounded.correct(1_000, 0);
  let isDone = false;
  void bounded.turn(10, never).then(() => {
    isDone = true;
  });
  await runtime.advance(1);
  expect(isDone).toBe(true);
  expect([bounded.cap(50_000), bounded.cap(10)]).toEqual([250, 10]);
  const { pace: free, runtime: still } = pace();
  await free.spend(1e9, never);
  await free.turn(1e9, never);
  expect([free.cap(50_000), still.timers]).toEqual([50_000, 0]);
});

test('copying beside the log is put off while the lag is too large, said once each way; a first copy is not', async () => {
  const { runtime, said, pace: polite } = pace();
  polite.observed(health(2_000));
  expect(said).toEqual([]);
  let turns = 0;
  const turn = (): void => void polite.turn(1, never).then(() => turns++);
  turn();
  turn();
  await polite.spend(1, never);
  await runtime.advance(5_000);
  polite.observed(health(900));
  await runtime.advance(5_000);
  expect([turns, said.length]).toEqual([0, 1]);
  expect(said[0]).toContain('put off: the connector is');
  polite.observed(health(800));
  await runtime.advance(1_000);
  expect([turns, said.length]).toEqual([2, 2]);
  // Nobody waits: nothing is said.
  polite.observed(health(5_000));
  polite.observed(health(0));
  expect(said).toHaveLength(2);
});

test('standbys count where they are asked for', async () => {
  const { runtime, said, pace: polite } = pace({ maxStandbyLag: 1_000_000 });
  polite.observed(health(0, 2_000_000));
  const waiting = polite.turn(1, never);
  await runtime.advance(1_000);
  expect(said[0]).toContain('a standby of the server is');
  polite.observed(health(0, 1));
  await runtime.advance(1_000);
  await waiting;
  const { pace: indifferent } = pace();
  indifferent.observed(health(0, 1e12));
  await indifferent.turn(1, never);
});

test('a wait ends with its signal', async () => {
  const { pace: slow } = pace({ maxRowsPerSecond: 1 });
  const ending = new AbortController();
  await slow.spend(1_000, ending.signal);
  const waiting = slow.spend(1, ending.signal);
  ending.abort(new Error('it is over'));
  await expect(waiting).rejects.toThrow('it is over');
});

test('a rate is that of the last seconds', () => {
  const rate = new RowRate();
  expect(rate.perSecond(0, 0)).toBeNull();
  for (let ms = 0; ms <= 60_000; ms += 100) rate.note(ms, ms < 30_000 ? ms : 30_000 + (ms - 30_000) * 5);
  expect(rate.perSecond(60_000, 180_000)).toBe(5_000);
  // It stands still.
  expect(rate.perSecond(80_000, 180_000)).toBe(0);
});
