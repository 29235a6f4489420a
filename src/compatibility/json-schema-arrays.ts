/** Keywords of arrays. */
import type { Incompatibility } from './incompatibility.ts';
import { type Comparing, reason, undecided } from './json-schema-comparing.ts';
import { child, itemAt, prefixLength, writtenItem, writtenPrefix } from './json-schema-contents.ts';
import { type Keywords, type Part, sameText } from './json-schema-document.ts';
import { checkCounts } from './json-schema-values.ts';
import { type Case, count, keywordsOf, typesOf } from './json-schema-written.ts';

export function checkArrays(comparison: Comparing, reader: Part, keywords: Keywords, one: Case): readonly Incompatibility[] {
  if (!typesOf(one).includes('array')) return [];
  const most = mostItems(comparison, one);
  return [
    ...checkItems(comparison, reader, one, most),
    ...checkCounts(reader, keywords, 'Items', count(one, 'minItems') ?? 0, most),
    ...checkUnique(reader, keywords, one, most),
    ...checkContains(comparison, reader, keywords, one),
    ...(keywords['unevaluatedItems'] === undefined || keywords['unevaluatedItems'] === true ? [] : [undecided(reader, 'unevaluatedItems')]),
  ];
}

/** A closed tuple holds no more items than it names. */
function mostItems(comparison: Comparing, one: Case): number | null {
  const prefix = writtenPrefix(one);
  const most = count(one, 'maxItems');
  const closed = comparison.areEmpty(writtenItem(one, prefix)) ? prefix : null;
  return most === null || closed === null ? (most ?? closed) : Math.min(most, closed);
}

function checkItems(comparison: Comparing, reader: Part, one: Case, most: number | null): readonly Incompatibility[] {
  // One beyond both stands for all behind it.
  const last = Math.max(prefixLength(reader), writtenPrefix(one));
  const found: Incompatibility[] = [];
  for (let index = 0; index <= last && (most === null || index < most); index++) {
    const item = itemAt(reader, index);
    if (item === undefined) continue;
    if (item.json === false) {
      if (!comparison.areEmpty(writtenItem(one, index)))
        found.push({ path: reader.path, kind: 'boundNarrowed', message: `An item ${index} is not taken, and may be written.` });
    } else found.push(...comparison.compare(item, writtenItem(one, index)));
  }
  return found;
}

function checkUnique(reader: Part, { uniqueItems }: Keywords, one: Case, most: number | null): readonly Incompatibility[] {
  if (uniqueItems !== true || (most !== null && most <= 1) || keywordsOf(one).some((part) => part['uniqueItems'] === true)) return [];
  return [reason(reader, 'uniqueItems', 'conditionAdded', 'Items must differ here, and need not when they are written.')];
}

function checkContains(comparison: Comparing, reader: Part, keywords: Keywords, one: Case): readonly Incompatibility[] {
  const contained = child(reader, 'contains');
  if (contained === undefined) return [];
  const least = (keywords['minContains'] as number | undefined) ?? 1;
  const text = containsText(keywords);
  if (text !== null && keywordsOf(one).some((part) => containsText(part) === text)) return [];
  const isMet = one.parts.some((part) => {
    const written = child(part, 'contains');
    const count = ((part.json as Keywords)['minContains'] as number | undefined) ?? 1;
    return written !== undefined && count >= least && comparison.compare(contained, [written]).length === 0;
  });
  if (keywords['maxContains'] === undefined && (least === 0 || isMet)) return [];
  return [reason(reader, 'contains', 'conditionAdded', 'An item is asked for that what was written need not hold.')];
}

function containsText({ contains, minContains, maxContains }: Keywords): string | null {
  return contains === undefined ? null : sameText([contains, minContains ?? 1, maxContains ?? null]);
}
