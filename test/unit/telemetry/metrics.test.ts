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
    events.durable(rows, 1, 10, 0);
    events.durable(rows, 1, 10, 1_000_000);
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
});
