import { describe, expect, it } from 'vitest';
import type { ConnectorDefinition } from '../../../src/config/load.ts';
import { openTables } from '../../../src/daemon/open.ts';
import { debezium } from '../../../src/formats/debezium/index.ts';
import { native } from '../../../src/formats/native/index.ts';
import type { Loaded } from '../../../src/state/state-store.ts';
import { DEBEZIUM_DEFAULTS } from '../../support/encoded.ts';

describe('table versions of a connector', () => {
  const described = (plugin: object, config: object, schemaChanges = {}): boolean =>
    openTables(
      { format: { plugin, config }, schemaChanges, compatibility: { level: 'none', levels: {} } } as unknown as ConnectorDefinition,
      { tables: [] } as unknown as Loaded,
    ).described;

  it('hold what the catalogue says of columns where the format writes schemas, and only there', () => {
    expect(described(debezium, DEBEZIUM_DEFAULTS)).toBe(false);
    expect(described(debezium, { ...DEBEZIUM_DEFAULTS, schemasEnable: true })).toBe(true);
    expect(described(native, { tombstones: true })).toBe(false);
    expect(described(native, { tombstones: true }, { topic: 'changes' })).toBe(true);
  });
});
