import { describe, expect, it } from 'vitest';
import { SluiceError } from '../../../src/plugin/error.ts';
import type { Finding } from '../../../src/plugin/finding.ts';
import { NOTHING_WRITTEN, type Sink } from '../../../src/plugin/sink.ts';
import type { RecordBatch } from '../../../src/record/batch.ts';
import { connectorWith, DOWN, ending, endless, failing, REFUSED, WRONG } from '../../support/connector-lives.ts';

const never = new AbortController().signal;

describe('Connector', () => {
  it('that is asked to stop while it looks at its server says nothing of it', async () => {
    const drain = new AbortController();
    const asked = new Error('SIGTERM');
    const { connector, log } = connectorWith([], [], 'shop', {
      store: {
        load: () => {
          drain.abort(asked);
          return Promise.reject(asked);
        },
      },
    });
    await connector.run(drain.signal, never);
    expect([connector.state, log.filter(({ level }) => level !== 'info')]).toEqual(['stopped', []]);
  });

  it('tries again after a transient error, within two seconds (I10), and says the same trouble once', async () => {
    const down = () => failing(new SluiceError(DOWN));
    const { connector, runtime, log, closed } = connectorWith([down, down, down, ending]);
    const run = connector.run(never, never);
    await runtime.advance(100);
    expect(connector.state).toBe('retrying');
    await runtime.advance(1000 + 2000 + 2000);
    await run;
    expect(connector.state).toBe('stopped');
    expect(connector.error).toBeNull();
    expect(log.filter(({ level }) => level === 'warn').map(({ code }) => code)).toEqual(['SLUICE_TEST_DOWN']);
    expect(closed()).toBe(4);
  });

  it('stops for good on any other error, with its code (I8)', async () => {
    const { connector, runtime, log } = connectorWith([() => failing(new SluiceError(WRONG))]);
    const run = connector.run(never, never);
    await runtime.advance(100_000);
    await run;
    expect(connector.state).toBe('failed');
    expect(connector.error?.code).toBe('SLUICE_TEST_WRONG');
    expect(log.at(-1)).toMatchObject({ level: 'error', code: 'SLUICE_TEST_WRONG' });
  });

  it('credentials that are refused stop it at its start; once they were right they are being exchanged, and it tries again', async () => {
    const refused = (): AsyncIterable<RecordBatch> => failing(new SluiceError(REFUSED));
    const atStart = connectorWith([endless], [], 'shop', { sink: { open: () => Promise.reject(new SluiceError(REFUSED)) } });
    await atStart.connector.run(never, never);
    expect(atStart.connector.state).toBe('failed');
    const later = connectorWith([refused, refused, endless]);
    void later.connector.run(never, never);
    await later.runtime.advance(100);
    expect(later.connector.status()).toMatchObject({ state: 'retrying', error: { code: 'SLUICE_TEST_REFUSED' } });
    await later.runtime.advance(5_000);
    expect(later.connector.state).toBe('running');
  });

  it('takes a bug of ours for what it is: a stop, not a reason to go on (I8)', async () => {
    const { connector, runtime } = connectorWith([() => failing(new TypeError('x is not a function'))]);
    const run = connector.run(never, never);
    await runtime.advance(100);
    await run;
    expect(connector.error?.code).toBe('SLUICE_INTERNAL');
  });

  it('a preflight error stops it before it reads, all of them are said', async () => {
    const finding = (code: string): Finding => ({ severity: 'error', code, message: `m ${code}`, remedy: 'r' });
    const { connector, runtime, log } = connectorWith([endless], [finding('SLUICE_TEST_WRONG'), finding('SLUICE_TEST_OTHER')]);
    const run = connector.run(never, never);
    await runtime.advance(100);
    await run;
    expect(connector.error?.kind).toMatchObject({ code: 'SLUICE_TEST_WRONG', exit: 3 });
    expect(
      log
        .filter(({ level }) => level === 'error')
        .map(({ code }) => code)
        .sort(),
    ).toEqual(['SLUICE_TEST_OTHER', 'SLUICE_TEST_WRONG']);
  });

  it('one that fails stops no other', async () => {
    const bad = connectorWith([() => failing(new SluiceError(WRONG))], [], 'bad');
    const good = connectorWith([endless], [], 'good');
    const stop = new AbortController();
    const runs = [bad.connector.run(stop.signal, never), good.connector.run(stop.signal, never)];
    await Promise.all([bad.runtime.advance(1000), good.runtime.advance(1000)]);
    expect([bad.connector.state, good.connector.state]).toEqual(['failed', 'running']);
    stop.abort();
    await Promise.all(runs);
    expect(good.connector.state).toBe('stopped');
  });

  it('tells the sink how the process before this one ended until it has been opened once (I4)', async () => {
    const down = (): Promise<never> => Promise.reject(new SluiceError(DOWN));
    let looks = 0;
    let opens = 0;
    const sink: Partial<Sink> = {
      preflight: () => (++looks === 1 ? down() : Promise.resolve([])),
      open: () => (++opens === 1 ? down() : Promise.resolve(NOTHING_WRITTEN)),
    };
    const lives = [() => failing(new SluiceError(DOWN)), ending];
    const { connector, runtime, contexts } = connectorWith(lives, [], 'shop', { sink });
    const run = connector.run(never, never);
    await runtime.advance(10_000);
    await run;
    // Not reached; not opened; opened, and the source fails; opened again.
    expect(contexts.map(({ previousShutdown }) => previousShutdown)).toEqual(['unclean', 'unclean', 'unclean', 'clean']);
  });

  it('gives the sink the place that was saved before the first offset, and saves entries of it for this connector', async () => {
    const place = { 't/0': '5' };
    const opened: unknown[] = [];
    const saved: unknown[] = [];
    const { connector, runtime, contexts } = connectorWith([ending], [], 'shop', {
      sink: {
        open: (from) => {
          opened.push(from);
          return Promise.resolve(NOTHING_WRITTEN);
        },
      },
      store: {
        load: () => Promise.resolve({ offset: null, place, progress: {}, shapes: {}, accepted: null, tables: [] }),
        savePlace: (...what) => Promise.resolve(void saved.push(what)),
      },
    });
    const run = connector.run(never, never);
    await runtime.advance(100);
    await run;
    expect(opened).toEqual([place]);
    await contexts[0]?.savePlace({ 't/1': '6' });
    expect(saved).toEqual([['shop', { 't/1': '6' }]]);
  });

  it('ends at once when it is asked to while it waits for the next attempt', async () => {
    const { connector, runtime } = connectorWith([() => failing(new SluiceError(DOWN))]);
    const stop = new AbortController();
    const run = connector.run(stop.signal, never);
    await runtime.advance(100);
    stop.abort();
    await run;
    expect(connector.state).toBe('stopped');
    expect(connector.error).toBeNull();
  });
});
