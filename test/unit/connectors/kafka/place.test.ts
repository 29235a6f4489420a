import { expect, test } from 'vitest';
import { laneValue, parseLaneKey, parsePlace, topicEntry, topicValue } from '../../../../connectors/kafka/place.ts';

test('a place is read as it was written', () => {
  const identity = { producerId: 9_007_199_254_740_993n, epoch: 3, sequence: 2_147_483_647 };
  const place = parsePlace({
    cluster: 'MkU3',
    [topicEntry('a.b')]: topicValue({ partitions: 12, id: 'x-1' }),
    'a.b/0': laneValue(12_345_678_901_234, identity),
    'a.b/11': laneValue(0, null),
  });
  expect(place?.cluster).toBe('MkU3');
  expect(place?.topics.get('a.b')).toEqual({ partitions: 12, id: 'x-1' });
  expect(place?.lanes.get('a.b/0')).toEqual({ offset: 12_345_678_901_234, identity });
  expect(place?.lanes.get('a.b/11')).toEqual({ offset: 0, identity: null });
  expect(parseLaneKey('a.b/11')).toEqual({ topic: 'a.b', partition: 11 });
});

test("another sink's place is none of ours", () => {
  expect(parsePlace({ sequence: '5', created: '2026-01-01' })).toBeNull();
  expect(parsePlace({ cluster: 'c', 'a/0': 'x' })).toBeNull();
});
