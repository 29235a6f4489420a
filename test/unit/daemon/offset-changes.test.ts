import { expect, it } from 'vitest';
import { moveTo } from '../../../src/daemon/offset-changes.ts';
import { CONNECTOR_RUNNING } from '../../../src/daemon/offsets.ts';
import { SluiceError } from '../../../src/plugin/error.ts';
import { connectorWith } from '../../support/connector-lives.ts';

it('an offset is not moved under a connector that was resumed while its servers were asked', async () => {
  const written: unknown[] = [];
  const store = {
    inspect: async () => ({ offset: null, tables: [], progress: {} }),
    replaceOffset: async (...all: readonly unknown[]) => void written.push(all),
  };
  const { connector, ports } = connectorWith([], [], 'shop', { store: store as never });
  const to = { position: { at: '1' }, place: null };
  const demandAtRest = (): never => {
    throw new SluiceError(CONNECTOR_RUNNING, { connector: 'shop', state: 'running' });
  };
  const moved = moveTo(connector.definition, to, 'offsets set', { ...ports, store: ports.store, demandAtRest }, { isDryRun: false });
  await expect(moved).rejects.toMatchObject({ code: 'SLUICE_CONNECTOR_RUNNING' });
  expect(written).toEqual([]);
});
