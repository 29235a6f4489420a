import { describe, expect, it } from 'vitest';
import { Job } from '../../../../connectors/kafka/job.ts';
import { Lane } from '../../../../connectors/kafka/lane.ts';
import { Noted } from '../../../../src/plugin/noted.ts';
import { messageBatch } from '../../../support/message-batches.ts';

const LIMITS = { records: 10, bytes: 10_000, message: 10_000 };
const done = (): void => undefined;

function jobOf(...transactions: readonly string[]): Job {
  const messages = transactions.map((transaction) => ({ id: `shop/${transaction}/0/0`, destination: 't', key: 'k', value: 'v' }));
  return new Job(messageBatch(messages), done, done);
}

function laneWith(...noted: readonly string[]): Lane {
  const lane = new Lane('t', 0);
  lane.offset = 100;
  const found = new Noted('shop');
  for (const transaction of noted) found.note('', `shop/${transaction}/0/0`);
  lane.expect(found);
  return lane;
}

function add(lane: Lane, job: Job): void {
  lane.add({ job, indexes: Int32Array.from({ length: job.batch.count }, (_, index) => index), at: 0 });
}

describe('a lane that reads again what stands behind its place (algorithms §2)', () => {
  it('keeps the place while a message that was a dead letter is refused once more, in front of others that stand (I4)', () => {
    const lane = laneWith('b', 'c');
    const first = jobOf('letter', 'b');
    add(lane, first);
    expect(lane.take(LIMITS, 0, done)?.set.count).toBe(1);
    lane.passOver(done);
    expect(lane.take(LIMITS, 0, done)).toBeNull();
    expect(first.moved).toEqual({});
    const second = jobOf('c');
    add(lane, second);
    expect(lane.take(LIMITS, 0, done)).toBeNull();
    expect(Object.keys(second.moved)).toEqual([lane.key]);
  });

  it('is not moved by a resumed message whose batch had no room for the new one behind it', () => {
    const lane = laneWith('b', 'c');
    const job = jobOf('resumed/t/x', 'letter', 'b');
    add(lane, job);
    expect(lane.take({ ...LIMITS, bytes: 1 }, 0, done)?.set.count).toBe(1);
    lane.confirmed(100, done);
    expect(job.moved).toEqual({});
  });

  it('moves the place with the first message that is stored behind all of them', () => {
    const lane = laneWith('b', 'of another configuration');
    const job = jobOf('b', 'new');
    add(lane, job);
    expect(lane.take(LIMITS, 0, done)?.set.count).toBe(1);
    expect(job.moved).toEqual({});
    lane.confirmed(100, done);
    expect(Object.keys(job.moved)).toEqual([lane.key]);
  });
});
