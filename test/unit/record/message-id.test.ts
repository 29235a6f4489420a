import { describe, expect, it } from 'vitest';
import { parseMessageId } from '../../../src/record/message-id.ts';

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
});
