import { describe, expect, it } from 'vitest';
import { type KafkaConfig, parseBroker, validateKafka } from '../../../../connectors/kafka/config.ts';
import { runTokenCommand } from '../../../../connectors/kafka/connection.ts';

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
    [{ sasl: { mechanism: 'oauthbearer' } }, 'sasl.tokenCommand', 'tokenCommand'],
    [{ sasl: { mechanism: 'oauthbearer', tokenCommand: ['x'], user: 'u' } }, 'sasl', 'tokenCommand'],
    [{ sasl: { mechanism: 'plain', user: 'u', password: 'p', tokenCommand: ['x'] } }, 'sasl.tokenCommand', 'Remove'],
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

describe('runTokenCommand', () => {
  const node = (script: string): string[] => [process.execPath, '-e', script];

  it('takes the token itself, or the access_token of a JSON object', async () => {
    expect(await runTokenCommand(node('console.log("abc.def")'))).toBe('abc.def');
    expect(await runTokenCommand(node('console.log(JSON.stringify({access_token:"t",expires_in:1}))'))).toBe('t');
  });

  it.each([
    [['/no/such/program'], 'there is no program'],
    [node('console.error("no login"); process.exit(3)'), 'it ended with 3 (no login)'],
    [node(''), 'it printed none'],
    [node('console.log("{broken")'), 'it printed none'],
    [node('console.log("two lines\\nof it")'), 'what it printed is no token'],
    [['/dev/null'], '"/dev/null" may not be run'],
    [node('process.stdout.write("x".repeat(3e6))'), 'it printed too much'],
  ])('%j gives no token', async (command, says) => {
    await expect(runTokenCommand(command)).rejects.toThrow(says);
  });

  it('is told at once that nobody answers what it asks', async () => {
    expect(await runTokenCommand(node('process.stdin.on("end", () => console.log("asked.in.vain")).resume()'))).toBe('asked.in.vain');
  });

  it('never shows what was printed (I12)', async () => {
    const error = await runTokenCommand(node('console.log("hunter2"); process.exit(1)')).catch((thrown: Error) => thrown);
    expect(String(error)).not.toContain('hunter2');
  });
});
