import { describe, expect, it } from 'vitest';
import { type MessageId, parseMessageId, rankOf } from '../../../src/record/message-id.ts';

describe('message ids', () => {
  it('the transaction is what stands between the connector and the last two parts', () => {
    expect(parseMessageId('shop/7301/0A.900/12/1', 'shop/')).toEqual({ transaction: '7301/0A.900', ordinal: 12, part: 1 });
    expect(parseMessageId('shop/t/0/0', 'shop/')).toEqual({ transaction: 't', ordinal: 0, part: 0 });
  });

  it.each(['', 'shop', 'shop/', 'shop/1/2', 'shops/7/A/0/0', 'bank/7/A/0/0', 'shop/7/A/x/0', 'shop/7/A/0/', 'shop/7/A/-1/0'])(
    '"%s" is none',
    (id) => {
      expect(parseMessageId(id, 'shop/')).toBeNull();
    },
  );

  it('what is said of a whole transaction stands before all its changes, or behind them', () => {
    const rank = (id: string): number => rankOf(parseMessageId(id, 'shop/') as MessageId);
    const [begin, end] = [rank('shop/7/A/begin/0'), rank('shop/7/A/end/0')];
    expect(begin).toBeLessThan(rank('shop/7/A/0/0'));
    expect(end).toBeGreaterThan(rank(`shop/7/A/${2 ** 42}/2`));
    expect(Number.isSafeInteger(end)).toBe(true);
    expect(parseMessageId('shop/7/A/end/0', 'shop/')?.transaction).toBe('7/A');
  });
});
