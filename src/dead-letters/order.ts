/**
 * Which letters may not be sent any more, because of what was published behind them (I3, I7). One with a key: its key was, or a TRUNCATE of its table. One without, that
 * is a TRUNCATE or a change of a table without a key: anything of its table was, but for an insert behind an insert. Two inserts may change places, nothing else may:
 * what came later may be of the very row.
 */
import { OP } from '../record/batch.ts';
import { destinationAt, idAt, type MessageBatch, SPAN, SPAN_SIZE } from '../record/messages.ts';
import { keyAt, type OpenLetter } from './letter.ts';

/** Of one table in a batch: index of the last message, of the last that is no insert, and of the last TRUNCATE; −1: there is none. */
interface LastOfTable {
  any: number;
  change: number;
  truncate: number;
}

/** Letters of one table that are not superseded. */
interface LettersOfTable {
  readonly keyed: Set<OpenLetter>;
  readonly inserts: Set<OpenLetter>;
  readonly changes: Set<OpenLetter>;
}

const NONE: readonly OpenLetter[] = [];

/** FNV-1a, 32 bits. */
const FNV_BASIS = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** Letters that are not superseded, found by what supersedes them. */
export class LetterIndex {
  /** By the hash of the key. */
  readonly #byKey = new Map<number, Set<OpenLetter>>();
  readonly #byTable = new Map<string, LettersOfTable>();

  add(letter: OpenLetter): void {
    const { key, head } = letter;
    if (key !== null) (this.#byKey.get(letter.keyHash) ?? this.#byKey.set(letter.keyHash, new Set()).get(letter.keyHash))?.add(letter);
    let ofTable = this.#byTable.get(head.table);
    if (ofTable === undefined) {
      ofTable = { keyed: new Set(), inserts: new Set(), changes: new Set() };
      this.#byTable.set(head.table, ofTable);
    }
    groupOf(letter, ofTable).add(letter);
  }

  remove(letter: OpenLetter): void {
    const same = this.#byKey.get(letter.keyHash);
    if (same?.delete(letter) === true && same.size === 0) this.#byKey.delete(letter.keyHash);
    const ofTable = this.#byTable.get(letter.head.table);
    if (ofTable === undefined) return;
    groupOf(letter, ofTable).delete(letter);
    if (ofTable.keyed.size + ofTable.inserts.size + ofTable.changes.size === 0) this.#byTable.delete(letter.head.table);
  }

  /** Letters that the messages of a batch supersede. */
  supersededBy(batch: MessageBatch): readonly OpenLetter[] {
    if (this.#byTable.size === 0) return NONE;
    /** With the last message that does. */
    const last = new Map<OpenLetter, number>();
    if (this.#byKey.size > 0) this.#byKeys(batch, last);
    for (const [table, found] of tablesOf(batch)) {
      const ofTable = table === '' ? undefined : this.#byTable.get(table);
      if (ofTable === undefined) continue;
      for (const letter of ofTable.changes) later(last, letter, found.any);
      if (found.change >= 0) for (const letter of ofTable.inserts) later(last, letter, found.change);
      if (found.truncate >= 0) for (const letter of ofTable.keyed) later(last, letter, found.truncate);
    }
    if (last.size === 0) return NONE;
    // A letter's own message comes again after a crash: only what is behind that one is newer.
    const byId = new Map([...last.keys()].map((letter) => [letter.head.id, letter]));
    for (let index = 0; index < batch.count; index++) {
      const letter = byId.get(idAt(batch, index));
      if (letter !== undefined && (last.get(letter) ?? -1) <= index) last.delete(letter);
    }
    return [...last.keys()];
  }

  #byKeys(batch: MessageBatch, last: Map<OpenLetter, number>): void {
    for (let index = 0; index < batch.count; index++) {
      const same = this.#byKey.get(keyHashAt(batch, index));
      if (same !== undefined) for (const letter of same) if (hasKeyOf(batch, index, letter)) last.set(letter, index);
    }
  }
}

/** The messages of one batch by key and table: whether something behind a letter's message supersedes it. Made only when a letter occurs. */
export class BatchIndex {
  readonly #batch: MessageBatch;
  readonly #tables: ReadonlyMap<string, LastOfTable>;
  /** At a hash of a key: the last message with it, + 1. */
  readonly #heads: Int32Array;
  /** At a message: the one before it with the same hash, + 1. */
  readonly #before: Int32Array;

  constructor(batch: MessageBatch) {
    this.#batch = batch;
    this.#tables = tablesOf(batch);
    this.#heads = new Int32Array(2 ** Math.ceil(Math.log2(batch.count + 1)));
    this.#before = new Int32Array(batch.count);
    for (let index = 0; index < batch.count; index++) {
      const slot = keyHashAt(batch, index) & (this.#heads.length - 1);
      this.#before[index] = this.#heads[slot] as number;
      this.#heads[slot] = index + 1;
    }
  }

  /** Whether a message from `from` on supersedes it. */
  supersedes(letter: OpenLetter, from: number): boolean {
    const found = letter.head.table === '' ? undefined : this.#tables.get(letter.head.table);
    if (letter.key === null) return found !== undefined && (isInsert(letter.head.op) ? found.change : found.any) >= from;
    if (found !== undefined && found.truncate >= from) return true;
    const slot = letter.keyHash & (this.#heads.length - 1);
    for (let index = (this.#heads[slot] as number) - 1; index >= from; index = (this.#before[index] as number) - 1)
      if (hasKeyOf(this.#batch, index, letter)) return true;
    return false;
  }
}

/** 0: it has no key. */
export function keyHash(key: Uint8Array | null): number {
  return key === null ? 0 : hashOf(key, 0, key.length);
}

function keyHashAt({ bytes, spans }: MessageBatch, index: number): number {
  const at = index * SPAN_SIZE;
  const start = spans[at + SPAN.keyStart] as number;
  return start < 0 ? 0 : hashOf(bytes, start, spans[at + SPAN.keyEnd] as number);
}

function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = FNV_BASIS;
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ (bytes[at] as number), FNV_PRIME);
  return hash;
}

function hasKeyOf(batch: MessageBatch, index: number, { key, head }: OpenLetter): boolean {
  const found = keyAt(batch, index);
  return found !== null && key !== null && found.equals(key) && destinationAt(batch, index) === head.destination;
}

function groupOf({ key, head }: OpenLetter, { keyed, inserts, changes }: LettersOfTable): Set<OpenLetter> {
  if (key !== null) return keyed;
  return isInsert(head.op) ? inserts : changes;
}

function isInsert(op: number): boolean {
  return op === OP.create || op === OP.read;
}

function later(last: Map<OpenLetter, number>, letter: OpenLetter, index: number): void {
  last.set(letter, Math.max(last.get(letter) ?? -1, index));
}

function tablesOf({ count, spans, tables }: MessageBatch): ReadonlyMap<string, LastOfTable> {
  const all = new Map<string, LastOfTable>();
  let table = -1;
  let last: LastOfTable | undefined;
  for (let index = 0; index < count; index++) {
    const at = index * SPAN_SIZE;
    if (spans[at + SPAN.table] !== table || last === undefined) {
      table = spans[at + SPAN.table] as number;
      const label = tables[table] as string;
      last = all.get(label) ?? { any: -1, change: -1, truncate: -1 };
      all.set(label, last);
    }
    const op = spans[at + SPAN.op] as number;
    last.any = index;
    if (!isInsert(op)) last.change = index;
    if (op === OP.truncate) last.truncate = index;
  }
  return all;
}
