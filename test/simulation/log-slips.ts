/** Slips in what reads a binary log, as those of the engine are: the simulator must notice every one of them. */
import type { Mutation } from './mutations.ts';

const SOURCE = 'connectors/mysql/source.ts';
const DECODER = 'connectors/mysql/log/decoder.ts';
const PLACE = 'connectors/mysql/log/place.ts';
const PROGRESS = 'connectors/mysql/log/progress.ts';
const SESSION = 'connectors/mysql/log/session.ts';
const TABLES = 'connectors/mysql/log/tables.ts';
const TORN = 'connectors/mysql/log/torn.ts';

export const LOG_SLIPS: readonly Mutation[] = [
  {
    name: 'a place within a transaction is gone on with',
    file: DECODER,
    find: 'if (this.#gtid === NONE && !this.#options.fileEnds.isTorn) this.#place.settle',
    replace: 'if (!this.#options.fileEnds.isTorn) this.#place.settle',
  },
  {
    name: 'a GTID counts as read when its transaction begins',
    file: DECODER,
    find: 'this.#isOpen = true;\n        return;',
    replace: 'this.#isOpen = true;\n        if (this.#nameless === null) this.#progress.end(this.#gtid);\n        return;',
  },
  {
    name: 'rows of tables that are not captured are not counted',
    file: DECODER,
    find: 'for (let at = start; at < bytes.length; this.#ordinal++) {',
    replace: 'for (let at = start; at < bytes.length; ) {',
  },
  {
    name: 'records are numbered on over transactions',
    file: DECODER,
    find: 'this.#ordinal = 0;\n    this.#transaction',
    replace: 'this.#transaction',
  },
  { name: 'a place in a torn log is gone on with', file: DECODER, find: ' && !this.#options.fileEnds.isTorn)', replace: ')' },
  { name: 'what a crash has torn is taken for a transaction', file: TORN, find: 'return !isWhole;', replace: 'return false;' },
  {
    name: 'the end of a torn file is not asked for',
    file: TORN,
    find: 'if (end === undefined) throw new UnknownFileEnd(file);',
    replace: 'if (end === undefined) return false;',
  },
  {
    name: 'a table is known by its number alone',
    file: TABLES,
    find: 'if (known?.length === end - HEADER_BYTES &&',
    replace: 'if (known !== undefined) return;\n    if (known !== undefined &&',
  },
  {
    name: 'a TRUNCATE that is read again is of the newest stored version',
    file: DECODER,
    find: 'target.writer.current(table, this.#commitMicros)',
    replace: 'target.writer.current(table)',
  },
  {
    name: 'a TRUNCATE makes a version of its own',
    file: TABLES,
    find: 'if (current !== null) return current;',
    replace: 'void current;',
  },
  {
    name: 'the next file is read under the name of the one before',
    file: PLACE,
    find: "this.file = bytes.toString('utf8', HEADER_BYTES + 8, end);",
    replace: '',
  },
  {
    name: 'the set in front of a file is taken for what was read',
    file: PROGRESS,
    find: 'if (!this.#readsFiles) return;',
    replace: '',
  },
  {
    name: 'packets of a socket that is held are dropped',
    file: SESSION,
    find: 'if (this.#isLearning) this.#held.push(Buffer.from(bytes));',
    replace: 'if (this.#isLearning) void this.#held;',
  },
  {
    name: 'packets that wait are not copied',
    file: SESSION,
    find: 'this.#held.push(Buffer.from(bytes));',
    replace: 'this.#held.push(bytes);',
  },
  {
    name: 'what waits is given in another order',
    file: SESSION,
    find: 'this.#held.unshift(Buffer.from(bytes));',
    replace: 'this.#held.push(Buffer.from(bytes));',
  },
  {
    name: 'an answer is enough, and what waits for it stays',
    file: SESSION,
    find: 'for (let event = this.#held.shift(); event !== undefined; event = this.#held.shift()) {',
    replace: 'for (let event = this.#held.shift(); event !== undefined; event = undefined) {',
  },
  {
    name: 'a silent server is waited for',
    file: SESSION,
    find: 'if (silence > (this.#streaming ? PATIENCE * heartbeatMs : START_MS))',
    replace: 'if (silence < 0)',
  },
  {
    name: 'a socket that was held stays held',
    file: SESSION,
    find: 'this.#driver.stream.resume();',
    replace: '',
  },
  {
    name: 'what came before the stream was broken off is dropped with it',
    file: SESSION,
    find: 'this.#timer?.clear();\n    queue.end();',
    replace: 'this.#timer?.clear();\n    queue.fail(typed);',
  },
  { name: 'a stream that was broken off ends in order', file: SOURCE, find: 'if (session.lost !== null) throw session.lost;', replace: '' },
  {
    name: 'where reading begins is not saved before anything is written',
    file: SOURCE,
    find: 'if (options.from === null) yield this.#emptyBatch(prepared.from);',
    replace: '',
  },
];
