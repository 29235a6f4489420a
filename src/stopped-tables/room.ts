/** What a spool needs whose table is being resumed: room, and that others have to wait for it only shortly. */
import { SluiceError } from '../plugin/error.ts';
import type { MessageBatch, MessageWriter } from '../record/messages.ts';
import { SEGMENTS_FULL } from '../segments/errors.ts';
import type { Spool } from './spool.ts';

/**
 * As `Spool.append`, but for one that is full while its table is resumed: it has room again as soon as some of it was sent, and so that is waited for. Throws SLUICE_SEGMENTS_FULL where
 * nothing makes room.
 * @param makeRoom sends some of what waits; null: nobody sends it
 */
export async function appendInto(
  spool: Spool,
  batch: MessageBatch,
  indexes: readonly number[],
  makeRoom: () => Promise<void> | null,
): Promise<string> {
  for (;;) {
    try {
      return await spool.append(batch, indexes);
    } catch (error) {
      const isFull = error instanceof SluiceError && error.kind === SEGMENTS_FULL && spool.messages > 0;
      const made = isFull ? makeRoom() : null;
      if (made === null) throw error;
      await made;
    }
  }
}

/** Before others have to wait for what is sent: asks for what it lacks. What is put behind it then, the pipeline has asked for. */
export async function prepareWaiting(
  spool: Spool,
  prepare: ((batch: MessageWriter) => Promise<boolean>) | null,
  isOver: () => boolean,
): Promise<void> {
  if (prepare === null) return;
  for (const entry of spool.next(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY)) {
    if (isOver() || !(await prepare(await spool.read(entry)))) return;
  }
}
