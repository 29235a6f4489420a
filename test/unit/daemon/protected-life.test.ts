import { describe, expect, it } from 'vitest';
import { SluiceError } from '../../../src/plugin/error.ts';
import { connectorWith, DOWN, endless } from '../../support/connector-lives.ts';

const never = new AbortController().signal;
const FULL = { lagBytes: 0, retainedBytes: 1_000, slotState: 'reserved', connected: true };

describe('a life whose source is to be protected', () => {
  it('ends with the reason, and does not begin again by itself', async () => {
    const { connector, runtime, closed } = connectorWith([endless], [], 'shop', {
      source: { observe: () => Promise.resolve(FULL) },
      protect: { stop: { retained: 500 }, patience: 10_000 },
    });
    void connector.run(never, never);
    await runtime.advance(9_000);
    expect(connector.status()).toMatchObject({ state: 'running', pressure: { action: 'stop' } });
    await runtime.advance(60_000);
    expect(connector.status()).toMatchObject({ state: 'failed', error: { code: 'SLUICE_SOURCE_PROTECTED' } });
    expect(closed()).toBe(1);
  });

  it('is looked at too where its sink is never reached', async () => {
    const { connector, runtime } = connectorWith([], [], 'shop', {
      source: { observe: () => Promise.resolve(FULL) },
      sink: { open: () => Promise.reject(new SluiceError(DOWN)) },
      protect: { stop: { retained: 500 }, patience: 10_000 },
    });
    void connector.run(never, never);
    await runtime.advance(5_000);
    expect(connector.state).toBe('retrying');
    await runtime.advance(20_000);
    expect(connector.status()).toMatchObject({ state: 'failed', error: { code: 'SLUICE_SOURCE_PROTECTED' } });
  });

  it('gives up what the server keeps only where that is said, when reading has ended, and before its connections do', async () => {
    for (const action of ['stop', 'dropSlot'] as const) {
      const done: string[] = [];
      const { connector, runtime } = connectorWith([endless], [], 'shop', {
        source: {
          observe: () => Promise.resolve(FULL),
          giveUp: async () => void done.push('given up'),
          close: async () => void done.push('closed'),
        },
        protect: { [action]: { retained: 500 }, patience: 1_000 },
      });
      void connector.run(never, never);
      await runtime.advance(20_000);
      expect(connector.error?.code).toBe(action === 'stop' ? 'SLUICE_SOURCE_PROTECTED' : 'SLUICE_SOURCE_GIVEN_UP');
      expect(done).toEqual(action === 'stop' ? ['closed'] : ['given up', 'closed']);
    }
  });

  it('a slot that could not be dropped is no dropped slot: it is tried again', async () => {
    const { connector, runtime } = connectorWith([endless, endless, endless], [], 'shop', {
      source: { observe: () => Promise.resolve(FULL), giveUp: () => Promise.reject(new SluiceError(DOWN)) },
      protect: { dropSlot: { retained: 500 }, patience: 20_000 },
    });
    void connector.run(never, never);
    await runtime.advance(28_000);
    expect([connector.error, connector.status().error?.code]).toEqual([null, 'SLUICE_TEST_DOWN']);
    expect(connector.status().pressure?.action).toBe('dropSlot');
  });
});
