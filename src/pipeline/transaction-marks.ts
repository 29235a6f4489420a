import type { TransactionMessages } from '../plugin/format.ts';
import { type RecordBatch, SNAPSHOT_MARK, type Transaction } from '../record/batch.ts';
import type { RecordCursor } from '../record/cursor.ts';
import type { MessageWriter } from '../record/messages.ts';

/**
 * Where transactions of the log begin and end among the records, and what the format says there. A transaction may go on through many batches; its end stands in front
 * of the next record of the log, or at the end of the batch whose checkpoint is behind it, so that no checkpoint is ahead of it (I1) and its place among the messages is the
 * same at each replay (I4). Rows of copies come in between and say nothing of it.
 */
export class TransactionMarks {
  readonly #messages: TransactionMessages;
  /** Says where the next message goes. */
  readonly #aim: (out: MessageWriter) => void;
  #open: Transaction | null = null;

  constructor(messages: TransactionMessages, aim: (out: MessageWriter) => void) {
    this.#messages = messages;
    this.#aim = aim;
  }

  /** Before each record. */
  before({ transaction, snapshot, table }: RecordCursor, out: MessageWriter): void {
    if (transaction === this.#open || snapshot !== SNAPSHOT_MARK.none) return;
    this.#end(out);
    // A statement that changes a definition is no event of its transaction.
    if (transaction.beginId === undefined || table.kind === 'definition') return;
    this.#open = transaction;
    this.#aim(out);
    this.#messages.begin(transaction, out);
  }

  /** Behind the last record of each batch. */
  behind(batch: RecordBatch, out: MessageWriter): void {
    if (this.ending(batch) !== null) this.#end(out);
  }

  /** The transaction that was open before this batch or in it, and ends with it. */
  ending({ checkpoint, checkpointRecords, count }: RecordBatch): Transaction | null {
    return checkpoint !== null && checkpointRecords === count ? this.#open : null;
  }

  #end(out: MessageWriter): void {
    const transaction = this.#open;
    if (transaction === null) return;
    this.#open = null;
    this.#aim(out);
    this.#messages.end(transaction, out);
  }
}
