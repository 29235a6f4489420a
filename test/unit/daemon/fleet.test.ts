import { expect, it } from 'vitest';
import { Fleet, type FleetPorts } from '../../../src/daemon/fleet.ts';
import { MemoryBudget } from '../../../src/pipeline/memory.ts';
import { TailPoints } from '../../../src/tail/tail.ts';
import { connectorWith } from '../../support/connector-lives.ts';

it('an exchange that cannot read the state leaves what runs as it is, and works once it can', async () => {
  let isBroken = false;
  const isPaused = (): Promise<boolean> => (isBroken ? Promise.reject(new Error('the disk is full')) : Promise.resolve(false));
  const { connector, ports, runtime } = connectorWith([], [], 'shop', { store: { isPaused } });
  const never = new AbortController().signal;
  const log = { ...ports.log, child: () => ports.log };
  const fleet = new Fleet({
    ...ports,
    log,
    tails: new TailPoints(),
    memory: new MemoryBudget(null),
    shutdown: { drain: never, abort: never },
  } as unknown as FleetPorts);
  const { definition } = connector;
  await fleet.start([definition]);
  await runtime.advance(100);
  expect(fleet.connectors.map(({ state }) => state)).toEqual(['running']);
  const [before] = fleet.connectors;
  isBroken = true;
  await expect(fleet.exchange(['shop'], [definition], 1_000)).rejects.toThrow('the disk is full');
  expect(fleet.connectors).toEqual([before]);
  expect(before?.state).toBe('running');
  isBroken = false;
  const exchanged = fleet.exchange(['shop'], [definition], 1_000);
  await runtime.advance(100);
  await exchanged;
  await runtime.advance(100);
  expect(fleet.connectors.map(({ state }) => state)).toEqual(['running']);
  expect(fleet.connectors[0]).not.toBe(before);
});

it('a connector that was paused while it was exchanged is paused afterwards', async () => {
  let isPaused = false;
  let asked = 0;
  const store = {
    isPaused: (): Promise<boolean> => {
      const answer = isPaused;
      // Somebody pauses it just after the exchange has asked.
      if (++asked === 2) isPaused = true;
      return Promise.resolve(answer);
    },
  };
  const { connector, ports, runtime } = connectorWith([], [], 'shop', { store });
  const never = new AbortController().signal;
  const more = { log: { ...ports.log, child: () => ports.log }, tails: new TailPoints(), memory: new MemoryBudget(null) };
  const fleet = new Fleet({ ...ports, ...more, shutdown: { drain: never, abort: never } } as unknown as FleetPorts);
  await fleet.start([connector.definition]);
  await runtime.advance(100);
  const exchanged = fleet.exchange(['shop'], [connector.definition], 1_000);
  await runtime.advance(100);
  await exchanged;
  await runtime.advance(100);
  expect(fleet.connectors.map(({ state }) => state)).toEqual(['paused']);
});
