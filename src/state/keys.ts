import type { TableVersion } from '../record/table.ts';

/** Keys of the store. Every part that comes from outside is percent-encoded: ASCII, and a slash only between parts. */
export const ROOT_KEY = 'root';

export function connectorPrefix(connector: string): string {
  return `connector/${encodeURIComponent(connector)}/`;
}

/** The connector that a key belongs to and the rest of the key; null for the root. */
export function parseKey(key: string): { readonly connector: string; readonly rest: string } | null {
  const match = /^connector\/([^/]+)\/(.+)$/.exec(key);
  return match === null ? null : { connector: decodeURIComponent(match[1] as string), rest: match[2] as string };
}

export const OFFSET_KEY = 'offset';
export const INTENT_KEY = 'intent';
/** Stands while the offset of a connector that was there before is not recovered. */
export const LOST_KEY = 'lost';
/** Stands while an operator wants the connector to rest. */
export const PAUSED_KEY = 'paused';
export const TABLE_PREFIX = 'table/';

export const PLACE_PREFIX = 'place/';

/** Relative to the connector: one entry of its sink's place. */
export function placeKey(entry: string): string {
  return PLACE_PREFIX + encodeURIComponent(entry);
}

/** The entry of a whole key. */
export function placeEntry(key: string): string {
  return lastPart(key, PLACE_PREFIX);
}

export const PROGRESS_PREFIX = 'snapshot/';

/** Relative to the connector: one entry of what is known of copies. */
export function progressKey(entry: string): string {
  return PROGRESS_PREFIX + encodeURIComponent(entry);
}

/** The entry of a whole key. */
export function progressEntry(key: string): string {
  return lastPart(key, PROGRESS_PREFIX);
}

/** Relative to the connector. Versions of a table sort by number. */
export function tableKey(table: TableVersion): string {
  const parts = [table.kind, table.catalog, table.schema, table.name].map(encodeURIComponent).join('/');
  return `${TABLE_PREFIX}${parts}/${String(table.version).padStart(8, '0')}`;
}

export const SHAPE_PREFIX = 'shape/';

/** Relative to the connector: which version of a table was announced last, by its `tableId`. */
export function shapeKey(table: string): string {
  return SHAPE_PREFIX + encodeURIComponent(table);
}

/** The table of a whole key. */
export function shapeTable(key: string): string {
  return lastPart(key, SHAPE_PREFIX);
}

export const ACCEPTED_PREFIX = 'accepted/';

/** Relative to the connector: stands while versions of tables are judged. */
export const JUDGED_KEY = 'judged';

/** Relative to the connector: that rows of a version of a table, by its `tableId`, may go. */
export function acceptedKey(table: string, version: number): string {
  return `${ACCEPTED_PREFIX}${encodeURIComponent(table)}/${String(version).padStart(8, '0')}`;
}

/** Table and version of a whole key. */
export function acceptedVersion(key: string): { readonly table: string; readonly version: number } {
  const [table = '', version] = (parseKey(key)?.rest ?? '').slice(ACCEPTED_PREFIX.length).split('/');
  return { table: decodeURIComponent(table), version: Number(version) };
}

export const TABLE_STATE_PREFIX = 'table-state/';

/** Relative to the connector: of one table, by its label. */
export function tableStateKey(table: string): string {
  return TABLE_STATE_PREFIX + encodeURIComponent(table);
}

/** The label of a whole key. */
export function tableStateLabel(key: string): string {
  return lastPart(key, TABLE_STATE_PREFIX);
}

/** Relative to the connector: how far one of its segment logs was confirmed. */
export function markKey(log: string): string {
  return `mark/${encodeURIComponent(log)}`;
}

/** What the built-in registry holds; of no connector. */
export const REGISTRY_PREFIX = 'registry/';

/** What stands behind the prefix in a whole key; the connector's name may hold the prefix too. */
function lastPart(key: string, prefix: string): string {
  return decodeURIComponent((parseKey(key)?.rest ?? '').slice(prefix.length));
}
