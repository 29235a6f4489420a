import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { KafkaConfig } from '../../../../connectors/kafka/config.ts';
import { KafkaFailure, type RecordSet } from '../../../../connectors/kafka/drivers/driver.ts';
import { KafkaSink } from '../../../../connectors/kafka/sink.ts';
import type { Sink } from '../../../../src/plugin/sink.ts';
import type { Place } from '../../../../src/record/position.ts';
import { FakeCluster, FakeDriver, type Fate } from '../../../support/fake-kafka.ts';
import { messageBatch, series, type TestMessage } from '../../../support/message-batches.ts';
import { pluginContext } from '../../../support/plugin-context.ts';

const never = new AbortController().signal;
const DESTINATIONS = ['orders', 'lines'];
const BATCH = 30;
const messages = (number: number): TestMessage[] => series({ connector: 'shop', destinations: DESTINATIONS }, number * BATCH, (number + 1) * BATCH);

/** Small batches and a small window, so that a few messages meet every limit. */
const CONFIG: KafkaConfig = {
  brokers: ['fake:1'],
  driver: 'platformatic',
  topic: '{table}',
  createTopics: true,
  topicSettings: [],
  addedPartitions: 'ignore',
  compression: 'none',
  request: { bytes: 2000, records: 12, timeout: 100 },
  window: { bytes: 6000 },
};

function sinkOn(cluster: FakeCluster, saved: Record<string, string | null>): Sink {
  const context = pluginContext();
  const runtime = { ...context.runtime, setTimer: (callback: () => void) => context.runtime.setTimer(callback, 0) };
  const savePlace = (entries: Place): Promise<void> => Promise.resolve(void Object.assign(saved, entries));
  return new KafkaSink(CONFIG, { ...context, runtime, savePlace }, () => Promise.resolve(new FakeDriver(cluster)));
}

/** Each id once, and in order within its partition and destination. */
function expectEach(cluster: FakeCluster, expected: readonly TestMessage[]): void {
  const order = new Map(expected.map(({ id }, at) => [id, at]));
  const all: string[] = [];
  for (const [topic, partitions] of cluster.topics) {
    for (const [number, { records }] of partitions.entries()) {
      const at = records.map(({ id }) => order.get(id) as number);
      const history = cluster.history.filter((line) => !line.includes('/') || line.startsWith(`${topic}/${number} `)).join('\n');
      expect(at, `order of ${topic}/${number} (I3)\n${history}`).toEqual([...at].sort((a, b) => a - b));
      all.push(...records.map(({ id }) => id));
    }
  }
  expect([...all].sort(), 'each one once (I1, I4)').toEqual(expected.map(({ id }) => id).sort());
}

describe('Kafka lanes', () => {
  it('under lost requests, lost answers, late bytes, moved leaders, refused producers and crashes: each record once, in order', async () => {
    const fates: readonly Fate[] = ['stored', 'stored', 'stored', 'request lost', 'answer lost', 'late', 'moved', 'refused', 'too large'];
    await fc.assert(
      fc.asyncProperty(
        fc.infiniteStream(fc.constantFrom(...fates)),
        fc.array(fc.record({ batches: fc.integer({ min: 1, max: 5 }), durable: fc.nat({ max: 5 }), late: fc.boolean() }), {
          minLength: 1,
          maxLength: 6,
        }),
        async (fate, lives) => {
          const cluster = new FakeCluster(3, () => fate.next().value as Fate);
          const saved: Record<string, string | null> = {};
          let first = 0;
          for (const { batches, durable, late } of lives) {
            const sink = sinkOn(cluster, saved);
            cluster.history.push('— a new process');
            await sink.open(Object.keys(saved).length === 0 ? null : { ...saved }, never);
            // What the kernel had still to deliver may come when the partitions were read already.
            if (late) cluster.deliverLate();
            const writes = Array.from({ length: batches }, (_, each) => sink.write(messageBatch(messages(first + each)), never));
            for (const write of writes) write.catch(() => undefined);
            // Only a contiguous prefix is saved; the process dies with the rest on its way.
            const kept = Math.min(durable, batches);
            for (let each = 0; each < kept; each++) Object.assign(saved, await writes[each]);
            first += kept;
            await sink.close();
            await Promise.allSettled(writes);
          }
          const last = sinkOn(cluster, saved);
          await last.open(Object.keys(saved).length === 0 ? null : { ...saved }, never);
          cluster.deliverLate();
          for (let number = first; number < first + 6; number++) await last.write(messageBatch(messages(number)), never);
          await last.close();
          const total = first + 6;
          expectEach(cluster, Array.from({ length: total }, (_, number) => messages(number)).flat());
          // Concurrent idempotent sends to one partition lose records in one client and reorder in the other (libraries.md §4, trap E).
          expect(cluster.mostAtOnce).toBe(1);
        },
      ),
      { numRuns: 100 },
    );
  }, 60_000);

  describe('one message ends the sink (its table stops) while another lane waits for its answer', () => {
    /** Refuses what goes to `lines`, and keeps what goes to `orders` until it is told. */
    class Holding extends FakeDriver {
      asked = 0;
      settle: (how: 'stored' | 'lost') => void = () => undefined;
      readonly #until = new Promise<'stored' | 'lost'>((resolve) => {
        this.settle = resolve;
      });

      override async produce(set: RecordSet): Promise<number> {
        if (set.topic === 'lines') throw new KafkaFailure('MESSAGE_TOO_LARGE', 'too large');
        this.asked++;
        if ((await this.#until) === 'lost') throw new KafkaFailure('TIMEOUT', 'no answer');
        return super.produce(set);
      }
    }
    const begun = async (): Promise<{ driver: Holding; sink: Sink; ended: () => boolean; saved: Record<string, string | null> }> => {
      const driver = new Holding(new FakeCluster(1, () => 'stored'));
      const context = pluginContext();
      const sink = new KafkaSink(CONFIG, context, () => Promise.resolve(driver));
      await sink.open(null, never);
      let ended = false;
      const write = sink.write(messageBatch(messages(0)), never);
      write.catch(() => {
        ended = true;
      });
      await expect.poll(() => driver.asked).toBe(1);
      return { driver, sink, ended: () => ended, saved: context.saved };
    };
    const moment = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 50));

    it('the answer is waited for: what stands is read back by the next life (I4)', async () => {
      const { driver, sink, ended, saved } = await begun();
      await moment();
      expect(ended()).toBe(false);
      driver.settle('stored');
      await expect.poll(ended).toBe(true);
      await sink.close();
      expect(driver.asked, 'nothing more is sent').toBe(1);
      expect(saved['!unsettled']).toBeUndefined();
    });

    it.each(['lost', 'never'])('without an answer (%s) the next life waits until nothing can come any more (I4)', async (how) => {
      const { driver, sink, ended, saved } = await begun();
      if (how === 'lost') driver.settle('lost');
      await expect.poll(ended, { timeout: 3_000 }).toBe(true);
      await sink.close();
      expect(driver.asked, 'nothing more is sent').toBe(1);
      expect(saved['!unsettled']).toBe('stopped');
    });
  });

  it('with a hole behind the saved place everything of the partition is written again, in its order (algorithms §2)', async () => {
    const cluster = new FakeCluster(1, () => 'stored');
    const saved: Record<string, string | null> = {};
    const first = sinkOn(cluster, saved);
    await first.open(null, never);
    await first.write(messageBatch(messages(0)), never);
    await first.close();
    // Compaction has taken one.
    const partition = cluster.partition({ topic: 'orders', partition: 0 });
    const ids = partition.records.map(({ id }) => id);
    partition.records.splice(3, 1, { ...(partition.records[3] as (typeof partition.records)[number]), id: 'foreign' });
    const driver = new FakeDriver(cluster);
    const read = driver.read.bind(driver);
    driver.read = (where, from, end, visit) => read(where, from, end, (record) => void (record.id !== 'foreign' && visit(record)));
    const context = pluginContext();
    const again = new KafkaSink(CONFIG, context, () => Promise.resolve(driver));
    await again.open({ ...saved }, never);
    expect(context.lines.some(({ level, message }) => level === 'warn' && message.includes('1 record behind the saved place is gone'))).toBe(true);
    await again.write(messageBatch(messages(0)), never);
    await again.close();
    expect(partition.records.slice(ids.length).map(({ id }) => id)).toEqual(ids);
  });
});
