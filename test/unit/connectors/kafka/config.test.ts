import { describe, expect, it } from 'vitest';
import { type KafkaConfig, parseBroker, validateKafka } from '../../../../connectors/kafka/config.ts';

const config = (options: Partial<KafkaConfig>): KafkaConfig => ({
  brokers: ['k:9092'],
  driver: 'platformatic',
  topic: '{connector}.{schema}.{table}',
  createTopics: true,
  topicSettings: [],
  addedPartitions: 'ignore',
  compression: 'none',
  request: { bytes: 900 * 1024, records: 4000, timeout: 5000 },
  window: { bytes: 16 * 1024 * 1024 },
  ...options,
});

describe('validateKafka', () => {
  it('accepts what is right', () => {
    expect(validateKafka(config({ brokers: ['a:1', '[::1]:9092'], topicSettings: ['cleanup.policy=compact'] }))).toEqual([]);
  });

  it.each<[Partial<KafkaConfig>, string, string]>([
    [{ brokers: ['kafka://a:1'] }, 'brokers[0]', 'host:port'],
    [{ brokers: ['a'] }, 'brokers[0]', 'host:port'],
    [{ brokers: ['u:p@a:1'] }, 'brokers[0]', 'sasl'],
    [{ topic: '{tabel}' }, 'topic', '{connector}'],
    [{ topicSettings: ['compact'] }, 'topicSettings[0]', 'name=value'],
    [{ sasl: { mechanism: 'plain', user: 'u' } }, 'sasl', 'both'],
    [{ sasl: { mechanism: 'oauthbearer' } }, 'sasl.token', 'command'],
    [{ sasl: { mechanism: 'oauthbearer', token: 'x', user: 'u' } }, 'sasl', 'token'],
    [{ sasl: { mechanism: 'plain', user: 'u', password: 'p', token: 'x' } }, 'sasl.token', 'Remove'],
    [{ sasl: { mechanism: 'plain', user: 'u', password: 'p' } }, 'sasl.mechanism', 'scram-sha-512'],
    [{ sasl: { mechanism: 'oauthbearer', token: 't' } }, 'sasl.mechanism', '"tls"'],
    [{ tls: { cert: '/x' } }, 'tls', 'both'],
  ])('%j', (options, path, remedy) => {
    const [problem] = validateKafka(config(options));
    expect(problem?.path).toBe(path);
    expect(problem?.remedy).toContain(remedy);
  });

  it('reads addresses', () => {
    expect(parseBroker('[fe80::1]:9092')).toEqual({ host: 'fe80::1', port: 9092 });
    expect(parseBroker('k:70000')).toBeNull();
  });
});
