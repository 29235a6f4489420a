import { describe, expect, it } from 'vitest';
import type { NatsConfig } from '../../../../connectors/nats/config.ts';
import { ExclusiveOrder } from '../../../../connectors/nats/exclusive-order.ts';
import { Publisher } from '../../../../connectors/nats/publisher.ts';
import type { Session } from '../../../../connectors/nats/session.ts';
import type { Trouble } from '../../../../connectors/nats/trouble.ts';
import { Noted } from '../../../../src/plugin/noted.ts';
import { FakeRuntime } from '../../../support/fake-runtime.ts';
import { messageBatch, series } from '../../../support/message-batches.ts';
import { pluginContext } from '../../../support/plugin-context.ts';

const never = new AbortController().signal;
const batch = () => messageBatch(series({ connector: 'shop', destinations: ['shop.public.orders'] }, 0, 3));

/** A session that only the publisher sees. */
function fakeSession(throws: { error: unknown; lost: boolean } | null = null) {
  const state = { closed: false, sent: 0 };
  const session = {
    maxPayloadBytes: 1_000_000,
    publish: () => {
      if (throws !== null) throw throws.error;
      state.sent++;
    },
    isLost: () => throws?.lost ?? false,
    close: () => {
      state.closed = true;
      return Promise.resolve();
    },
  } as unknown as Session;
  return { session, state };
}

function publisher() {
  const troubles: Trouble[] = [];
  const over = { recovered: 0, idle: 0 };
  const host = {
    config: { window: { messages: 1, bytes: 1_000_000 }, publishTimeout: 1_000, stream: 'S' } as unknown as NatsConfig,
    context: { ...pluginContext(), runtime: new FakeRuntime() },
    order: new ExclusiveOrder('shop', () => undefined),
    noted: new Noted('shop'),
    recover: (trouble: Trouble) => void troubles.push(trouble),
    learnLimits: () => Promise.resolve(),
    denied: () => new Error('denied') as never,
    recovered: () => void over.recovered++,
    idle: () => void over.idle++,
  };
  return { publisher: new Publisher(host), troubles, over };
}

const stored = (sequence: number) => Buffer.from(`{"stream":"S","seq":${sequence}}`);

describe('Publisher', () => {
  it('what is no fault of the connection ends it: with a new connection the same would happen for ever', async () => {
    const bug = new TypeError('x is not a function');
    const { publisher: tested, troubles } = publisher();
    const { session, state } = fakeSession({ error: bug, lost: false });
    tested.resume(session);
    await expect(tested.write(batch(), never)).rejects.toBe(bug);
    expect(troubles).toEqual([]);
    expect(state.closed).toBe(true);
  });

  it('a connection that is found closed when sending is recovered from', () => {
    const { publisher: tested, troubles } = publisher();
    tested.resume(fakeSession({ error: new Error('closed connection'), lost: true }).session);
    tested.write(batch(), never).catch(() => undefined);
    expect(troubles).toEqual([{ kind: 'lost', detail: 'closed connection', alone: null }]);
  });

  it('a session that was lost names its first message until one is confirmed over it; the end of another session is not its end', async () => {
    const { publisher: tested, troubles, over } = publisher();
    const old = fakeSession();
    tested.resume(old.session);
    const written = tested.write(batch(), never);
    tested.lost(old.session, 'reset');
    const alone = { id: expect.stringMatching(/^shop\//), subject: 'shop.public.orders', bytes: expect.any(Number) };
    expect(troubles).toEqual([{ kind: 'lost', detail: 'reset', alone }]);
    const next = fakeSession();
    tested.settle(() => undefined);
    tested.resume(next.session);
    tested.lost(old.session, 'late');
    expect(troubles).toHaveLength(1);
    expect(over).toEqual({ recovered: 0, idle: 1 });
    // A window of one message is no different from another.
    tested.answer(0, stored(1));
    expect(over).toEqual({ recovered: 1, idle: 1 });
    tested.lost(next.session, 'reset');
    expect(troubles[1]).toEqual({ kind: 'lost', detail: 'reset', alone: null });
    tested.settle(() => 2);
    tested.resume(fakeSession().session);
    tested.answer(0, stored(3));
    await expect(written).resolves.toMatchObject({ sequence: '3' });
  });
});
