/** Judges millions of messages while they are read, in memory that does not grow with their number: some bytes for each key and each transaction. */
import { changeHash, textHash } from './soak-load.ts';
import type { StoredMessage } from './stream-ledger.ts';

export interface SoakVerdict {
  readonly messages: number;
  readonly changes: number;
  readonly tombstones: number;
  /** Changes of the ledger that did not arrive, and deletes without their tombstone. */
  readonly lost: number;
  /** Changes that no committed transaction made. */
  readonly phantoms: number;
  readonly duplicates: number;
  readonly disordered: number;
  /** Transactions with as many changes as the ledger says, but other ones. */
  readonly altered: number;
  /** Rows of the source that the messages do not give, and the other way round. */
  readonly rowsDiffer: number;
  readonly rows: number;
  /** The first few of what is wrong, in words. */
  readonly examples: readonly string[];
}

type Wrong = 'lost' | 'phantoms' | 'duplicates' | 'disordered' | 'altered' | 'rowsDiffer';

/** Below the version in a key's state. */
const ALIVE = 1;
const AWAITS_TOMBSTONE = 2;
const FLAGS = 2;
/** Changes that were jumped over, to tell a late one from a second one. There should be none: beyond so many they are no longer told apart. */
const MISSING_KEPT = 100_000;

export class SoakLedger {
  readonly #base: number;
  /** By transaction: what the ledger says less what arrived. In the end all is 0. */
  readonly #changesLeft: Int32Array;
  readonly #hashLeft: Uint32Array;
  readonly #known: Uint8Array;
  /** By key: the last version and two flags; and the hash of its text. */
  #state = new Int32Array(1 << 16);
  #text = new Uint32Array(1 << 16);
  readonly #missing = new Set<string>();
  readonly #counts = { messages: 0, changes: 0, tombstones: 0, lost: 0, phantoms: 0, duplicates: 0, disordered: 0, altered: 0, rowsDiffer: 0 };
  readonly #examples: string[] = [];
  #alive = 0;
  #sourceRows = 0;

  /** For transactions with numbers of this range. */
  constructor(firstXid: number, lastXid: number) {
    const size = Math.max(0, lastXid - firstXid + 1);
    this.#base = firstXid;
    this.#changesLeft = new Int32Array(size);
    this.#hashLeft = new Uint32Array(size);
    this.#known = new Uint8Array(size);
  }

  /** A line of the ledger; all of them before the first message. */
  expect(xid: number, changes: number, hash: number): void {
    const at = xid - this.#base;
    this.#known[at] = 1;
    this.#changesLeft[at] = changes;
    this.#hashLeft[at] = hash;
  }

  /** The next message; those of one key in the order in which they stand in the sink. */
  take({ key, value, id: messageId }: Pick<StoredMessage, 'key' | 'value' | 'id'>): void {
    this.#counts.messages++;
    const id = Number((JSON.parse(key ?? '{}') as { id?: unknown }).id);
    if (!Number.isInteger(id) || id < 0) return void this.#wrong('phantoms', `${messageId}: key ${key}`);
    this.#makeRoom(id);
    if (value === null) return void this.#tombstone(id);
    this.#counts.changes++;
    const { op, before, after, source } = value;
    const row = op === 'd' ? before : after;
    const v = Number(row?.['v']) + (op === 'd' ? 1 : 0);
    const change = { id: Number(row?.['id']), v, note: String(row?.['note']) };
    if (change.id !== id || !Number.isInteger(v) || !(op === 'c' || op === 'u' || op === 'd') || source['table'] !== 'item')
      return void this.#wrong('phantoms', `${messageId}: ${JSON.stringify(value)}`);
    if (this.#inOrder(op, id, v)) this.#apply(op, change);
    else if (!this.#missing.delete(`${id} ${v}`)) return void this.#wrong('duplicates', `key ${id}, version ${v} (${op})`);
    else this.#wrong('disordered', `key ${id}, version ${v} (${op}) behind version ${this.#version(id)}`);
    this.#settle(Number(source['txId']), changeHash(op, change), `key ${id}, version ${v} (${op})`);
  }

  /** A row of the source, when all messages were taken. */
  compareRow(id: number, v: number, note: string): void {
    this.#sourceRows++;
    this.#makeRoom(id);
    const state = this.#state[id] as number;
    if ((state & ALIVE) === 0 || state >> FLAGS !== v || this.#text[id] !== textHash(note))
      this.#wrong(
        'rowsDiffer',
        `key ${id}: version ${v} in the source, ${(state & ALIVE) === 0 ? 'no row' : `version ${state >> FLAGS}`} by the messages`,
      );
  }

  verdict(): SoakVerdict {
    for (let at = 0; at < this.#known.length; at++) {
      const left = this.#changesLeft[at] as number;
      const what = `transaction ${this.#base + at}`;
      if (left > 0) this.#wrong('lost', `${what}: ${left} changes`, left);
      else if (left < 0) this.#wrong('phantoms', `${what}: ${-left} changes too many`, -left);
      else if (this.#hashLeft[at] !== 0) this.#wrong('altered', what);
    }
    for (let id = 0; id < this.#state.length; id++)
      if (((this.#state[id] as number) & AWAITS_TOMBSTONE) !== 0) this.#wrong('lost', `tombstone of key ${id}`);
    const surplus = this.#alive - this.#sourceRows;
    if (surplus !== 0) this.#wrong('rowsDiffer', `${this.#alive} rows by the messages, ${this.#sourceRows} in the source`, Math.abs(surplus));
    return { ...this.#counts, rows: this.#sourceRows, examples: this.#examples };
  }

  /** Exactly the next version of its key; where versions were jumped over they are noted as missing. */
  #inOrder(op: string, id: number, v: number): boolean {
    const last = this.#version(id);
    if (v <= last) return false;
    for (let missing = last + 1; missing < v && this.#missing.size < MISSING_KEPT; missing++) this.#missing.add(`${id} ${missing}`);
    const alive = ((this.#state[id] as number) & ALIVE) !== 0;
    if (v === last + 1 && alive !== (op !== 'c'))
      this.#wrong('disordered', `key ${id}, version ${v}: ${op} of a row that is ${alive ? '' : 'not '}there`);
    return true;
  }

  #apply(op: string, { id, v, note }: { id: number; v: number; note: string }): void {
    const state = this.#state[id] as number;
    if ((state & AWAITS_TOMBSTONE) !== 0) this.#wrong('lost', `tombstone of key ${id}, before version ${v}`);
    this.#alive += (op === 'd' ? 0 : 1) - (state & ALIVE);
    this.#state[id] = (v << FLAGS) | (op === 'd' ? AWAITS_TOMBSTONE : ALIVE);
    this.#text[id] = textHash(note);
  }

  #tombstone(id: number): void {
    this.#counts.tombstones++;
    const state = this.#state[id] as number;
    const what = (state & ALIVE) === 0 ? 'duplicates' : 'phantoms';
    if ((state & AWAITS_TOMBSTONE) === 0) this.#wrong(what, `tombstone of key ${id} behind version ${state >> FLAGS}`);
    else this.#state[id] = state & ~AWAITS_TOMBSTONE;
  }

  #settle(xid: number, hash: number, what: string): void {
    const at = xid - this.#base;
    if (this.#known[at] !== 1) return void this.#wrong('phantoms', `${what} of transaction ${xid}, which the ledger does not know`);
    this.#changesLeft[at] = (this.#changesLeft[at] as number) - 1;
    this.#hashLeft[at] = (this.#hashLeft[at] as number) - hash;
  }

  #version(id: number): number {
    return (this.#state[id] as number) >> FLAGS;
  }

  #makeRoom(id: number): void {
    if (id < this.#state.length) return;
    const size = Math.max(id + 1, this.#state.length * 2);
    const [state, text] = [new Int32Array(size), new Uint32Array(size)];
    state.set(this.#state);
    text.set(this.#text);
    this.#state = state;
    this.#text = text;
  }

  #wrong(what: Wrong, text: string, times = 1): void {
    this.#counts[what] += times;
    if (this.#examples.length < 20) this.#examples.push(`${what}: ${text}`);
  }
}

/** What a sink of a soak may not have. */
export function differencesOf({ lost, phantoms, duplicates, disordered, altered, rowsDiffer }: SoakVerdict): number {
  return lost + phantoms + duplicates + disordered + altered + rowsDiffer;
}
