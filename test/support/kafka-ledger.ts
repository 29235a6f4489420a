import type { KafkaServer } from '../servers/index.ts';
import { describeTopic, readTopic } from './kafka-topics.ts';
import { type DebeziumValue, type LedgerOptions, StreamLedger } from './stream-ledger.ts';

/** Reads these topics as an independent consumer, partition by partition, and adds up what they hold. */
export async function ledgerOfTopics(server: KafkaServer, topics: readonly string[], options: LedgerOptions = {}): Promise<StreamLedger> {
  const all = new StreamLedger(options);
  for (const topic of topics) {
    const records = await readTopic(server, topic);
    for (const { partition } of await describeTopic(server, topic)) {
      const ledger = new StreamLedger(options);
      for (const record of records) {
        if (record.partition !== partition) continue;
        const id = record.headers.find(([name]) => name === 'sluice.id')?.[1];
        ledger.take({
          sequence: Number(record.offset),
          subject: topic,
          id: String(id),
          key: record.key === null ? null : record.key.toString('utf8'),
          value: record.value === null ? null : (JSON.parse(record.value.toString('utf8')) as DebeziumValue),
        });
      }
      all.absorb(ledger);
    }
  }
  return all;
}
