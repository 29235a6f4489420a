import { describe, expect, it } from 'vitest';
import { Metrics } from '../../../src/telemetry/metrics.ts';

async function values(metrics: Metrics, name: string): Promise<Record<string, number>> {
  const lines = (await metrics.text()).split('\n').filter((line) => line.startsWith(`${name}{`));
  return Object.fromEntries(lines.map((line) => [/{(.*)}/.exec(line)?.[1] ?? '', Number(line.split(' ').at(-1))]));
}

describe('Metrics', () => {
  it('counts the time in each state, up to the moment of the look', async () => {
    let now = 1_000;
    const metrics = new Metrics(() => now);
    metrics.state('shop', 'starting', now);
    metrics.state('shop', 'running', 3_000);
    now = 10_000;
    expect(await values(metrics, 'sluice_connector_state_seconds_total')).toEqual({
      'connector="shop",state="starting"': 2,
      'connector="shop",state="running"': 7,
    });
    metrics.state('shop', 'retrying', 12_000);
    now = 13_000;
    expect(await values(metrics, 'sluice_connector_state_seconds_total')).toMatchObject({
      'connector="shop",state="running"': 9,
      'connector="shop",state="retrying"': 1,
    });
  });

  it('observes the time to recover: from the end of a stream by a failure until the next one runs, however often it was tried', async () => {
    const metrics = new Metrics();
    const states = [
      ['starting', 0],
      ['running', 500],
      ['retrying', 10_000],
      ['starting', 11_000],
      ['retrying', 11_500],
      ['starting', 13_500],
      ['running', 14_000],
      ['draining', 20_000],
      ['retrying', 20_100],
      ['starting', 20_100],
      ['running', 20_200],
    ] as const;
    for (const [state, at] of states) metrics.state('shop', state, at);
    expect(await values(metrics, 'sluice_recovery_seconds_sum')).toEqual({ 'connector="shop"': 4 });
    expect(await values(metrics, 'sluice_recovery_seconds_count')).toEqual({ 'connector="shop"': 1 });
  });

  it('observes each batch once, when what stands of it is saved and acknowledged', async () => {
    let now = 0;
    const metrics = new Metrics();
    const events = metrics.events('shop', () => now);
    const rows = { tables: [], rows: new Float64Array(0) } as unknown as Parameters<typeof events.durable>[0];
    events.durable(rows, 1, 10, 0, 0);
    events.durable(rows, 1, 10, 1_000_000, 1_000_000);
    now = 2_000_000;
    events.saved();
    events.saved();
    expect(await values(metrics, 'sluice_commit_to_acknowledged_seconds_sum')).toEqual({ 'connector="shop"': 3 });
    expect(await values(metrics, 'sluice_commit_to_acknowledged_seconds_count')).toEqual({ 'connector="shop"': 2 });
    expect(metrics.figures('shop')).toMatchObject({ messages: 2, bytes: 20 });
  });

  it('shows copies as they are at the moment of the look', async () => {
    const metrics = new Metrics();
    const copies = [{ connector: 'shop', table: 'public.a', state: 'copying', rows: 5 }];
    metrics.copies(() => copies);
    expect(await values(metrics, 'sluice_snapshot_rows')).toEqual({ 'connector="shop",table="public.a"': 5 });
    copies[0] = { connector: 'shop', table: 'public.a', state: 'done', rows: 9 };
    expect(await values(metrics, 'sluice_snapshot_rows')).toEqual({});
    expect(await values(metrics, 'sluice_snapshot_tables')).toEqual({ 'connector="shop",state="done"': 1 });
  });

  it('holds tables to their objective; rows of copies say nothing of it', async () => {
    let now = 0;
    const metrics = new Metrics(() => now);
    metrics.objective('shop', { share: 0.9, objectiveMs: ({ name }) => (name === 'slow' ? 60_000 : 1_000) });
    expect(metrics.freshness('other')).toBeNull();
    const events = metrics.events('shop', () => now * 1000);
    const table = (name: string) => ({ kind: 'table', catalog: 'c', schema: 'public', name, label: `public.${name}` });
    const rows = (...ops: number[]) => Int32Array.from(ops);
    const batch = { tables: [table('fast'), table('slow'), table('copied')], rows: rows(1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0) };
    const durable = (): void => events.durable(batch as unknown as Parameters<typeof events.durable>[0], 1, 1, now * 1000, now * 1000 - 10_000_000);
    now = 100_000;
    durable();
    events.idle();
    now = 190_000;
    metrics.health('shop', { lagBytes: 0, endBytes: 1, retainedBytes: 0, slotState: null, connected: true }, 1);
    // The ten seconds of the first batch, nine of them too late, and then ninety without one.
    expect(await values(metrics, 'sluice_freshness_seconds_total')).toEqual({
      'connector="shop",table="public.fast",fresh="yes"': 91,
      'connector="shop",table="public.fast",fresh="no"': 9,
      'connector="shop",table="public.slow",fresh="yes"': 100,
      'connector="shop",table="public.slow",fresh="no"': 0,
    });
    const burn = await values(metrics, 'sluice_freshness_burn_rate');
    expect(burn['connector="shop",table="public.fast",window="1h"']).toBeCloseTo(0.9);
    expect(burn['connector="shop",table="public.slow",window="5m"']).toBe(0);
    await metrics.forget('shop');
    expect(await values(metrics, 'sluice_freshness_burn_rate')).toEqual({});
  });

  it('the lag grows while the log has what is not acknowledged, and while nothing is known of it', async () => {
    let now = 0;
    const metrics = new Metrics(() => now);
    metrics.events('shop', () => now * 1000);
    const health = { retainedBytes: 0, slotState: null, connected: true };
    const lag = async (): Promise<number> => (await values(metrics, 'sluice_lag_seconds'))['connector="shop"'] as number;
    const look = (endBytes: number, lagBytes: number): void => metrics.health('shop', { ...health, endBytes, lagBytes }, 1);
    look(1_000, 0);
    for (now = 5_000; now <= 30_000; now += 5_000) look(1_000 + now, now);
    now = 30_000;
    expect(await lag()).toBe(25);
    // What was there ten seconds ago is acknowledged.
    look(31_000, 10_000);
    expect(await lag()).toBe(0);
    now = 40_000;
    expect(await lag()).toBe(15);
    look(31_000, 0);
    expect(await lag()).toBe(0);
    // Nobody can look any more.
    now = 60_000;
    expect(await lag()).toBe(20);
  });

  it('counts where the time goes', async () => {
    const metrics = new Metrics();
    const events = metrics.events('shop', () => 0);
    events.spent('send', 1_500);
    metrics.spent('shop', 'decode', 500);
    events.waited('memory', 250);
    expect(await values(metrics, 'sluice_stage_seconds_total')).toEqual({
      'connector="shop",stage="send"': 1.5,
      'connector="shop",stage="decode"': 0.5,
    });
    expect(await values(metrics, 'sluice_waiting_seconds_total')).toEqual({ 'connector="shop",what="memory"': 0.25 });
  });
});
