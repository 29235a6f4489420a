import { randomBytes } from 'node:crypto';
import { Reader, readRecordsBatch } from '@platformatic/kafka';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RecordSet } from '../../../../connectors/kafka/drivers/driver.ts';
import { recordBytesOf } from '../../../../connectors/kafka/drivers/driver.ts';
import { BatchMemory } from '../../../../connectors/kafka/drivers/platformatic/batch-memory.ts';
import { encodeRecordBatch } from '../../../../connectors/kafka/drivers/platformatic/record-batch.ts';
import { decodeBatches } from '../../../support/kafka-records.ts';
import { messageBatch, type TestMessage } from '../../../support/message-batches.ts';

function setOf(batches: readonly (readonly TestMessage[])[]): RecordSet {
  const runs = batches.map((messages) => ({ batch: messageBatch(messages), indexes: Int32Array.from(messages.keys()) }));
  const identity = { producerId: 77n, epoch: 5, sequence: 2_147_483_646 };
  return { topic: 't', partition: 3, runs, count: batches.flat().length, timestampMs: 1_780_000_000_123, identity, maxBytes: -1, encoded: null };
}

/** One for all batches, each of which is given back: what the one before left there must not show. */
const memory = new BatchMemory();

const message = fc.record({
  id: fc.string({ minLength: 1, maxLength: 80 }),
  destination: fc.constant('t'),
  key: fc.option(fc.string({ maxLength: 300, unit: 'grapheme' }), { nil: undefined }),
  value: fc.option(fc.string({ maxLength: 3000, unit: 'grapheme' })),
  headers: fc.option(
    fc.array(fc.tuple(fc.string({ minLength: 1, maxLength: 20 }), fc.string({ maxLength: 200, unit: 'grapheme' })), { maxLength: 5 }),
    {
      nil: undefined,
    },
  ),
});

describe('encodeRecordBatch', () => {
  it.each(['none', 'gzip', 'snappy', 'lz4'] as const)('is what an independent reader reads back, checksum and all: %s', (compression) => {
    fc.assert(
      fc.property(fc.array(fc.array(message, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 4 }), (batches) => {
        const set = setOf(batches as TestMessage[][]);
        const bytes = encodeRecordBatch(set, compression, memory);
        const { records } = decodeBatches(Buffer.from(bytes), 3);
        memory.give(bytes.fill(0xff));
        expect(
          records.map(({ key, value, headers, sequence }) => ({
            key: key && String(key),
            value: value && String(value),
            headers: headers.map(([name, of]) => [name, String(of)]),
            sequence,
          })),
        ).toEqual(
          batches.flat().map(({ id, key, value, headers }, index) => ({
            key: key ?? null,
            value,
            headers: [...(headers ?? []), ['sluice.id', id]].map(([name, of]) => [Buffer.from(name as string, 'latin1').toString(), of]),
            // Sequences wrap around to 0.
            sequence: (2_147_483_646 + index) % 2 ** 31,
          })),
        );
        expect(records.every(({ producerId, producerEpoch }) => producerId === 77n && producerEpoch === 5)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it.each(['none', 'lz4'] as const)('is the same bytes in memory that another batch has used: %s', (compression) => {
    const messages = (from: number): TestMessage[] =>
      Array.from({ length: 300 }, (_, n) => ({
        id: `c/1/A.1/${from + n}/0`,
        destination: 't',
        key: `${n}`,
        value: randomBytes(300).toString('hex'),
      }));
    const used = encodeRecordBatch(setOf([messages(1000)]), compression, memory);
    memory.give(used);
    const set = setOf([messages(0)]);
    const bytes = encodeRecordBatch(set, compression, memory);
    expect(bytes.equals(encodeRecordBatch(set, compression, new BatchMemory()))).toBe(true);
    if (compression === 'none') expect(bytes.buffer).toBe(used.buffer);
  });

  it('the library reads it as well, and takes no more room than was counted', () => {
    const messages: TestMessage[] = Array.from({ length: 300 }, (_, n) => ({
      id: `c/1/A.1/${n}/0`,
      destination: 't',
      key: `${n}`,
      value: 'v'.repeat(n),
    }));
    const set = setOf([messages]);
    const bytes = encodeRecordBatch(set, 'none', memory);
    expect(readRecordsBatch(Reader.from(bytes)).records).toHaveLength(300);
    const counted = messages.reduce((sum, _, index) => sum + recordBytesOf((set.runs[0] as RecordSet['runs'][number]).batch, index) + 10, 61);
    expect(bytes.length).toBeLessThanOrEqual(counted);
  });
});
