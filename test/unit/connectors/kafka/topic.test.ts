import { expect, test } from 'vitest';
import { templateProblem, topicMatcher, topicOf } from '../../../../connectors/kafka/topic.ts';

const table = (schema: string, name: string) => ({ catalog: 'shop', schema, name });

test('names become what Kafka allows', () => {
  expect(topicOf('{connector}.{schema}.{table}', 'shop', table('public', 'Order Lines/ü'))).toBe('shop.public.Order_Lines__');
  expect(topicOf('cdc-{schema}-{table}', 'shop', table('', 't'))).toBe('cdc-shop-t');
});

test('a name that is too long is an error, not a cut', () => {
  expect(() => topicOf('{table}', 'c', table('s', 'x'.repeat(250)))).toThrow(expect.objectContaining({ code: 'SLUICE_KAFKA_TOPIC_NAME' }));
});

test.each([
  ['{connector}.{tabel}', '"{tabel}" is not known'],
  ['a b', 'Kafka allows'],
  ['{table', 'a brace'],
  ['', 'empty'],
  ['..', 'does not allow'],
])('the template "%s" is refused', (template, says) => {
  expect(templateProblem(template)).toContain(says);
});

test('the topics of a template are told from others', () => {
  const matches = topicMatcher('{connector}.{schema}.{table}', 'my-shop');
  expect(matches('my-shop.public.orders')).toBe(true);
  expect(matches('my-shop2.public.orders')).toBe(false);
  expect(topicMatcher('all', 'x')('all')).toBe(true);
  expect(topicMatcher('all', 'x')('allx')).toBe(false);
});
