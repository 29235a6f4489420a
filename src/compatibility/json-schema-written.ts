/**
 * What is known of the documents that a schema describes. Whatever is left out here only makes the set of documents larger than it is, which may make
 * two schemas incompatible that are not, never the reverse.
 */
import type { Budget } from './budget.ts';
import { canonicalJson } from './json-depth.ts';
import { isKeywords, type Keywords, type Part, SchemaDocument } from './json-schema-document.ts';

/** `fraction` is a number that is no integer. */
export type JsonType = 'null' | 'boolean' | 'object' | 'array' | 'string' | 'integer' | 'fraction';
export const JSON_TYPES: readonly JsonType[] = ['null', 'boolean', 'object', 'array', 'string', 'integer', 'fraction'];

/** All parts hold at once. */
export interface Case {
  readonly parts: readonly Part[];
  /** No document is valid: one of the parts is `false`. */
  readonly isEmpty: boolean;
}

export interface Bound {
  readonly value: number;
  readonly isExclusive: boolean;
}

/** With more, a disjunction is left out. */
const MAX_CASES = 256;

/** Splits written schemas that hold at once at their disjunctions. Null: a reference cannot be followed. */
export function casesOf(written: readonly Part[], synthetic: Synthetic): readonly Case[] | null {
  return split(written, synthetic, new Set());
}

/** A part that was seen adds nothing again, also where a schema leads to itself. */
function split(written: readonly Part[], synthetic: Synthetic, before: ReadonlySet<Part>): readonly Case[] | null {
  const seen = new Set(before);
  synthetic.budget.spend(written.length);
  const parts: Part[] = [];
  const disjunctions: (readonly (readonly Part[])[])[] = [];
  const queue = [...written];
  let isEmpty = false;
  for (let part = queue.pop(); part !== undefined; part = queue.pop()) {
    if (part.json === false) isEmpty = true;
    if (typeof part.json === 'boolean' || seen.has(part)) continue;
    seen.add(part);
    synthetic.budget.spend(1);
    const own = ownKeywords(part);
    if (own === null) return null;
    queue.push(...own.targets);
    if (own.keywords === null) continue;
    parts.push(part);
    queue.push(...subschemas(part, 'allOf'));
    if (own.keywords['anyOf'] !== undefined) disjunctions.push(subschemas(part, 'anyOf').map((branch) => [branch]));
    if (own.keywords['oneOf'] !== undefined) disjunctions.push(exactlyOne(subschemas(part, 'oneOf'), synthetic));
  }
  let cases: readonly Case[] = [{ parts, isEmpty }];
  for (const branches of isEmpty ? [] : disjunctions) {
    const inner: Case[] = [];
    for (const branch of branches) {
      const made = split(branch, synthetic, seen);
      if (made === null) return null;
      inner.push(...made);
    }
    if (cases.length * inner.length <= MAX_CASES) cases = product(cases, inner);
    synthetic.budget.spend(cases.reduce((sum, one) => sum + one.parts.length, 0));
  }
  return cases;
}

function product(cases: readonly Case[], inner: readonly Case[]): readonly Case[] {
  return cases.flatMap((one) =>
    inner.map((other) => ({ parts: [...new Set([...one.parts, ...other.parts])], isEmpty: one.isEmpty || other.isEmpty })),
  );
}

function exactlyOne(branches: readonly Part[], synthetic: Synthetic): readonly (readonly Part[])[] {
  return branches.map((branch, index) => [branch, ...branches.filter((_, at) => at !== index).map((other) => synthetic.not(other))]);
}

/** What a schema refers to, and its own keywords where those count: null if only the reference does. Null as a whole: it cannot be told. */
export function ownKeywords(part: Part): { readonly targets: readonly Part[]; readonly keywords: Keywords | null } | null {
  const json = part.json as Keywords;
  if (json['$dynamicRef'] !== undefined || json['$recursiveRef'] !== undefined) return null;
  const ref = json['$ref'];
  if (typeof ref !== 'string') return { targets: [], keywords: json };
  const target = part.document.resolve(ref);
  const count = part.document.siblingsCount(json);
  if (target === null || count === null) return null;
  return { targets: [target], keywords: count ? json : null };
}

export function subschemas(part: Part, keyword: string): readonly Part[] {
  const list = (part.json as Keywords)[keyword];
  return Array.isArray(list) ? list.map((json: boolean | Keywords, index) => part.document.part(json, `${part.path}/${keyword}/${index}`)) : [];
}

export function keywordsOf({ parts }: Case): readonly Keywords[] {
  return parts.map(({ json }) => json as Keywords);
}

export function typesOf(one: Case): readonly JsonType[] {
  let types = JSON_TYPES;
  for (const { type } of keywordsOf(one)) {
    if (type === undefined) continue;
    const named = (Array.isArray(type) ? type : [type]) as readonly string[];
    types = types.filter((name) => named.includes(name) || (named.includes('number') && (name === 'integer' || name === 'fraction')));
  }
  return types;
}

/** The values that can be written if they are listed, else null. */
export function valuesOf(one: Case): readonly unknown[] | null {
  const types = typesOf(one);
  const lists = keywordsOf(one).flatMap((keywords) => listedValues(keywords));
  if (types.every((type) => type === 'boolean' || type === 'null'))
    lists.push(types.flatMap((type): readonly unknown[] => (type === 'null' ? [null] : [false, true])));
  if (lists.length === 0) return null;
  const [first, ...others] = lists.map(byText);
  return [...(first ?? [])]
    .filter(([text, value]) => others.every((other) => other.has(text)) && types.includes(typeOf(value)))
    .map(([, value]) => value);
}

/** The listed values, as texts. */
const texts = new WeakMap<readonly unknown[], ReadonlyMap<string, unknown>>();

export function byText(list: readonly unknown[]): ReadonlyMap<string, unknown> {
  const known = texts.get(list) ?? new Map(list.map((value) => [canonicalJson(value), value]));
  texts.set(list, known);
  return known;
}

export function listedValues(keywords: Keywords): readonly (readonly unknown[])[] {
  return [...(Object.hasOwn(keywords, 'const') ? [[keywords['const']]] : []), ...(Array.isArray(keywords['enum']) ? [keywords['enum']] : [])];
}

export function typeOf(value: unknown): JsonType {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'fraction';
  return typeof value as JsonType;
}

/** The largest of the lower bounds; of integers, the smallest integer that is taken. */
export function lowerBound(one: Case): Bound | null {
  return bound(one, 'minimum', 'exclusiveMinimum', 1);
}

export function upperBound(one: Case): Bound | null {
  return bound(one, 'maximum', 'exclusiveMaximum', -1);
}

function bound(one: Case, inclusive: string, exclusive: string, sign: 1 | -1): Bound | null {
  let tightest: Bound | null = null;
  for (const keywords of keywordsOf(one)) {
    for (const keyword of [inclusive, exclusive]) {
      const value = keywords[keyword];
      if (typeof value !== 'number') continue;
      const isExclusive = keyword === exclusive;
      const difference = tightest === null ? 1 : (value - tightest.value) * sign;
      if (difference > 0 || (difference === 0 && isExclusive)) tightest = { value, isExclusive };
    }
  }
  if (tightest === null || typesOf(one).includes('fraction')) return tightest;
  const { value, isExclusive } = tightest;
  const whole = sign === 1 ? Math.ceil(value) : Math.floor(value);
  // Beyond 2^53 the next integer is not the next number.
  if (!Number.isSafeInteger(whole)) return tightest;
  return { value: isExclusive && whole === value ? whole + sign : whole, isExclusive: false };
}

/** The tightest of the counts under a keyword that begins with `min` or `max`. */
export function count(one: Case, keyword: string): number | null {
  const counts = keywordsOf(one)
    .map((keywords) => keywords[keyword])
    .filter((value) => typeof value === 'number');
  if (counts.length === 0) return null;
  return keyword.startsWith('min') ? Math.max(...counts) : Math.min(...counts);
}

/** Schemas that no document holds as it is: made for a comparison, the same one for the same purpose. */
export class Synthetic {
  readonly budget: Budget;
  readonly #document: SchemaDocument;
  readonly #types = new Map<JsonType, Part>();
  readonly #values = new Map<string, Part>();
  readonly #made = new Set<Part>();
  readonly #nots = new Map<Part, Part>();
  readonly #nextId: () => number;

  constructor(nextId: () => number, budget: Budget) {
    this.budget = budget;
    this.#nextId = nextId;
    this.#document = new SchemaDocument(true, nextId);
  }

  type(type: JsonType): Part {
    const known = this.#types.get(type) ?? this.#document.part({ type }, '');
    this.#types.set(type, known);
    return known;
  }

  /** In the document of what is negated, where its references lead. */
  not(part: Part): Part {
    const known = this.#nots.get(part) ?? { document: part.document, json: { not: part.json }, path: part.path, id: this.#nextId() };
    this.#nots.set(part, known);
    return known;
  }

  /** Is it all that is known, that it is this one value? */
  isValue({ parts }: Case): boolean {
    const [part] = parts;
    return parts.length === 1 && part !== undefined && this.#made.has(part);
  }

  /** Describes one value as far as keywords can. */
  value(value: unknown): Part {
    const text = canonicalJson(value);
    const known = this.#values.get(text) ?? this.#document.part({ const: value, ...valueKeywords(value) }, '');
    this.#values.set(text, known);
    this.#made.add(known);
    return known;
  }
}

function valueKeywords(value: unknown): Keywords {
  const type = typeOf(value);
  if (type === 'string') {
    const length = [...(value as string)].length;
    return { type, minLength: length, maxLength: length };
  }
  if (type === 'integer' || type === 'fraction') return { type, minimum: value, maximum: value };
  if (Array.isArray(value))
    return { type, prefixItems: value.map((item) => ({ const: item as unknown })), minItems: value.length, maxItems: value.length };
  if (!isKeywords(value)) return { type };
  const properties = Object.fromEntries(Object.entries(value).map(([name, one]) => [name, { const: one }]));
  return { type, properties, required: Object.keys(value), additionalProperties: false };
}
