/** What is known of the properties and items of the documents that a schema describes. */
import { isKeywords, type Keywords, type Part } from './json-schema-document.ts';
import { type Case, keywordsOf } from './json-schema-written.ts';

/** The schema under a keyword, under a name in it where one is given. Undefined: there is none. */
export function child(part: Part, keyword: string, key?: string | number): Part | undefined {
  const at = (part.json as Keywords)[keyword];
  const json: unknown = key === undefined ? at : typeof at === 'object' && at !== null && Object.hasOwn(at, key) ? (at as Keywords)[key] : undefined;
  if (typeof json !== 'boolean' && !isKeywords(json)) return undefined;
  return part.document.part(json, `${part.path}/${keyword}${key === undefined ? '' : `/${pointerKey(key)}`}`);
}

function pointerKey(key: string | number): string {
  return String(key).replaceAll('~', '~0').replaceAll('/', '~1');
}

/** Names in an object under a keyword. */
export function namesIn(keywords: Keywords, keyword: string): readonly string[] {
  const value = keywords[keyword];
  return isKeywords(value) ? Object.keys(value) : [];
}

export function declaredProperties(one: Case): ReadonlySet<string> {
  return new Set(keywordsOf(one).flatMap((keywords) => namesIn(keywords, 'properties')));
}

export function requiredProperties(one: Case): ReadonlySet<string> {
  return new Set(keywordsOf(one).flatMap((keywords) => (keywords['required'] as readonly string[] | undefined) ?? []));
}

/**
 * What holds for the value of a property. A pattern is never tried on a name: an expression of a stranger may take for ever. So it may match.
 */
export function writtenProperty({ parts }: Case, name: string): readonly Part[] {
  return parts.flatMap((part) => child(part, 'properties', name) ?? (hasPatterns(part) ? [] : (child(part, 'additionalProperties') ?? [])));
}

/** What holds for the value of a property that no part names. `patterns`: those that its name is known not to match. */
export function writtenOthers({ parts }: Case, patterns: readonly string[]): readonly Part[] {
  return parts.flatMap((part) => {
    const isPatternFree = namesIn(part.json as Keywords, 'patternProperties').every((pattern) => patterns.includes(pattern));
    return isPatternFree ? (child(part, 'additionalProperties') ?? []) : [];
  });
}

export function writtenPattern({ parts }: Case, pattern: string): readonly Part[] {
  return parts.flatMap((part) => child(part, 'patternProperties', pattern) ?? []);
}

function hasPatterns({ json }: Part): boolean {
  return namesIn(json as Keywords, 'patternProperties').length > 0;
}

/** Items in front that have schemas of their own: `prefixItems`, or an array of `items` up to 2019-09. */
export function prefixLength(part: Part): number {
  const { items, prefixItems } = part.json as { items?: unknown; prefixItems?: unknown };
  if (Array.isArray(items)) return items.length;
  return Array.isArray(prefixItems) ? prefixItems.length : 0;
}

/** Schema of the item at a place; undefined: any. */
export function itemAt(part: Part, index: number): Part | undefined {
  const isOld = Array.isArray((part.json as Keywords)['items']);
  if (index < prefixLength(part)) return child(part, isOld ? 'items' : 'prefixItems', index);
  return child(part, isOld ? 'additionalItems' : 'items');
}

export function writtenItem({ parts }: Case, index: number): readonly Part[] {
  return parts.flatMap((part) => itemAt(part, index) ?? []);
}

/** From this place on all items are described alike. */
export function writtenPrefix({ parts }: Case): number {
  return Math.max(0, ...parts.map(prefixLength));
}
