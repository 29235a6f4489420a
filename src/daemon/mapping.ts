import type { ConnectorDefinition } from '../config/load.ts';
import { namesOf } from '../config/mapping.ts';
import { Mapping } from '../mapping/mapping.ts';
import { type MappedType, parseConstant } from '../mapping/types.ts';
import { parseColumnPattern, parsePatterns } from '../plugin/patterns.ts';

/** What tables are to readers. Loaded only where a connector's file says it. */
export function openMapping({ name, mapping }: Pick<ConnectorDefinition, 'name' | 'mapping'>): Mapping {
  const { rename, cast, defaults, fixed, rest } = mapping;
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
