/** The source's transactions as a binary log, with all that stands there beside them. */
import { EVENT } from '../../../connectors/mysql/log/events.ts';
import { namelessId } from '../../../connectors/mysql/log/position.ts';
import type { TableShape } from '../../../src/record/table.ts';
import type { Change, Committed, Draft } from '../log.ts';
import type { Random } from '../random.ts';
import { cellsOf } from '../tables.ts';
import {
  gtidBody,
  image,
  mariadbGtidBody,
  queryBody,
  type RowOp,
  rowsBody,
  rowsQueryBody,
  rowsType,
  type TableColumn,
  tableMapBody,
} from './events.ts';
import { CUT_OFF, type Dialect, Layout, TORN, UUID } from './layout.ts';

const OTHER_UUID = '7c0f5a52-0d6b-4c1f-9a55-3d6a0f6f0c11';
const UTF8MB4 = 255;
const LATIN1 = 8;
const FIRST_TABLE_ID = 100;
/** Statements about what is not captured, or is nobody's rows. Those with a key or LIKE make the reader ask the catalogue. */
const STATEMENTS = [
  'CREATE TABLE other.notes (id int)',
  'ALTER TABLE shop.orders COMMENT = "more"',
  'CREATE TABLE other.copies LIKE other.notes',
  'ALTER TABLE other.lines ADD FOREIGN KEY (a) REFERENCES other.notes (id)',
  'FLUSH PRIVILEGES',
  'TRUNCATE TABLE other.notes',
] as const;
const SECRET: readonly TableColumn[] = [
  { name: 'id', collation: null },
  { name: 'word', collation: UTF8MB4 },
];

export interface Rendered {
  readonly layout: Layout;
  readonly transactions: readonly Committed[];
}

export function render(random: Random, drafts: readonly Draft[], dialect: Dialect): Rendered {
  return new Renderer(random, dialect).run(drafts);
}

class Renderer {
  readonly #random: Random;
  readonly #layout: Layout;
  readonly #ids = new Map<string, number>();
  #nextId = FIRST_TABLE_ID;
  /** Last number of this server's own transactions, and of another one's. */
  #number = 20;
  #others = 0;
  /** MariaDB: the other one has a domain of its own. */
  readonly #hasDomains: boolean;

  constructor(random: Random, dialect: Dialect) {
    this.#random = random;
    this.#layout = new Layout(dialect);
    this.#hasDomains = random.chance(0.3);
  }

  run(drafts: readonly Draft[]): Rendered {
    const layout = this.#layout;
    const turns = layout.dialect === 'mixed' ? this.#turns(drafts.length) : [];
    const transactions = drafts.map(({ changes }, index): Committed => {
      this.#between();
      if (turns.includes(index)) this.#turn();
      const { name, created } = layout.file;
      const place = { file: name, created: String(created), pos: layout.pos };
      const gtid = this.#nextGtid(false);
      const { begin, end } = layout.transaction(gtid, (group) => this.#captured(gtid, changes, group));
      return { transaction: { id: gtid ?? namelessId(UUID, place), commitMicros: layout.seconds * 1e6 }, begin, end, changes };
    });
    return { layout, transactions };
  }

  /** When `gtid_mode` is turned off, and on again. */
  #turns(count: number): readonly number[] {
    const off = this.#random.between(1, Math.floor(count / 2));
    return [off, this.#random.between(off + 1, count - 1)];
  }

  /** A change of `gtid_mode` begins a file. */
  #turn(): void {
    this.#layout.isNamed = !this.#layout.isNamed;
    this.#layout.rotate('rotated');
  }

  /** What happens to the log where nobody captures anything. */
  #between(): void {
    const random = this.#random;
    while (random.chance(0.25)) this.#foreign();
    if (!random.chance(0.2)) return;
    const how = random.pick(['rotated', 'rotated', 'stopped', 'crashed'] as const);
    if (how === 'crashed' && this.#layout.isMariadb && random.chance(0.8)) this.#torn();
    this.#layout.rotate(how);
    if (how === 'rotated') return;
    // Tables are numbered anew: an old number is another table's.
    this.#ids.clear();
    this.#nextId = FIRST_TABLE_ID;
  }

  #nextGtid(isOther: boolean): string | null {
    const { isMariadb, isNamed } = this.#layout;
    if (!isNamed) return null;
    if (!isMariadb) return isOther ? `${OTHER_UUID}:${++this.#others}` : `${UUID}:${++this.#number}`;
    return isOther && this.#hasDomains ? `1-2-${++this.#others}` : `0-${isOther ? 2 : 1}-${++this.#number}`;
  }

  #captured(gtid: string | null, changes: readonly Change[], group: number): void {
    const [first] = changes;
    if (first?.op === 'truncate') this.#statement(gtid, 'shop', `TRUNCATE TABLE ${first.table.name}`, group);
    else this.#inTransaction(gtid, group, () => this.#changes(changes, group));
  }

  #foreign(): void {
    const gtid = this.#nextGtid(this.#random.chance(0.5));
    const isOfRows = this.#random.chance(0.5);
    this.#layout.transaction(gtid, (group) => {
      if (!isOfRows) this.#statement(gtid, 'other', this.#random.pick(STATEMENTS), group);
      // MySQL writes transactions that changed nothing where it was told their GTIDs.
      else this.#inTransaction(gtid, group, () => this.#secret(this.#random.below(3), group));
    });
  }

  /** Begun, and rolled back by a crash: its GTID is the next one's. Its last event may be there in part. */
  #torn(): void {
    const layout = this.#layout;
    const standalone = this.#random.chance(0.2);
    layout.add(EVENT.mariadbGtid, mariadbGtidBody(`0-1-${this.#number + 1}`, standalone), TORN);
    if (standalone) return;
    const columns = [SECRET[0], { name: 'v', collation: UTF8MB4 }] as TableColumn[];
    const id = FIRST_TABLE_ID - 1;
    for (let events = this.#random.below(4); events > 0; events--) {
      layout.add(EVENT.tableMap, tableMapBody(id, 'shop', 'items', columns, [0]), TORN, false);
      const images = Array.from({ length: this.#random.between(1, 4) }, (_, row) => image(columns, [String(row), 'rolled back']));
      const body = rowsBody(id, 'create', columns.length, images, { mariadb: true, ends: this.#random.chance(0.5) });
      layout.add(rowsType('create', true), body, events === 1 && this.#random.chance(0.3) ? CUT_OFF : TORN, false);
    }
  }

  #begin(gtid: string | null, standalone: boolean, group: number): void {
    const layout = this.#layout;
    if (layout.isMariadb) layout.add(EVENT.mariadbGtid, mariadbGtidBody(gtid as string, standalone), group, true, Number(gtid?.split('-')[1]));
    else layout.add(gtid === null ? EVENT.anonymousGtid : EVENT.gtid, gtidBody(gtid, group + 1, layout.seconds * 1e6), group);
  }

  #statement(gtid: string | null, database: string, sql: string, group: number): void {
    this.#begin(gtid, true, group);
    this.#layout.add(EVENT.query, queryBody(database, sql), group);
  }

  #inTransaction(gtid: string | null, group: number, write: () => void): void {
    const layout = this.#layout;
    this.#begin(gtid, false, group);
    if (!layout.isMariadb) layout.add(EVENT.query, queryBody('shop', 'BEGIN'), group);
    write();
    // Of engines without transactions.
    if (this.#random.chance(0.1)) layout.add(EVENT.query, queryBody('shop', 'COMMIT'), group);
    else layout.add(EVENT.xid, Buffer.alloc(8, 1), group);
  }

  #changes(changes: readonly Change[], group: number): void {
    let next = 0;
    for (let at = 0; at < changes.length; ) {
      const first = changes[at] as Change;
      if (first.ordinal > next) this.#secret(first.ordinal - next, group);
      const most = at + this.#random.between(1, 4);
      let end = at + 1;
      while (end < Math.min(most, changes.length) && continues(changes[end - 1] as Change, changes[end] as Change)) end++;
      const rows = changes.slice(at, end);
      // What follows it may be of the same statement.
      const ends = end === changes.length || !continues(changes[end - 1] as Change, changes[end] as Change) || this.#random.chance(0.7);
      this.#rows(first, rows, ends, group);
      next = (rows.at(-1) as Change).ordinal + 1;
      at = end;
    }
    if (this.#random.chance(0.1)) this.#secret(1, group);
  }

  #rows({ op, table }: Change, rows: readonly Change[], ends: boolean, group: number): void {
    const layout = this.#layout;
    const columns = columnsOf(table);
    if (this.#random.chance(0.2)) this.#query(group);
    const id = this.#tableMap('shop', table.name, columns, table.key, group);
    const images = rows.flatMap(({ key, oldKey, value }) => {
      const before = image(columns, cellsOf(table, oldKey, 'before'));
      const after = image(columns, cellsOf(table, key, value));
      return op === 'update' ? [before, after] : [op === 'delete' ? before : after];
    });
    const { isMariadb: mariadb } = layout;
    layout.add(rowsType(op as RowOp, mariadb), rowsBody(id, op as RowOp, columns.length, images, { mariadb, ends }), group, !mariadb);
  }

  /** Rows of a table that is not captured. */
  #secret(count: number, group: number): void {
    if (count === 0) return;
    const { isMariadb: mariadb } = this.#layout;
    const id = this.#tableMap('other', 'secret', SECRET, [], group);
    const images = Array.from({ length: count }, (_, row) => image(SECRET, [String(row), 'secret']));
    this.#layout.add(rowsType('create', mariadb), rowsBody(id, 'create', SECRET.length, images, { mariadb, ends: true }), group, !mariadb);
  }

  #query(group: number): void {
    const { isMariadb: mariadb } = this.#layout;
    this.#layout.add(mariadb ? EVENT.annotateRows : EVENT.rowsQuery, rowsQueryBody('UPDATE some SET v = "secret"', mariadb), group, !mariadb);
  }

  #tableMap(database: string, name: string, columns: readonly TableColumn[], key: readonly number[], group: number): number {
    const known = `${database}.${name}/${columns.length}`;
    let id = this.#ids.get(known);
    if (id === undefined) {
      id = this.#nextId++;
      this.#ids.set(known, id);
    }
    this.#layout.add(EVENT.tableMap, tableMapBody(id, database, name, columns, key), group, !this.#layout.isMariadb);
    return id;
  }
}

/** Rows of one event, or statement. */
function continues(before: Change, next: Change): boolean {
  return next.op === before.op && next.table === before.table && next.ordinal === before.ordinal + 1;
}

function columnsOf(table: TableShape): readonly TableColumn[] {
  return table.columns.map(({ name, type }) => ({ name, collation: type !== 'text' ? null : name === 'v' ? UTF8MB4 : LATIN1 }));
}
