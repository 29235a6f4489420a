import { describe, expect, it } from 'vitest';
import type { KafkaConfig } from '../../../../connectors/kafka/config.ts';
import type { TopicInfo } from '../../../../connectors/kafka/drivers/driver.ts';
import { findingsOfTopic, gathered } from '../../../../connectors/kafka/preflight.ts';

const config = { brokers: ['kafka:9092'], request: { bytes: 900 * 1024 } } as unknown as KafkaConfig;

function topic(name: string, replicas: number, rights: TopicInfo['rights'] = null): TopicInfo {
  return { name, id: '', rights, partitions: [{ partition: 0, leader: 1, replicas, inSync: replicas }] };
}

const codes = (info: TopicInfo, settings: Record<string, string> | null): string[] =>
  findingsOfTopic(config, 'shop', info, settings === null ? null : new Map(Object.entries(settings))).map(
    ({ severity, code }) => `${severity} ${code}`,
  );

describe('what is found of a topic', () => {
  it.each<[string, TopicInfo, Record<string, string> | null, string[]]>([
    ['nothing to say', topic('t', 3), { 'min.insync.replicas': '2', 'cleanup.policy': 'compact' }, []],
    ['one replica', topic('t', 1), { 'min.insync.replicas': '1' }, ['info SLUICE_KAFKA_ONE_REPLICA']],
    ['an acknowledgement of one', topic('t', 3), { 'min.insync.replicas': '1' }, ['warning SLUICE_KAFKA_MIN_INSYNC']],
    ['more than there are', topic('t', 2), { 'min.insync.replicas': '3' }, ['error SLUICE_KAFKA_MIN_INSYNC_TOO_HIGH']],
    ['old ones go', topic('t', 3), { 'min.insync.replicas': '2', 'cleanup.policy': 'delete', 'retention.ms': '1000' }, ['info SLUICE_KAFKA_DELETES']],
    ['none go', topic('t', 3), { 'min.insync.replicas': '2', 'cleanup.policy': 'delete', 'retention.ms': '-1', 'retention.bytes': '-1' }, []],
    ['small batches', topic('t', 3), { 'min.insync.replicas': '2', 'max.message.bytes': '1000' }, ['info SLUICE_KAFKA_MAX_MESSAGE']],
    ['settings that may not be read', topic('t', 3), null, ['info SLUICE_KAFKA_SETTINGS_UNSEEN']],
    [
      'replicas that may lead although they lag',
      topic('t', 3),
      { 'min.insync.replicas': '2', 'unclean.leader.election.enable': 'true' },
      ['warning SLUICE_KAFKA_UNCLEAN_ELECTION'],
    ],
    ['no right to write', topic('t', 3, { read: true, write: false, describeConfigs: true }), {}, ['error SLUICE_KAFKA_RIGHTS']],
  ])('%s', (_, info, settings, expected) => {
    expect(codes(info, settings)).toEqual(expected);
  });

  it('what holds for many is said once; errors are said one by one', () => {
    const all = ['a', 'b', 'c'].flatMap((name) => findingsOfTopic(config, 'shop', topic(name, 1), new Map([['min.insync.replicas', '2']])));
    const said = gathered(all);
    expect(said.filter(({ severity }) => severity === 'error')).toHaveLength(3);
    const [one] = said.filter(({ code }) => code === 'SLUICE_KAFKA_ONE_REPLICA');
    expect(one?.message).toMatch(/^The topic "a" has one replica.*The same goes for 2 more\.$/);
  });
});
