import type { Logger } from '../plugin/context.ts';
import { SluiceError } from '../plugin/error.ts';
import { HEAD, HEAD_SIZE, OP, type RecordBatch } from '../record/batch.ts';
import type { SignalCommand, SnapshotCommands } from './commands.ts';
import { SIGNAL_DATA, SIGNAL_TOO_MANY } from './errors.ts';
import { type Signal, understand } from './signals.ts';

/** id, type, data: told by their order, as Debezium does; their names are the user's. */
const COLUMNS = 3;
const [TYPE, DATA] = [1, 2];
/** Signals wait for the end of their transaction, however large it is: so much of them (I9). */
const MAX_PENDING_BYTES = 4 * 1024 * 1024;
/** What one takes beside its text. */
const SIGNAL_BYTES = 100;

/**
 * Takes the rows of the signal table out of the log: an INSERT is a command, nothing of the table is a message. What a signal changes is saved in one with the place behind
 * it: it is done only with the batch whose checkpoint covers it, and so exactly once, whatever crashes (I5).
 */
export class SignalReader {
  readonly #table: string;
  readonly #commands: SnapshotCommands;
  readonly #log: Logger;
  /** Read, and not covered by a checkpoint yet. Null: it has not the columns of a signal. */
  readonly #pending: (Signal | null)[] = [];
  #pendingBytes = 0;
  #passedOver = 0;

  constructor(table: string, commands: SnapshotCommands, log: Logger) {
    this.#table = table;
    this.#commands = commands;
    this.#log = log;
  }

  /** A batch of the log is about to be handed on: does what it asks for and gives the rest of it. */
  take(batch: RecordBatch): RecordBatch {
    const signals = batch.tables.flatMap(({ label, kind }, index) => (kind === 'table' && label === this.#table ? [index] : []));
    if (signals.length === 0) {
      if (batch.checkpoint !== null) this.#doPending();
      return batch;
    }
    const isSignal = (record: number): boolean => signals.includes(batch.heads[record * HEAD_SIZE + HEAD.table] as number);
    for (let record = 0; record < batch.count; record++) {
      if (record === batch.checkpointRecords && batch.checkpoint !== null) this.#doPending();
      if (isSignal(record) && batch.heads[record * HEAD_SIZE + HEAD.op] === OP.create) this.#read(batch, record);
    }
    if (batch.checkpoint !== null && batch.checkpointRecords === batch.count) this.#doPending();
    return withoutTables(batch, signals, isSignal);
  }

  #read(batch: RecordBatch, record: number): void {
    this.#pendingBytes += SIGNAL_BYTES + bytesOf(batch, record);
    if (this.#pendingBytes > MAX_PENDING_BYTES) this.#passedOver++;
    else this.#pending.push(signalOf(batch, record));
  }

  #doPending(): void {
    for (const signal of this.#pending.splice(0)) this.#do(signal);
    const count = this.#passedOver;
    this.#pendingBytes = 0;
    this.#passedOver = 0;
    if (count > 0) this.#warn(new SluiceError(SIGNAL_TOO_MANY, { table: this.#table, count, bound: '4 MiB' }));
  }

  #do(signal: Signal | null): void {
    if (signal === null) {
      this.#warn(new SluiceError(SIGNAL_DATA, { table: this.#table, type: 'unknown', detail: 'its row has not the columns id, type and data' }));
      return;
    }
    const { command, problems } = understand(signal, this.#table, this.#commands.labels);
    for (const problem of problems) this.#warn(problem);
    if (command === null) return;
    const { done, problems: refused } = this.#commands.follow(command);
    for (const problem of refused) this.#warn(problem);
    if (done.length > 0) this.#log.info(`${SAYS[command.verb]} by a signal: ${done.join(', ')}.`);
    else if (refused.length === 0) this.#log.info(`A signal asked to ${command.verb} copies; none is open.`);
  }

  #warn({ message, code, remedy, table }: SluiceError): void {
    this.#log.warn(message, { code, remedy, ...(table === undefined ? {} : { table }) });
  }
}

const SAYS: Readonly<Record<SignalCommand['verb'], string>> = {
  start: 'Copies begun',
  pause: 'Copies put off',
  resume: 'Copies resumed',
  stop: 'Copies stopped',
};

function signalOf(batch: RecordBatch, record: number): Signal | null {
  const table = batch.tables[batch.heads[record * HEAD_SIZE + HEAD.table] as number];
  const image = batch.heads[record * HEAD_SIZE + HEAD.after] as number;
  if (table?.columns.length !== COLUMNS || image < 0) return null;
  const [type, data] = [textOf(batch, image + TYPE), textOf(batch, image + DATA)];
  return type === null ? null : { type, data };
}

function bytesOf({ heads, cells, tables }: RecordBatch, record: number): number {
  const columns = tables[heads[record * HEAD_SIZE + HEAD.table] as number]?.columns.length ?? 0;
  const image = heads[record * HEAD_SIZE + HEAD.after] as number;
  let bytes = 0;
  for (let cell = image; cell < image + columns; cell++) bytes += Math.max(0, (cells[cell * 2 + 1] as number) - (cells[cell * 2] as number));
  return bytes;
}

/** Null: the cell has no bytes. */
function textOf({ arena, cells }: RecordBatch, cell: number): string | null {
  const start = cells[cell * 2] as number;
  return start < 0 ? null : arena.toString('utf8', start, cells[cell * 2 + 1]);
}

/** The batch without some of its tables, and as if it had never had them; it shares the memory of the whole. */
function withoutTables(batch: RecordBatch, tables: readonly number[], isOut: (record: number) => boolean): RecordBatch {
  const { count, checkpointRecords } = batch;
  const heads = new Int32Array(count * HEAD_SIZE);
  let kept = 0;
  let keptBefore = 0;
  for (let record = 0; record < count; record++) {
    if (isOut(record)) continue;
    heads.set(batch.heads.subarray(record * HEAD_SIZE, (record + 1) * HEAD_SIZE), kept * HEAD_SIZE);
    const table = batch.heads[record * HEAD_SIZE + HEAD.table] as number;
    heads[kept * HEAD_SIZE + HEAD.table] = table - tables.filter((out) => out < table).length;
    kept++;
    if (record < checkpointRecords) keptBefore++;
  }
  return {
    ...batch,
    count: kept,
    heads,
    tables: batch.tables.filter((_, index) => !tables.includes(index)),
    checkpointRecords: keptBefore,
    release: () => batch.release(),
  };
}
