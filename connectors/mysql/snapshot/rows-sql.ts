/** The queries that rows are read with. Constants are written so that the server compares them as it orders the column. */

import type { ColumnShape, KeyRange, KeyText, RecordBatch, RowRequest, TableVersion } from '#plugin';
import type { ColumnPlan } from '../log/columns.ts';
import { READ } from '../log/columns.ts';
import { ValueRefused } from '../log/row-reader.ts';
import { selected } from './catalogue.ts';
import { stringsSql } from './json-text.ts';

export interface OrderColumn {
  /** Quoted. */
  readonly name: string;
  readonly plan: ColumnPlan;
}

export interface Readable {
  /** Quoted, with its database. */
  readonly from: string;
  readonly plans: readonly ColumnPlan[];
  readonly key: readonly OrderColumn[];
  /** What its rows are ordered by: the key, with the surrogate key in front if it was opened with one. */
  readonly order: readonly OrderColumn[];
}

export function quoted(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

export function rowsSql(table: Readable, request: RowRequest): string {
  const conditions: string[] = [];
  // On lines of its own: a comment in it ends with it.
  if (request.where !== null) conditions.push(`(\n${request.where}\n)`);
  if (request.keys !== undefined) conditions.push(`(${request.keys.map((key) => `(${equals(table.key, key)})`).join(' OR ')})`);
  if (request.range !== null) conditions.push(...rangeConditions(table.order, request.range));
  const where = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`;
  const order = request.range === null ? '' : ` ORDER BY ${table.order.map(({ name }) => name).join(', ')}`;
  const limit = request.limit === undefined ? '' : ` LIMIT ${request.limit}`;
  return `SELECT ${columnsSql(table)} FROM ${table.from}${indexHint(table, request)}${where}${order}${limit}`;
}

function columnsSql({ plans }: Readable): string {
  return plans
    .map(({ read, shape }) => {
      const name = quoted(shape.name);
      return read === READ.json ? `${name}, ${stringsSql(name)}` : selected(name, shape);
    })
    .join(', ');
}

/** Rows in the order of the primary key stand so in the table: another index would have them sorted. */
function indexHint({ key, order }: Readable, { range, keys }: RowRequest): string {
  return (range !== null || keys !== undefined) && key.length > 0 && key === order ? ' FORCE INDEX (PRIMARY)' : '';
}

/** First and last value of a key's first column. */
export function endsSql({ from, order }: Readable): string {
  const name = order[0]?.name ?? '';
  return `SELECT CAST(MIN(${name}) AS CHAR) AS low, CAST(MAX(${name}) AS CHAR) AS high FROM ${from}`;
}

/** An end of a range may have fewer columns than the order: then it stands behind all that begin with it. */
function rangeConditions(order: readonly OrderColumn[], { after, upTo }: KeyRange): string[] {
  const conditions: string[] = [];
  if (after !== null) conditions.push(compare(order.slice(0, after.length), after, '>'));
  if (upTo !== null) conditions.push(compare(order.slice(0, upTo.length), upTo, '<'));
  return conditions;
}

function equals(key: readonly OrderColumn[], values: KeyText): string {
  return key.map(({ name, plan }, at) => `${name} = ${constant(plan, values[at] ?? '')}`).join(' AND ');
}

/** Behind a key, or up to and with it. Spelled out: no index serves the comparison of rows. The first part is implied by the rest, and what an index is looked through by. */
function compare(order: readonly OrderColumn[], values: KeyText, sign: '<' | '>'): string {
  const steps = order.map(({ name, plan }, at) => {
    const first = at === 0 ? '' : `${equals(order.slice(0, at), values)} AND `;
    const last = at === order.length - 1 && sign === '<' ? '<=' : sign;
    return `(${first}${name} ${last} ${constant(plan, values[at] ?? '')})`;
  });
  const [first] = order;
  if (steps.length === 1 || first === undefined) return steps.join('');
  return `${first.name} ${sign}= ${constant(first.plan, values[0] ?? '')} AND (${steps.join(' OR ')})`;
}

/** A value of a key as a constant of SQL. Throws ValueRefused. */
export function constant({ read, labels, charset, shape }: ColumnPlan, text: string): string {
  switch (read) {
    case READ.float:
      // A column is compared as the double that it is exactly.
      return double(Math.fround(Number(text)));
    case READ.double:
      return double(Number(text));
    case READ.bits:
      return BigInt(`0b${text}`).toString();
    case READ.date:
    case READ.time:
      return `'${text}'`;
    case READ.datetime:
    case READ.timestamp:
      return `'${text.replace('T', ' ').replace('Z', '')}'`;
    case READ.bytes:
    case READ.paddedBytes:
      return `x'${text}'`;
    case READ.enum:
      // Both are ordered by their numbers, and compared by their texts where the other side is one.
      return String(1 + (labels ?? []).findIndex((label) => label.equals(Buffer.from(text, 'utf8'))));
    case READ.set:
      return setNumber(labels ?? [], text).toString();
    case READ.text:
      // The server would take the other one of two: rows between them would be left out.
      if (charset?.table?.isAmbiguous(text) === true)
        throw new ValueRefused(shape.name, `a key has a character that ${charset.name} has twice, so that its place in their order is not known`);
      return `_utf8mb4 x'${Buffer.from(text, 'utf8').toString('hex')}'`;
    default:
      return text;
  }
}

function double(value: number): string {
  const text = String(value);
  return text.includes('e') ? text : `${text}e0`;
}

function setNumber(labels: readonly Buffer[], text: string): bigint {
  const chosen = new Set(text.split(','));
  return labels.reduce((sum, label, bit) => (chosen.has(label.toString('utf8')) ? sum | (1n << BigInt(bit)) : sum), 0n);
}

/** What `constant` reads, of columns of a row that have a value, by the first cell of the row's image. */
export function textsOfRow({ columns }: TableVersion, indexes: readonly number[], { arena, cells }: RecordBatch, image: number): KeyText {
  return indexes.map((index) => {
    const at = (image + index) * 2;
    const isBytes = (columns[index] as ColumnShape).type === 'bytes';
    return arena.toString(isBytes ? 'hex' : 'utf8', cells[at] as number, cells[at + 1] as number);
  });
}
