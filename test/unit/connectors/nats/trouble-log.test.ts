import { describe, expect, it } from 'vitest';
import { TroubleLog } from '../../../../connectors/nats/trouble-log.ts';
import { FakeRuntime } from '../../../support/fake-runtime.ts';
import { pluginContext } from '../../../support/plugin-context.ts';

const LOST = { kind: 'lost', message: 'The connection to NATS was lost: reset.', alone: null };
const UNREACHABLE = {
  kind: 'SLUICE_NATS_UNREACHABLE',
  code: 'SLUICE_NATS_UNREACHABLE',
  message: 'No NATS server. Trying again.',
  remedy: 'Start one.',
};
const first = { id: 'shop/1/1/0/0', subject: 'shop.public.orders', bytes: 345 };

function troubles() {
  const runtime = new FakeRuntime();
  const context = { ...pluginContext(), runtime };
  const log = new TroubleLog(context);
  const said = (level = 'warn'): string[] => context.lines.filter((line) => line.level === level).map(({ message }) => message);
  return { runtime, context, log, said };
}

describe('TroubleLog', () => {
  it('says each kind when it begins, and after 30 s without progress what, how often, since when and what helps', async () => {
    const { runtime, context, log, said } = troubles();
    await runtime.advance(5_000);
    for (let second = 0; second < 95; second++) {
      log.say(second % 2 === 0 ? LOST : UNREACHABLE);
      await runtime.advance(1_000);
    }
    expect(said()).toEqual([
      LOST.message,
      UNREACHABLE.message,
      'No message was confirmed by NATS since 1970-01-01T00:00:05.000Z, in 32 attempts; the last: No NATS server. Trying again.',
      'No message was confirmed by NATS since 1970-01-01T00:00:05.000Z, in 62 attempts; the last: No NATS server. Trying again.',
      'No message was confirmed by NATS since 1970-01-01T00:00:05.000Z, in 92 attempts; the last: No NATS server. Trying again.',
    ]);
    expect(context.lines.at(-1)).toMatchObject({ level: 'debug' });
    expect(context.lines.filter(({ code }) => code === 'SLUICE_NATS_NO_PROGRESS').map(({ remedy }) => remedy)).toEqual(Array(3).fill('Start one.'));
    log.over();
    expect(said('info')).toEqual(['NATS takes messages again.']);
    log.say(LOST);
    expect(said().at(-1)).toBe(LOST.message);
  });

  it('that the stream can be read and nothing is to be sent is no progress, and is said once', async () => {
    const { runtime, log, said } = troubles();
    for (let time = 0; time < 40; time++) {
      log.say(LOST);
      log.reachable();
      log.reachable();
      await runtime.advance(1_000);
    }
    expect(said()).toHaveLength(2);
    expect(said('info')).toEqual(['NATS is reachable again.', 'NATS is reachable again.']);
  });

  it('a quiet trouble is said only when it does not end', async () => {
    const { runtime, log, said } = troubles();
    const resync = { kind: 'resync', message: 'The stream does not end where expected.', quiet: true, alone: null };
    for (let time = 0; time < 29; time++) {
      log.say(resync);
      await runtime.advance(1_000);
    }
    expect(said()).toEqual([]);
    await runtime.advance(1_000);
    log.say(resync);
    expect(said()).toEqual([expect.stringContaining('in 30 attempts; the last: The stream does not end where expected.')]);
    log.over();
    expect(said('info')).toEqual(['NATS takes messages again.']);
    log.say(resync);
    log.over();
    expect(said('info')).toHaveLength(1);
  });

  it('names the message after the fifth loss right behind it, with destination and size; another message begins anew', () => {
    const { log, said } = troubles();
    for (let time = 0; time < 4; time++) log.say({ ...LOST, alone: first });
    log.say({ ...LOST, alone: { ...first, id: 'shop/2/1/0/0' } });
    log.say(UNREACHABLE);
    for (let time = 0; time < 4; time++) log.say({ ...LOST, alone: first });
    expect(said()).toEqual([LOST.message, UNREACHABLE.message]);
    log.say({ ...LOST, alone: first });
    expect(said().at(-1)).toBe(
      'No message was confirmed by NATS since 1970-01-01T00:00:00.000Z, in 11 attempts; the last: The connection to NATS was lost: reset. That came 5 times right after the same message was sent, one of 345 bytes for shop.public.orders.',
    );
    log.say({ ...LOST, alone: first });
    expect(said()).toHaveLength(3);
  });
});
