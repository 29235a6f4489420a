import type { ConnectorDefinition } from '../config/load.ts';
import { namesOf } from '../config/mapping.ts';
import { Mapping } from '../mapping/mapping.ts';
import { type MappedType, parseConstant } from '../mapping/types.ts';
import { parseColumnPattern, parsePatterns } from '../plugin/patterns.ts';
import type { TableVersion } from '../record/table.ts';

/** Null: tables are to readers what they are. */
export function openMapping({ name, mapping }: Pick<ConnectorDefinition, 'name' | 'mapping'>): Mapping | null {
  const { rename, cast, defaults, fixed, rest } = mapping;
  if ([rename, cast, defaults, fixed].every((map) => Object.keys(map).length === 0)) return null;
  const patterns = parsePatterns(Object.keys(fixed));
  return new Mapping({
    connector: name,
    renames: columnsOf(rename, (to) => to),
    casts: columnsOf(cast, (to) => to as MappedType),
    constants: Object.entries(defaults).flatMap(([text, given]) => {
      const [column, constant] = [parseColumnPattern(text), parseConstant(given)];
      return column?.name == null || constant === null ? [] : [{ column, name: column.name, constant }];
    }),
    fixedOf: (table) => {
      const found = patterns.find((pattern) => pattern.matches(table.schema === '' ? table.catalog : table.schema, table.name));
      return found === undefined ? null : namesOf(fixed[found.text] as string);
    },
    rest,
  });
}

function columnsOf<T>(map: Readonly<Record<string, string>>, read: (value: string) => T) {
  return Object.entries(map).flatMap(([text, value]) => {
    const column = parseColumnPattern(text);
    return column === null ? [] : [{ column, to: read(value) }];
  });
}

/** A version as readers have it. One that cannot be mapped, by what the file says today, is what it is: a row of it says what is wrong. */
export function mappedVersion<T extends TableVersion | null>(table: T, mapping: Mapping | null): TableVersion | T {
  if (table === null || mapping === null) return table;
  try {
    return mapping.table(table);
  } catch {
    return table;
  }
}
