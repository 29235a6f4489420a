import { describe, expect, it } from 'vitest';
import { SluiceError } from '../../../src/plugin/error.ts';
import type { RecordBatch } from '../../../src/record/batch.ts';
import { connectorWith, DOWN, endless, failing, WRONG } from '../../support/connector-lives.ts';

const never = new AbortController().signal;

/** A store that remembers what is paused. */
function remembering(): { readonly paused: string[]; readonly store: { setPaused(name: string, isPaused: boolean): Promise<void> } } {
  const paused: string[] = [];
  const setPaused = async (name: string, isPaused: boolean): Promise<void> => {
    paused.splice(0, paused.length, ...(isPaused ? [name] : []));
  };
  return { paused, store: { setPaused } };
}

async function codeOf(work: () => unknown): Promise<string> {
  try {
    await work();
    return 'no error';
  } catch (error) {
    return error instanceof SluiceError ? error.code : String(error);
  }
}

describe('pause, resume and restart', () => {
  it('a paused connector has closed its source, waits, and goes on with another life', async () => {
    const { paused, store } = remembering();
    let lives = 0;
    const life = (): AsyncIterable<RecordBatch> => {
      lives++;
      return endless();
    };
    const { connector, runtime, closed } = connectorWith([life, life], [], 'shop', { store });
    const stop = new AbortController();
    const run = connector.run(stop.signal, never);
    await runtime.advance(100);
    expect(connector.state).toBe('running');
    expect((await connector.pause(5_000)).state).toBe('draining');
    await runtime.advance(100);
    expect([connector.state, closed(), lives, paused]).toEqual(['paused', 1, 1, ['shop']]);
    await runtime.advance(3_600_000);
    expect([connector.state, lives]).toEqual(['paused', 1]);
    await connector.resume();
    await runtime.advance(100);
    expect([connector.state, lives, paused]).toEqual(['running', 2, []]);
    // Both may be said twice.
    await connector.resume();
    expect(connector.state).toBe('running');
    stop.abort();
    await run;
    expect(connector.state).toBe('stopped');
  });

  it('begins paused where it was paused, connects to nothing, and ends in order', async () => {
    let lives = 0;
    const life = (): AsyncIterable<RecordBatch> => {
      lives++;
      return endless();
    };
    const { connector, runtime, log } = connectorWith([life], [], 'shop', { isPaused: true });
    const stop = new AbortController();
    const run = connector.run(stop.signal, never);
    await runtime.advance(10_000);
    expect([connector.state, lives]).toEqual(['paused', 0]);
    expect(log.some(({ level, message }) => level === 'warn' && message.startsWith('Paused'))).toBe(true);
    stop.abort();
    await run;
    expect(connector.state).toBe('stopped');
  });

  it('is paused while it waits for the next attempt, and its trouble is told until then', async () => {
    const { store } = remembering();
    const { connector, runtime } = connectorWith([() => failing(new SluiceError(DOWN))], [], 'shop', { store });
    const run = new AbortController();
    void connector.run(run.signal, never);
    await runtime.advance(100);
    expect(connector.status()).toMatchObject({ state: 'retrying', error: { code: 'SLUICE_TEST_DOWN' } });
    await connector.pause(5_000);
    await runtime.advance(1);
    expect(connector.status()).toMatchObject({ state: 'paused', attempts: 0 });
    expect(connector.status().error).toBeUndefined();
    run.abort();
  });

  it('a restart begins another life at once, while it waits for the next attempt too', async () => {
    let lives = 0;
    const down = (): AsyncIterable<RecordBatch> => {
      lives++;
      return failing(new SluiceError(DOWN));
    };
    const up = (): AsyncIterable<RecordBatch> => {
      lives++;
      return endless();
    };
    const { connector, runtime, closed } = connectorWith([down, up, up]);
    const run = new AbortController();
    void connector.run(run.signal, never);
    await runtime.advance(1);
    expect([connector.state, lives]).toEqual(['retrying', 1]);
    connector.restart(5_000);
    await runtime.advance(1);
    expect([connector.state, lives]).toEqual(['running', 2]);
    connector.restart(5_000);
    await runtime.advance(1);
    expect([connector.state, lives, closed()]).toEqual(['running', 3, 2]);
    run.abort();
  });

  it('a restart starts one that has failed; it cannot be paused or resumed before', async () => {
    const { store } = remembering();
    const { connector, runtime } = connectorWith([() => failing(new SluiceError(WRONG)), endless], [], 'shop', { store });
    await connector.run(never, never);
    expect(connector.state).toBe('failed');
    expect(await codeOf(() => connector.pause(1))).toBe('SLUICE_CONNECTOR_FAILED');
    expect(await codeOf(() => connector.resume())).toBe('SLUICE_CONNECTOR_FAILED');
    connector.restart(1);
    await runtime.advance(1);
    expect([connector.state, connector.error]).toEqual(['running', null]);
  });

  it('what is paused is not restarted, what has ended does nothing any more', async () => {
    const { store } = remembering();
    const { connector, runtime } = connectorWith([endless], [], 'shop', { store, isPaused: true });
    const stop = new AbortController();
    const run = connector.run(stop.signal, never);
    await runtime.advance(1);
    expect(await codeOf(() => connector.restart(1))).toBe('SLUICE_CONNECTOR_PAUSED');
    stop.abort();
    await run;
    for (const verb of ['pause', 'restart'] as const) expect(await codeOf(() => connector[verb](1))).toBe('SLUICE_CONNECTOR_ENDED');
    expect(await codeOf(() => connector.resume())).toBe('SLUICE_CONNECTOR_ENDED');
  });
});
