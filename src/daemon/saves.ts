import type { Checkpoint } from '../pipeline/checkpoints.ts';
import type { TableRegistry } from '../record/table.ts';
import type { SchemaPolicy } from '../schema-policy/policy.ts';
import type { Save, StateStore } from '../state/state-store.ts';
import type { UndeliveredMessages } from './undelivered.ts';

/** What is stored as one with a checkpoint: what it rests on must neither be older nor newer than it (algorithms §3). */
export function saveOf(checkpoint: Checkpoint, undelivered: UndeliveredMessages): Save {
  const { progress, shapes } = checkpoint;
  return { offset: checkpoint, progress, shapes, mark: undelivered.mark() };
}

/** What is new of the tables, stored as one before messages go that name it; null: nothing is. */
export function saveHistoryOf(store: StateStore, connector: string, tables: TableRegistry, policy: SchemaPolicy | null): () => Promise<void> | null {
  return () => {
    if (!tables.hasChanges && policy?.hasChanges !== true) return null;
    return store.saveHistory(connector, tables.takeChanges(), policy?.takeAccepted());
  };
}
