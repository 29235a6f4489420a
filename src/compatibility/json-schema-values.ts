/** Keywords of types, listed values, numbers and strings. */
import type { Incompatibility } from './incompatibility.ts';
import { canonicalJson } from './json-depth.ts';
import { reason } from './json-schema-comparing.ts';
import type { Keywords, Part } from './json-schema-document.ts';
import { type Bound, byText, type Case, count, keywordsOf, listedValues, lowerBound, typesOf, upperBound } from './json-schema-written.ts';

export function checkTypes(reader: Part, { type }: Keywords, one: Case): readonly Incompatibility[] {
  if (type === undefined) return [];
  const named = (Array.isArray(type) ? type : [type]) as readonly string[];
  const isTaken = (name: string): boolean => named.includes(name) || ((name === 'integer' || name === 'fraction') && named.includes('number'));
  const missing = typesOf(one).filter((name) => !isTaken(name));
  if (missing.length === 0) return [];
  const names = missing.map((name) => (name === 'fraction' ? 'number that is no integer' : name));
  return [reason(reader, 'type', 'typeChanged', `What may be written is not taken: ${names.join(', ')}.`)];
}

export function checkValues(reader: Part, keywords: Keywords, one: Case): readonly Incompatibility[] {
  return listedValues(keywords).flatMap((listed) => {
    const known = byText(listed);
    const written = keywordsOf(one).find((part) => Object.hasOwn(part, 'const'));
    const keyword = Object.hasOwn(keywords, 'enum') ? 'enum' : 'const';
    if (written === undefined) return [reason(reader, keyword, 'valueRemoved', 'Only listed values are taken, and others may be written.')];
    const text = canonicalJson(written['const']);
    return known.has(text) ? [] : [reason(reader, keyword, 'valueRemoved', `The value ${text.slice(0, 100)} is not taken.`)];
  });
}

export function checkNumbers(reader: Part, keywords: Keywords, one: Case): readonly Incompatibility[] {
  const types = typesOf(one);
  if (!types.includes('integer') && !types.includes('fraction')) return [];
  const [lower, upper] = [lowerBound(one), upperBound(one)];
  return [
    ...checkBound(reader, keywords, 'minimum', lower, 1),
    ...checkBound(reader, keywords, 'exclusiveMinimum', lower, 1),
    ...checkBound(reader, keywords, 'maximum', upper, -1),
    ...checkBound(reader, keywords, 'exclusiveMaximum', upper, -1),
    ...checkMultiple(reader, keywords, one),
  ];
}

function checkBound(reader: Part, keywords: Keywords, keyword: string, written: Bound | null, sign: 1 | -1): readonly Incompatibility[] {
  const value = keywords[keyword];
  if (value === undefined || value === false) return [];
  if (typeof value !== 'number') return [reason(reader, keyword, 'undecided', `It cannot be told: ${keyword} as in draft 4.`)];
  const difference = written === null ? -1 : (written.value - value) * sign;
  const isTaken = difference > 0 || (difference === 0 && (!keyword.startsWith('exclusive') || written?.isExclusive === true));
  if (isTaken) return [];
  const what = written === null ? 'has no such bound' : `has ${written.value}${written.isExclusive ? ', exclusive' : ''}`;
  return [reason(reader, keyword, 'boundNarrowed', `The bound is ${value} here, and what is written ${what}.`)];
}

function checkMultiple(reader: Part, { multipleOf }: Keywords, one: Case): readonly Incompatibility[] {
  if (typeof multipleOf !== 'number') return [];
  const isOnlyInteger = !typesOf(one).includes('fraction');
  const isMultiple = (of: unknown): boolean =>
    of === multipleOf || (Number.isSafeInteger(of) && Number.isSafeInteger(multipleOf) && (of as number) % multipleOf === 0);
  if (keywordsOf(one).some((part) => isMultiple(part['multipleOf']) || isMultiple(part['const'])) || (multipleOf === 1 && isOnlyInteger)) return [];
  return [reason(reader, 'multipleOf', 'boundNarrowed', `Only multiples of ${multipleOf} are taken, and other numbers may be written.`)];
}

export function checkStrings(reader: Part, keywords: Keywords, one: Case): readonly Incompatibility[] {
  const { format } = keywords;
  const found: Incompatibility[] = [];
  // Of some validators an assertion, also on numbers.
  if (format !== undefined && !keywordsOf(one).some((part) => part['format'] === format))
    found.push(reason(reader, 'format', 'conditionAdded', `The format ${String(format)} is asked for, and was not when it was written.`));
  if (!typesOf(one).includes('string')) return found;
  const { pattern } = keywords;
  if (pattern !== undefined && !keywordsOf(one).some((part) => part['pattern'] === pattern))
    found.push(reason(reader, 'pattern', 'conditionAdded', 'A pattern is asked for that what was written need not match.'));
  return [...found, ...checkCounts(reader, keywords, 'Length', count(one, 'minLength') ?? 0, count(one, 'maxLength'))];
}

/** `minItems` and `maxItems` and the like. `most` null: any number. */
export function checkCounts(reader: Part, keywords: Keywords, of: string, least: number, most: number | null): readonly Incompatibility[] {
  const [min, max] = [keywords[`min${of}`], keywords[`max${of}`]];
  const found: Incompatibility[] = [];
  if (typeof min === 'number' && least < min)
    found.push(reason(reader, `min${of}`, 'boundNarrowed', `At least ${min} are asked for here, and ${least} may be written.`));
  if (typeof max === 'number' && (most === null || most > max))
    found.push(reason(reader, `max${of}`, 'boundNarrowed', `At most ${max} are taken here, and ${most ?? 'any number'} may be written.`));
  return found;
}
