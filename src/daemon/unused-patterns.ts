import { CONFIG_UNUSED } from '../config/errors.ts';
import type { ConnectorDefinition } from '../config/load.ts';
import { SluiceError } from '../plugin/error.ts';
import { errorFinding, type Finding } from '../plugin/finding.ts';
import type { TableOutline } from '../plugin/outline.ts';
import { parseColumnPattern, parsePatterns } from '../plugin/patterns.ts';
import { schemaOf } from './policy-choice.ts';

/** Warnings of patterns of tables and columns in a connector's file that no captured table has: mostly misspelt, and without effect. */
export function unusedPatterns({ compatibility, mapping }: ConnectorDefinition, tables: readonly TableOutline[]): readonly Finding[] {
  const { levels, actions, deprecated } = compatibility;
  const ofTables = { 'compatibility.levels': levels, 'compatibility.actions': actions, 'mapping.fixed': mapping.fixed };
  const ofColumns = {
    'compatibility.deprecated': deprecated,
    'mapping.rename': Object.keys(mapping.rename),
    'mapping.cast': Object.keys(mapping.cast),
  };
  const unused = (path: string, texts: readonly string[], isUsed: (text: string) => boolean): readonly Finding[] =>
    texts.filter((text) => !isUsed(text)).map((pattern) => finding(path, pattern));
  return [
    ...Object.entries(ofTables).flatMap(([path, map]) => unused(path, Object.keys(map), (text) => matchesTable(text, tables))),
    ...Object.entries(ofColumns).flatMap(([path, texts]) => unused(path, texts, (text) => matchesColumn(text, tables, true))),
    // A default may stand for a column that is not there.
    ...unused('mapping.defaults', Object.keys(mapping.defaults), (text) => matchesColumn(text, tables, false)),
  ];
}

function matchesTable(text: string, tables: readonly TableOutline[]): boolean {
  const [pattern] = parsePatterns([text]);
  return tables.some((table) => pattern?.matches(schemaOf(table), table.name));
}

function matchesColumn(text: string, tables: readonly TableOutline[], mustBeThere: boolean): boolean {
  const pattern = parseColumnPattern(text);
  return tables.some(
    (table) =>
      pattern?.table.matches(schemaOf(table), table.name) &&
      (!mustBeThere || table.columnNames === undefined || table.columnNames.some((name) => pattern.matches(name))),
  );
}

function finding(path: string, pattern: string): Finding {
  return errorFinding(new SluiceError(CONFIG_UNUSED, { path, pattern }), 'warning');
}
