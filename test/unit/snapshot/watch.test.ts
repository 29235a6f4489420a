import { expect, test } from 'vitest';
import type { SnapshotView } from '../../../src/plugin/snapshot.ts';
import { BatchWriter, OP } from '../../../src/record/batch.ts';
import { TableRegistry, type TableVersion } from '../../../src/record/table.ts';
import type { LogicalType } from '../../../src/record/types.ts';
import { Watch } from '../../../src/snapshot/watch.ts';

const registry = new TableRegistry({ described: true });

function table(type: LogicalType, labels: readonly string[]): TableVersion {
  const facts = { required: true, default: null, computed: false, labels, id: null };
  const column = { name: 'mood', type, typeName: 'public.mood', scale: null, precision: null, facts };
  return registry.version({ kind: 'table', catalog: 'db', schema: 'public', name: 't', columns: [column], key: [0] });
}

test('rows are outdated by another structure of their table, and not by another label of an enum', () => {
  const watch = new Watch({ shows: () => false } as Partial<SnapshotView> as SnapshotView, 'public.t');
  const batch = new BatchWriter(registry, () => undefined, 0);
  batch.record(OP.delete, table('text', ['sad']), { id: 'a', commitMicros: 1 }, 0);
  watch.observe(batch);
  expect(table('text', ['sad'])).not.toBe(table('text', ['sad', 'happy']));
  expect(watch.outdates(table('text', ['sad', 'happy']))).toBe(false);
  expect(watch.outdates(table('other', ['sad']))).toBe(true);
});
