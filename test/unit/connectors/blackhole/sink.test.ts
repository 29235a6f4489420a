import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BlackholeSink } from '../../../../connectors/blackhole/sink.ts';
import { ValueHash } from '../../../../connectors/blackhole/value-hash.ts';
import { messageBatch, series } from '../../../support/message-batches.ts';
import { pluginContext } from '../../../support/plugin-context.ts';

const never = new AbortController().signal;

function hashOf(values: readonly string[]): string {
  const hash = new ValueHash();
  for (const value of values) hash.add(Buffer.from(value), 0, Buffer.byteLength(value));
  return hash.toString();
}

describe('blackhole', () => {
  it('counts and hashes on request, in no order', async () => {
    const context = pluginContext();
    const sink = new BlackholeSink({ verify: true }, context);
    const messages = [...series({ connector: 'shop', destinations: ['a'] }, 0, 10), { id: 'x', destination: 'a', value: null }];
    await sink.write(messageBatch(messages.slice(4)), never);
    await sink.write(messageBatch(messages.slice(0, 4)), never);
    await sink.close();
    const values = messages.flatMap(({ value }) => (value === null ? [] : [value]));
    expect(context.lines).toMatchObject([{ level: 'info', messages: 11, hash: hashOf(values) }]);
  });

  it('says how many it took, and no more, by default', async () => {
    const context = pluginContext();
    const sink = new BlackholeSink({ verify: false }, context);
    await sink.write(messageBatch(series({ connector: 'shop', destinations: ['a'] }, 0, 3)), never);
    await sink.close();
    expect(context.lines).toEqual([{ level: 'info', message: 'The blackhole took 3 messages.', messages: 3 }]);
  });

  it('settles with the reason of an abort', async () => {
    const sink = new BlackholeSink({ verify: false }, pluginContext());
    await expect(sink.write(messageBatch([]), AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough');
  });
});

describe('the hash of values', () => {
  it('is that of the multiset: order does not matter, everything else does', () => {
    const values = fc.array(fc.string({ maxLength: 12 }), { maxLength: 12 });
    fc.assert(
      fc.property(values, fc.string({ maxLength: 12 }), (all, one) => {
        expect(hashOf([...all].reverse())).toBe(hashOf(all));
        expect(hashOf([...all, one])).not.toBe(hashOf(all));
        expect(hashOf([...all, `${one}a`])).not.toBe(hashOf([...all, `${one}b`]));
      }),
    );
  });
});
