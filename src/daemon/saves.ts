import type { Checkpoint } from '../pipeline/checkpoints.ts';
import type { Save } from '../state/state-store.ts';
import type { UndeliveredMessages } from './undelivered.ts';

/** What is stored as one with a checkpoint: what it rests on must neither be older nor newer than it (algorithms §3). */
export function saveOf(checkpoint: Checkpoint, undelivered: UndeliveredMessages): Save {
  const { progress, shapes } = checkpoint;
  return { offset: checkpoint, progress, shapes, mark: undelivered.mark() };
}
