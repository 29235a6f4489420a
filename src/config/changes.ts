import { isDeepStrictEqual } from 'node:util';
import type { ConnectorDefinition } from './definition.ts';

/** What becomes of a connector by another configuration. */
export interface ConnectorChange {
  readonly name: string;
  readonly kind: 'added' | 'removed' | 'changed';
  /** Paths of the options that differ; nothing of their values (I12). */
  readonly options: readonly string[];
  /** Entries that `source.tables` has more. */
  readonly tables: readonly string[];
}

/** What differs between two configurations, connector by connector. */
export function connectorChanges(before: readonly ConnectorDefinition[], after: readonly ConnectorDefinition[]): readonly ConnectorChange[] {
  const known = new Map(before.map((definition) => [definition.name, definition]));
  const changes: ConnectorChange[] = [];
  for (const { name } of before) {
    if (!after.some((each) => each.name === name)) changes.push({ name, kind: 'removed', options: [], tables: [] });
  }
  for (const definition of after) {
    const old = known.get(definition.name);
    if (old === undefined) changes.push({ name: definition.name, kind: 'added', options: [], tables: [] });
    else {
      const options = differing(plain(old), plain(definition), '');
      if (options.length > 0) changes.push({ name: definition.name, kind: 'changed', options, tables: added(tablesOf(old), tablesOf(definition)) });
    }
  }
  return changes;
}

/** `orders: restarted with other source.tables (public.lines is new)`. */
export function describeChange({ name, kind, options, tables }: ConnectorChange): string {
  if (kind === 'added') return `${name}: started`;
  if (kind === 'removed') return `${name}: ended, its state and what it made on the servers stay`;
  const more = tables.length === 0 ? '' : ` (${tables.join(', ')} ${tables.length === 1 ? 'is' : 'are'} new)`;
  return `${name}: restarted with other ${options.join(', ')}${more}`;
}

/** The values alone; of plug-ins their types. */
function plain({ file: _, isStored: __, ...definition }: ConnectorDefinition): Readonly<Record<string, unknown>> {
  const parts = ['source', 'format', 'sink'] as const;
  const sections = parts.map((part) => [part, { ...definition[part].config, type: definition[part].plugin.type }]);
  return { ...definition, ...Object.fromEntries(sections) };
}

function differing(before: unknown, after: unknown, path: string): string[] {
  if (isDeepStrictEqual(before, after)) return [];
  if (!isObject(before) || !isObject(after)) return [path];
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return names.flatMap((name) => differing(before[name], after[name], path === '' ? name : `${path}.${name}`));
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function tablesOf({ source }: ConnectorDefinition): readonly string[] {
  const { tables } = source.config as { readonly tables?: unknown };
  return Array.isArray(tables) ? tables.map(String) : [];
}

function added(before: readonly string[], after: readonly string[]): readonly string[] {
  return after.filter((each) => !before.includes(each));
}
