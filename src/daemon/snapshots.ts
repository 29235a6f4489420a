import { TableCopy } from '../snapshot/table-copy.ts';
import { type CopyView, copyView } from '../snapshot/view.ts';
import type { StateStore } from '../state/state-store.ts';

/** Copies of a connector as they were saved last. */
export async function storedCopies(connector: string, store: StateStore): Promise<readonly CopyView[]> {
  const { progress } = await store.inspect(connector);
  return Object.entries(progress).flatMap(([entry, text]) => {
    const copy = text === null ? null : TableCopy.restore(entry, text);
    return copy === null ? [] : [copyView(connector, copy, null)];
  });
}
