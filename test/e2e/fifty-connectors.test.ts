/** Fifty connectors in one process, seven of them each in trouble of another kind: the others neither stop nor wait. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { FiftyConnectors, TROUBLED, WELL } from '../support/fifty-connectors.ts';

let fleet: FiftyConnectors | undefined;

beforeAll(async () => {
  fleet = await FiftyConnectors.begin();
}, 180_000);

afterAll(() => fleet?.dispose(), 60_000);

it('each state beside forty-three that run: all of their rows arrive while the others stay as they are', async () => {
  const running = fleet as FiftyConnectors;
  expect((await running.load(200, 5)).rows).toBe(1000);
  await running.trouble();
  expect((await running.load(200, 5)).rows).toBe(1000);
  const states = await running.states();
  expect(states).toMatchObject(TROUBLED);
  expect(Object.values(states).filter((state) => state === 'running')).toHaveLength(WELL + 1);
}, 180_000);
