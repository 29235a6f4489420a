/** What a version of a table is for those who read it. */
import { SluiceError } from '../plugin/error.ts';
import type { ColumnPattern } from '../plugin/patterns.ts';
import type { ColumnFacts, ColumnShape, TableVersion } from '../record/table.ts';
import type { LogicalType } from '../record/types.ts';
import { MAPPING_KEY, MAPPING_NAME, MAPPING_TYPE } from './errors.ts';
import { type Constant, castOf, MAPPED_TYPES, type MappedType } from './types.ts';

/** What the connector's file says, read. */
export interface MappingRules {
  readonly connector: string;
  readonly renames: readonly { readonly column: ColumnPattern; readonly to: string }[];
  readonly casts: readonly { readonly column: ColumnPattern; readonly to: MappedType }[];
  readonly constants: readonly { readonly column: ColumnPattern; readonly name: string; readonly constant: Constant }[];
  /** The columns that a table has, the others being gathered in one more. Null: all that it has. */
  readonly fixedOf: (table: TableVersion) => readonly string[] | null;
  /** Name of that column. */
  readonly rest: string;
}

/** Where a column of the mapped row comes from. `checked`: the value may be none of the type that it is to be. */
export type Slot =
  | { readonly kind: 'column'; readonly column: number; readonly checked: LogicalType | null }
  | { readonly kind: 'constant'; readonly bytes: Buffer | null }
  | { readonly kind: 'rest'; readonly columns: readonly number[] };

export interface Plan {
  readonly table: TableVersion;
  /** Null: the row has the cells that it has. */
  readonly slots: readonly Slot[] | null;
}

interface Mapped {
  readonly shape: ColumnShape;
  readonly slot: Slot;
}

const NOT_NEEDED: ColumnFacts = { required: false, default: null, computed: false, labels: null, id: null };

/** Throws SLUICE_MAPPING_NAME, SLUICE_MAPPING_TYPE, SLUICE_MAPPING_KEY. */
export function planOf(table: TableVersion, rules: MappingRules): Plan {
  const all = table.columns.map((column, index): Mapped => mapColumn(table, column, index, rules));
  const fixed = rules.fixedOf(table);
  const columns = [...all.filter(({ shape }) => fixed === null || fixed.includes(shape.name)), ...constantsOf(table, all, rules)];
  if (fixed !== null) {
    const loose = all.flatMap(({ shape }, index) => (fixed.includes(shape.name) ? [] : [index]));
    const facts = table.facts === undefined ? {} : { facts: NOT_NEEDED };
    columns.push({
      shape: { name: rules.rest, type: 'json', typeName: 'json', scale: null, precision: null, ...facts },
      slot: { kind: 'rest', columns: loose },
    });
  }
  checkNames(table, columns, rules);
  const key = table.key.map((index) => {
    const at = columns.findIndex(({ slot }) => slot.kind === 'column' && slot.column === index);
    if (at < 0) throw new SluiceError(MAPPING_KEY, about(table, rules, table.columns[index]?.name), { table: table.label });
    return at;
  });
  const isSame = columns.length === table.columns.length && columns.every(({ slot }, index) => isAsItWas(slot, index));
  const isUntouched = isSame && columns.every(({ shape }, index) => shape === table.columns[index]);
  return {
    table: isUntouched ? table : Object.freeze({ ...table, columns: columns.map(({ shape }) => shape), key }),
    slots: isSame ? null : columns.map(({ slot }) => slot),
  };
}

function isAsItWas(slot: Slot, index: number): boolean {
  return slot.kind === 'column' && slot.column === index && slot.checked === null;
}

function mapColumn(table: TableVersion, column: ColumnShape, index: number, rules: MappingRules): Mapped {
  const isMeant = (pattern: ColumnPattern): boolean => matches(pattern, table) && pattern.matches(column.name);
  const name = rules.renames.find((each) => isMeant(each.column))?.to ?? column.name;
  const to = rules.casts.find((each) => isMeant(each.column))?.to;
  const named = name === column.name ? column : { ...column, name };
  const type = to === undefined ? column.type : MAPPED_TYPES[to];
  if (to === undefined || type === column.type) return { shape: named, slot: { kind: 'column', column: index, checked: null } };
  const cast = castOf(column.type, type);
  if (cast === 'never')
    throw new SluiceError(MAPPING_TYPE, { ...about(table, rules, column.name), from: column.typeName, to }, { table: table.label });
  const { facts } = column;
  const shape: ColumnShape = {
    name,
    type,
    typeName: to,
    scale: null,
    precision: null,
    ...(column.required === undefined ? {} : { required: column.required }),
    // Its default is one of the other type.
    ...(facts === undefined ? {} : { facts: { ...facts, default: null, computed: facts.computed || facts.default !== null, labels: null } }),
  };
  return { shape, slot: { kind: 'column', column: index, checked: cast === 'checked' ? type : null } };
}

/** Of the columns that the table does not have. */
function constantsOf(table: TableVersion, columns: readonly Mapped[], { constants }: MappingRules): Mapped[] {
  return constants
    .filter(({ column, name }) => matches(column, table) && !columns.some(({ shape }) => shape.name === name))
    .map(({ name, constant: { typeName, text } }) => {
      // Each row has it: it is no default, by which readers of old rows could go.
      const facts = { ...NOT_NEEDED, required: text !== null };
      return {
        shape: {
          name,
          type: MAPPED_TYPES[typeName],
          typeName,
          scale: null,
          precision: null,
          ...(table.facts === undefined ? {} : { facts }),
        },
        slot: { kind: 'constant', bytes: text === null ? null : Buffer.from(text, 'utf8') },
      };
    });
}

function checkNames(table: TableVersion, columns: readonly Mapped[], rules: MappingRules): void {
  const seen = new Set<string>();
  for (const { shape } of columns) {
    if (seen.has(shape.name)) throw new SluiceError(MAPPING_NAME, about(table, rules, shape.name), { table: table.label });
    seen.add(shape.name);
  }
}

function matches({ table: pattern }: ColumnPattern, { schema, catalog, name }: TableVersion): boolean {
  return pattern.matches(schema === '' ? catalog : schema, name);
}

function about({ label, version }: TableVersion, { connector }: MappingRules, column = ''): Record<string, string | number> {
  return { table: label, version, connector, column };
}
