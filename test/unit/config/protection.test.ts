import { expect, test } from 'vitest';
import { connector, loadOne, problemsOf } from './plugins.ts';

test('a slot that would never be dropped, because the connector has stopped before, is refused', async () => {
  const both = connector({ protect: { stop: { timeLeft: '1h' }, dropSlot: { timeLeft: '1m' } } });
  expect(problemsOf(await loadOne(both)).map(({ code, path, message }) => [code, path, message])).toContainEqual([
    'SLUICE_CONFIG_CHECK',
    'protect.dropSlot',
    expect.stringContaining('the slot would never be dropped'),
  ]);
});
