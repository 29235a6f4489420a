import { describe, expect, it } from 'vitest';
import { type LetterHead, type OpenLetter, partsOf } from '../../../src/dead-letters/letter.ts';
import { BatchIndex, keyHash, LetterIndex } from '../../../src/dead-letters/order.ts';
import { OP } from '../../../src/record/batch.ts';
import { destinationAt, idAt, type MessageBatch, SPAN, SPAN_SIZE, tableAt } from '../../../src/record/messages.ts';
import { messageBatch, type TestMessage } from '../../support/message-batches.ts';

const { create, update, delete: remove, truncate } = OP;
/** `n` is in its id. */
const keyed = (n: number, key: string, op: number = update): TestMessage => ({
  id: `shop/${n}/0/0`,
  destination: 'orders',
  table: 'a',
  key,
  value: '1',
  op,
});
const keyless = (n: number, op: number, table = 'a'): TestMessage => ({ id: `shop/${n}/0/0`, destination: 'orders', table, value: '1', op });

function letterOf(batch: MessageBatch, index: number): OpenLetter {
  const { key } = partsOf(batch, index);
  const head = {
    id: idAt(batch, index),
    destination: destinationAt(batch, index),
    table: tableAt(batch, index),
    op: batch.spans[index * SPAN_SIZE + SPAN.op] as number,
  };
  return { head: head as LetterHead, address: { segment: 1, offset: 0 }, key, keyHash: keyHash(key), superseded: false, published: false };
}

/** Whether a message supersedes a letter of the one before it, by both ways of looking. */
function supersedes(newer: TestMessage, older: TestMessage): boolean {
  const letter = letterOf(messageBatch([older]), 0);
  const index = new LetterIndex();
  index.add(letter);
  const byLetters = index.supersededBy(messageBatch([newer])).includes(letter);
  const byBatch = new BatchIndex(messageBatch([older, newer])).supersedes(letter, 1);
  expect(byBatch).toBe(byLetters);
  index.remove(letter);
  expect(index.supersededBy(messageBatch([newer]))).toEqual([]);
  return byLetters;
}

describe('which letters may not be sent any more (I3, I7)', () => {
  it('one with a key: its key, or a TRUNCATE of its table, behind it', () => {
    expect(supersedes(keyed(2, 'x'), keyed(1, 'x'))).toBe(true);
    expect(supersedes(keyed(2, 'y'), keyed(1, 'x'))).toBe(false);
    expect(supersedes({ ...keyed(2, 'x'), destination: 'others' }, keyed(1, 'x'))).toBe(false);
    expect(supersedes(keyless(2, truncate), keyed(1, 'x'))).toBe(true);
    expect(supersedes(keyless(2, truncate, 'b'), keyed(1, 'x')), 'of another table of the same topic').toBe(false);
  });

  it('trap: a TRUNCATE: anything of its table behind it', () => {
    expect(supersedes(keyed(2, 'x', create), keyless(1, truncate))).toBe(true);
    expect(supersedes(keyless(2, create), keyless(1, truncate))).toBe(true);
    expect(supersedes(keyless(2, create, 'b'), keyless(1, truncate))).toBe(false);
  });

  it('a row without a key: two inserts may change places, nothing else may', () => {
    for (const newer of [create, update, remove, truncate])
      for (const older of [create, update, remove, truncate])
        expect(supersedes(keyless(2, newer), keyless(1, older)), `${newer} behind ${older}`).toBe(newer !== create || older !== create);
  });

  it('trap: its own message comes again after a crash, with the newer one in the same batch', () => {
    const again = messageBatch([keyed(0, 'x'), keyed(1, 'x'), keyed(2, 'y')]);
    const index = new LetterIndex();
    const letter = letterOf(again, 1);
    index.add(letter);
    expect(index.supersededBy(again), 'what is before it is older').toEqual([]);
    expect(index.supersededBy(messageBatch([keyed(1, 'x'), keyed(2, 'x')]))).toEqual([letter]);
  });

  it('trap: for each letter everything in flight was looked through', () => {
    const count = 20_000;
    const batch = messageBatch(Array.from({ length: count }, (_, n) => keyed(n, `key ${n}`)));
    const from = performance.now();
    const found = new BatchIndex(batch);
    for (let n = 0; n < count; n++) expect(found.supersedes(letterOf(batch, n), n + 1)).toBe(false);
    // Linear it takes some 50 ms, else a minute.
    expect(performance.now() - from).toBeLessThan(5_000);
  });
});
