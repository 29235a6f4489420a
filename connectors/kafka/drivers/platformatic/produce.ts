/** The Produce request (key 0, version 9: brokers from 2.8 on) with batches of our own making, and its answer. */
import { protocolErrorsCodesById, type Reader, Writer } from '@platformatic/kafka';
import { KafkaFailure, type RecordSet } from '../driver.ts';

export const PRODUCE = { key: 0, version: 9 } as const;
const ALL_IN_SYNC = -1;

/** One answer for one partition. */
export interface ProduceAnswer {
  readonly topic: string;
  readonly partition: number;
  readonly errorCode: number;
  readonly baseOffset: number;
  readonly detail: string | null;
}

/** `sets`: one for each partition. Their `encoded` is the batch's bytes. */
export function produceRequest(sets: readonly RecordSet[], timeoutMs: number): Writer {
  const byTopic = new Map<string, RecordSet[]>();
  for (const set of sets) {
    const others = byTopic.get(set.topic);
    if (others === undefined) byTopic.set(set.topic, [set]);
    else others.push(set);
  }
  return Writer.create()
    .appendString(null)
    .appendInt16(ALL_IN_SYNC)
    .appendInt32(timeoutMs)
    .appendArray([...byTopic], (topics, [topic, partitions]) => {
      topics.appendString(topic).appendArray(partitions, (writer, { partition, encoded }) => {
        writer.appendInt32(partition).appendBytes(encoded as Buffer);
      });
    })
    .appendTaggedFields();
}

export function parseProduceAnswer(_correlation: number, _key: number, _version: number, reader: Reader): readonly ProduceAnswer[] {
  const answers: ProduceAnswer[] = [];
  reader.readArray((topics) => {
    const topic = topics.readString();
    topics.readArray((r) => {
      const partition = r.readInt32();
      const errorCode = r.readInt16();
      const baseOffset = Number(r.readInt64());
      // Append time and the log's start.
      r.readInt64();
      r.readInt64();
      const ofRecords = r.readArray((record) => {
        record.readInt32();
        return record.readNullableString();
      });
      const detail = r.readNullableString() ?? ofRecords.find((text) => text !== null) ?? null;
      answers.push({ topic, partition, errorCode, baseOffset, detail });
    });
  });
  return answers;
}

/** The offset of a set's first record, by the answers. A set without one is a failure: nothing says that it was stored. */
export function offsetOf(set: RecordSet, answers: readonly ProduceAnswer[]): number | KafkaFailure {
  const answer = answers.find(({ topic, partition }) => topic === set.topic && partition === set.partition);
  if (answer === undefined) return new KafkaFailure('NO_RESPONSE', `the broker's answer says nothing of ${set.topic}/${set.partition}`);
  if (answer.errorCode !== 0) return protocolFailure(answer.errorCode, answer.detail);
  if (answer.baseOffset < 0) return new KafkaFailure('NO_RESPONSE', `the broker's answer has no offset for ${set.topic}/${set.partition}`);
  return answer.baseOffset;
}

/** A failure by the number of Kafka's protocol error. The broker's own words go with it: they name topics and limits, not values. */
export function protocolFailure(errorCode: number, detail: string | null): KafkaFailure {
  const name = (protocolErrorsCodesById as Readonly<Record<number, string>>)[errorCode] ?? `ERROR_${errorCode}`;
  return new KafkaFailure(name, detail === null || detail === '' ? name : `${name}: ${detail}`);
}
