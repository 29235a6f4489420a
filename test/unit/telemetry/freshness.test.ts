import { describe, expect, it } from 'vitest';
import { Freshness } from '../../../src/telemetry/freshness.ts';
import { ReadLag } from '../../../src/telemetry/read-lag.ts';

const MINUTE = 60_000;
const TABLE = { kind: 'table', catalog: '', schema: 'public', name: 'orders', label: 'public.orders' } as const;

function held(share = 0.99): Freshness {
  return new Freshness({ share, objectiveMs: () => 30_000 });
}

describe('Freshness', () => {
  it('burns as fast as the part that was late is greater than what may be', () => {
    const freshness = held();
    freshness.arrived(TABLE, 10, 0);
    // A minute and a half without a change that arrived: a minute of it is too late.
    freshness.look(0, 58.5 * MINUTE);
    freshness.look(90_000, 60 * MINUTE);
    const [view] = freshness.views();
    expect(view).toMatchObject({ table: 'public.orders', objectiveSeconds: 30 });
    expect(view?.freshShare).toBeCloseTo(59 / 60, 2);
    expect(view?.burnRate['1h']).toBeCloseTo(1 / 60 / 0.01, 1);
    expect(view?.burnRate['5m']).toBeCloseTo(1 / 5 / 0.01, 1);
  });

  it('forgets what is longer ago than its windows, also where nobody looked for long', () => {
    const freshness = held();
    freshness.arrived(TABLE, 10, 0);
    freshness.look(5 * MINUTE, 5 * MINUTE);
    expect(freshness.views()[0]?.burnRate['5m']).toBeGreaterThan(80);
    freshness.look(0, 20 * MINUTE);
    expect(freshness.views()[0]?.burnRate['5m']).toBe(0);
    expect(freshness.views()[0]?.burnRate['1h']).toBeGreaterThan(20);
    freshness.look(0, 1_000 * MINUTE);
    expect(freshness.views()[0]?.burnRate).toEqual({ '5m': 0, '1h': 0 });
    expect(freshness.views()[0]?.freshShare).toBe(1);
  });

  it('hands out each second once', () => {
    const freshness = held();
    freshness.arrived(TABLE, 0, 0);
    freshness.look(31_000, MINUTE);
    expect(freshness.take()).toEqual([{ table: 'public.orders', freshMs: 59_000, lateMs: 1_000 }]);
    freshness.look(0, MINUTE);
    expect(freshness.take()).toEqual([{ table: 'public.orders', freshMs: 0, lateMs: 0 }]);
  });
});

describe('ReadLag', () => {
  it('is the age of the oldest end of the log that is not acknowledged', () => {
    const lag = new ReadLag(0);
    lag.looked(100, 50, 10_000);
    lag.looked(200, 150, 20_000);
    expect(lag.seconds(24_000)).toBe(0);
    expect(lag.seconds(30_000)).toBe(20);
    lag.looked(300, 150, 30_000);
    expect(lag.seconds(40_000)).toBe(20);
    lag.looked(300, 0, 41_000);
    expect(lag.seconds(50_000)).toBe(0);
  });

  it('remembers little, however long it lasts', () => {
    const lag = new ReadLag(0);
    for (let look = 1; look <= 100_000; look++) lag.looked(look, look, look * 5_000);
    expect(lag.seconds(500_000_000)).toBe(499_995);
  });

  it('a source that does not tell where its log ends is no reason to worry', () => {
    const lag = new ReadLag(0);
    lag.unknown(60_000);
    expect(lag.seconds(70_000)).toBe(0);
  });

  it('begins anew with a log that begins anew', () => {
    const lag = new ReadLag(0);
    lag.looked(1_000, 500, 10_000);
    lag.looked(10, 0, 20_000);
    expect(lag.seconds(30_000)).toBe(0);
  });
});
