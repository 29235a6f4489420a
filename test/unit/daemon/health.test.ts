import { describe, expect, it } from 'vitest';
import type { ConnectorDefinition } from '../../../src/config/load.ts';
import { HealthWatch } from '../../../src/daemon/health.ts';
import { Protection } from '../../../src/daemon/protection.ts';
import type { SourceHealth } from '../../../src/plugin/source.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';
import { FakeRuntime } from '../../support/fake-runtime.ts';

const GOOD: SourceHealth = { lagBytes: 0, retainedBytes: 1000, safeBytes: null, slotState: 'reserved', overdueMs: 0, connected: true };

/** A source that says what `now` holds. */
function watched(): { now: SourceHealth; said: string[]; watch: HealthWatch; metrics: Metrics; runtime: FakeRuntime; begin: () => () => void } {
  const runtime = new FakeRuntime();
  const metrics = new Metrics();
  const said: string[] = [];
  const say = (message: string): void => void said.push(message);
  const log = { debug: () => undefined, info: say, warn: say, error: say };
  const protect = { warn: { retained: 100_000, freePercent: 0 }, pauseSnapshot: { freePercent: 0 }, stop: { retained: 200_000 }, patience: 20_000 };
  const protection = new Protection({ name: 'shop', source: { plugin: {}, config: {} }, protect } as unknown as ConnectorDefinition, log);
  const watch = new HealthWatch('shop', { runtime, metrics, log }, protection);
  const all = {
    now: GOOD,
    said,
    watch,
    metrics,
    runtime,
    begin: () => {
      const stop = new AbortController();
      const hands = { hold: () => undefined, stop: (error: Error) => void said.push(error.message) };
      void watch.follow({ source: { observe: () => Promise.resolve(all.now) }, saved: () => null, ...hands }, stop.signal);
      return () => stop.abort();
    },
  };
  return all;
}

async function gauge(metrics: Metrics, name: string): Promise<number> {
  const text = await metrics.text();
  return Number(new RegExp(`^${name}{connector="shop"} (.*)$`, 'm').exec(text)?.[1]?.replace('+Inf', 'Infinity'));
}

describe('HealthWatch', () => {
  it('a reader that should have ended its silent connection a minute ago is stalled, unless something is on its way to the sink', async () => {
    const all = watched();
    const events = all.metrics.events('shop', () => 0);
    const end = all.begin();
    await all.runtime.advance(6_000);
    expect(all.watch.isStalled).toBe(false);
    all.now = { ...GOOD, overdueMs: 61_000 };
    await all.runtime.advance(6_000);
    expect(all.watch.isStalled).toBe(true);
    // Back-pressure: the socket is held, and rightly.
    events.inFlight(100, 1, 0);
    await all.runtime.advance(6_000);
    expect(all.watch.isStalled).toBe(false);
    events.inFlight(0, 0, null);
    await all.runtime.advance(6_000);
    expect(all.watch.isStalled).toBe(true);
    end();
    await all.runtime.advance(6_000);
    expect([all.watch.isStalled, all.watch.health]).toEqual([false, null]);
  });

  it('tells how long the server will still keep its log at the present rate', async () => {
    const all = watched();
    const end = all.begin();
    await all.runtime.advance(1);
    expect([await gauge(all.metrics, 'sluice_safe_log_bytes'), await gauge(all.metrics, 'sluice_safe_log_seconds')]).toEqual([Infinity, Infinity]);
    all.now = { ...GOOD, retainedBytes: 1000, safeBytes: 100_000 };
    await all.runtime.advance(5_000);
    expect(await gauge(all.metrics, 'sluice_safe_log_seconds')).toBe(Infinity);
    // It keeps 500 bytes a second more.
    all.now = { ...GOOD, retainedBytes: 6_000, safeBytes: 95_000 };
    await all.runtime.advance(5_000);
    expect(await gauge(all.metrics, 'sluice_safe_log_bytes')).toBe(95_000);
    expect(await gauge(all.metrics, 'sluice_safe_log_seconds')).toBeCloseTo(95_000 / 500, 0);
    // What was acknowledged is let go: it does not grow any more.
    all.now = { ...GOOD, retainedBytes: 500, safeBytes: 100_500 };
    await all.runtime.advance(5_000);
    expect(await gauge(all.metrics, 'sluice_safe_log_seconds')).toBe(Infinity);
    end();
  });

  it('looks at what protects the source: it is said, shown, and stops what does not catch up', async () => {
    const all = watched();
    const end = all.begin();
    all.now = { ...GOOD, retainedBytes: 150_000 };
    await all.runtime.advance(6_000);
    expect(await gauge(all.metrics, 'sluice_source_pressure')).toBe(1);
    expect(all.watch.pressure).toEqual({ action: 'warn', reason: expect.stringContaining('"protect.warn.retained"') });
    expect(all.said).toEqual([expect.stringContaining('far behind')]);
    all.now = { ...GOOD, retainedBytes: 250_000 };
    await all.runtime.advance(10_000);
    expect(await gauge(all.metrics, 'sluice_source_pressure')).toBe(3);
    expect(all.said).toHaveLength(1);
    await all.runtime.advance(15_000);
    expect(all.said).toEqual([expect.anything(), expect.stringContaining('"protect.stop.retained"')]);
    end();
  });
});
