/** What is different between two versions of a table, classified. */
import type { ColumnShape, TableShape } from '../record/table.ts';
import { compareTypes } from './types.ts';

export const CHANGE_KINDS = [
  'tableReplaced',
  'columnAdded',
  'columnDropped',
  'columnRenamed',
  'columnMoved',
  'typeWidened',
  'typeNarrowed',
  'typeChanged',
  'nullabilityChanged',
  'defaultChanged',
  'keyChanged',
  'replicaIdentityChanged',
] as const;
export type ChangeKind = (typeof CHANGE_KINDS)[number];

export interface SchemaChange {
  readonly kind: ChangeKind;
  /** The column as it is called now, or was when it was dropped; null: of the table as a whole. */
  readonly column: string | null;
  /** In the words of the system; null: there was nothing. */
  readonly before: string | null;
  /** Null: there is nothing any more. */
  readonly after: string | null;
  /**
   * With `columnAdded` and `columnDropped`: the system did not tell what the columns are but by name, so that this may be one half of a rename (algorithms §5).
   */
  readonly uncertain?: true;
}

interface Pair {
  readonly before: ColumnShape;
  readonly after: ColumnShape;
}

/** In the order of CHANGE_KINDS, those of one kind in the order of the columns. Two versions that differ in nothing that is told here give an empty list. */
export function schemaChanges(before: TableShape, after: TableShape): readonly SchemaChange[] {
  const { pairs, added, dropped, isSure } = pairColumns(before, after);
  const whole = (kind: ChangeKind, from: string, to: string): SchemaChange[] =>
    from === to ? [] : [{ kind, column: null, before: from, after: to }];
  const doubt = isSure ? {} : ({ uncertain: true } as const);
  const changes: SchemaChange[] = [];
  if (before.facts !== undefined && after.facts !== undefined) changes.push(...whole('tableReplaced', before.facts.id, after.facts.id));
  for (const { name, typeName } of added) changes.push({ kind: 'columnAdded', column: name, before: null, after: typeName, ...doubt });
  for (const { name, typeName } of dropped) changes.push({ kind: 'columnDropped', column: name, before: typeName, after: null, ...doubt });
  for (const pair of pairs) changes.push(...columnChanges(pair));
  changes.push(...moves(pairs, before));
  changes.push(...whole('keyChanged', keyText(before, pairs), keyText(after)));
  if (before.facts !== undefined && after.facts !== undefined)
    changes.push(...whole('replicaIdentityChanged', before.facts.replicaIdentity, after.facts.replicaIdentity));
  return changes.sort((one, other) => CHANGE_KINDS.indexOf(one.kind) - CHANGE_KINDS.indexOf(other.kind));
}

interface Pairs {
  readonly pairs: readonly Pair[];
  readonly added: readonly ColumnShape[];
  readonly dropped: readonly ColumnShape[];
  /** All columns were told by what the system knows them by. */
  readonly isSure: boolean;
}

function pairColumns(before: TableShape, after: TableShape): Pairs {
  const isSame = before.facts?.id === after.facts?.id && after.facts !== undefined;
  const isTold = (shape: TableShape): boolean => shape.columns.every(({ facts }) => facts?.id != null);
  // In a table made anew a number is that of any column.
  const byId = isSame && isTold(before) && isTold(after);
  const nameOf = byId ? (column: ColumnShape): string => column.facts?.id ?? '' : (column: ColumnShape): string => column.name;
  const old = new Map(before.columns.map((column) => [nameOf(column), column]));
  const pairs: Pair[] = [];
  const added: ColumnShape[] = [];
  for (const column of after.columns) {
    const known = old.get(nameOf(column));
    if (known === undefined) added.push(column);
    else pairs.push({ before: known, after: column });
    old.delete(nameOf(column));
  }
  return { pairs, added, dropped: [...old.values()], isSure: byId || before.facts?.id !== after.facts?.id };
}

function columnChanges({ before, after }: Pair): readonly SchemaChange[] {
  const changes: SchemaChange[] = [];
  const add = (kind: ChangeKind, from: string | null, to: string | null): void =>
    void changes.push({ kind, column: after.name, before: from, after: to });
  if (before.name !== after.name) add('columnRenamed', before.name, after.name);
  const type = compareTypes(before, after);
  if (type !== null) add(type, typeText(before), typeText(after));
  if (before.facts === undefined || after.facts === undefined) return changes;
  if (before.facts.required !== after.facts.required) add('nullabilityChanged', nullText(before), nullText(after));
  const [from, to] = [defaultText(before), defaultText(after)];
  if (from !== to) add('defaultChanged', from, to);
  return changes;
}

/** Columns that stand behind one now that stood behind them. Columns that came or went move none. */
function moves(pairs: readonly Pair[], before: TableShape): readonly SchemaChange[] {
  const placeOf = ({ before: column }: Pair): number => before.columns.indexOf(column);
  const changes: SchemaChange[] = [];
  let last: Pair | null = null;
  for (const pair of pairs) {
    if (last === null || placeOf(pair) > placeOf(last)) last = pair;
    else {
      const old = before.columns[placeOf(pair) - 1]?.name;
      const place = (front: string | undefined): string => (front === undefined ? 'first' : `behind ${front}`);
      const front = pairs[pairs.indexOf(pair) - 1]?.after.name;
      changes.push({ kind: 'columnMoved', column: pair.after.name, before: place(old), after: place(front) });
    }
  }
  return changes;
}

/** Names of the key's columns, those of before as they are called now. */
function keyText(shape: TableShape, pairs: readonly Pair[] = []): string {
  const renamed = new Map(pairs.map(({ before, after }) => [before.name, after.name]));
  return shape.key
    .map((index) => shape.columns[index]?.name ?? '')
    .map((name) => renamed.get(name) ?? name)
    .join(', ');
}

function typeText({ typeName, facts }: ColumnShape): string {
  return facts?.labels == null ? typeName : `${typeName} (${facts.labels.join(', ')})`;
}

function nullText({ facts }: ColumnShape): string {
  return facts?.required === true ? 'not null' : 'null';
}

function defaultText({ facts }: ColumnShape): string | null {
  return facts?.computed === true ? 'computed' : (facts?.default ?? null);
}
