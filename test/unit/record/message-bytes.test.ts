import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { messagesFromBytes, messagesToBytes } from '../../../src/record/message-bytes.ts';
import { destinationAt, eachHeader, idAt, type MessageBatch, SPAN, SPAN_SIZE, tableAt } from '../../../src/record/messages.ts';
import { messageBatch, type TestMessage } from '../../support/message-batches.ts';

const text = (batch: MessageBatch, message: number, start: number): string | null => {
  const at = message * SPAN_SIZE;
  const from = batch.spans[at + start] as number;
  return from < 0 ? null : batch.bytes.toString('utf8', from, batch.spans[at + start + 1]);
};

function contents(batch: MessageBatch): unknown[] {
  return Array.from({ length: batch.count }, (_, message) => {
    const headers: [string, string][] = [];
    eachHeader(batch, message, (name, value) => headers.push([name, value]));
    const [key, value] = [text(batch, message, SPAN.keyStart), text(batch, message, SPAN.valueStart)];
    const spread = batch.spans[message * SPAN_SIZE + SPAN.spread];
    return { id: idAt(batch, message), destination: destinationAt(batch, message), table: tableAt(batch, message), key, value, headers, spread };
  });
}

const messages: fc.Arbitrary<TestMessage[]> = fc
  .array(
    fc
      .record({
        key: fc.option(fc.string({ unit: 'binary' }), { nil: undefined }),
        value: fc.option(fc.string({ unit: 'binary' }), { nil: null }),
        headers: fc.option(fc.array(fc.tuple(fc.stringMatching(/^[a-z.]{1,10}$/), fc.string())), { nil: undefined }),
        table: fc.constantFrom('', 'public.a', 'public.b'),
        destination: fc.constantFrom('x', 'y'),
        spread: fc.integer({ min: -1, max: 5 }),
      })
      .map(({ key, headers, ...rest }) => ({ ...rest, ...(key === undefined ? {} : { key }), ...(headers === undefined ? {} : { headers }) })),
    { maxLength: 20 },
  )
  .map((all) => all.map((each, number) => ({ ...each, id: `shop/1/${number}/0` })));

describe('messages as bytes', () => {
  it('any of a batch come back as they were, whatever becomes of the batch', () => {
    fc.assert(
      fc.property(messages, fc.infiniteStream(fc.boolean()), (all, picks) => {
        const batch = messageBatch(all);
        const indexes = all.map((_, index) => index).filter(() => picks.next().value === true);
        const expected = contents(batch).filter((_, index) => indexes.includes(index));
        const bytes = messagesToBytes(batch, indexes);
        batch.bytes.fill(0);
        expect(contents(messagesFromBytes(bytes))).toEqual(expected);
      }),
    );
  });

  it('what is retained of a batch is what is left of it', () => {
    const all = Array.from({ length: 10 }, (_, n) => ({ id: `shop/1/${n}/0`, destination: 'x', value: `${n}` }));
    const batch = messageBatch(all);
    batch.retain([1, 5, 9]);
    expect(contents(batch).map((each) => (each as { value: string }).value)).toEqual(['1', '5', '9']);
  });

  it('headers that messages share are kept once', () => {
    const batch = messageBatch([{ id: 'shop/1/0/0', destination: 'x', value: 'a', headers: [['h', 'x'.repeat(1000)]] }]);
    // As an encoder does it for a tombstone.
    const at = (span: number): number => batch.spans[span] as number;
    batch.message(-1, -1, -1, -1, at(SPAN.headersStart), at(SPAN.headersEnd), at(SPAN.idStart), at(SPAN.idEnd));
    const bytes = messagesToBytes(batch, [0, 1]);
    expect(bytes.length).toBeLessThan(1500);
    expect(contents(messagesFromBytes(bytes))).toEqual(contents(batch));
  });

  it('another version is refused', () => {
    const bytes = messagesToBytes(messageBatch([]), []);
    bytes.writeUInt32LE(9, 0);
    expect(() => messagesFromBytes(bytes)).toThrow('version 9');
  });
});
