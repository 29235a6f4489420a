/** A JSON Schema as parsed JSON, checked for its form, its references followed. Drafts 4 to 2020-12: the meaning of each keyword is that of its form. */
import { SluiceError } from '../plugin/error.ts';
import { SCHEMA_INVALID } from './errors.ts';
import { step } from './incompatibility.ts';
import { canonicalJson, isTooDeep, MAX_JSON_DEPTH } from './json-depth.ts';

export type Keywords = Readonly<Record<string, unknown>>;

/** One schema in a document. */
export interface Part {
  readonly document: SchemaDocument;
  readonly json: boolean | Keywords;
  /** JSON Pointer in the document. */
  readonly path: string;
  /** The same for the same object of the same document. */
  readonly id: number;
}

const TYPES = ['null', 'boolean', 'object', 'array', 'string', 'number', 'integer'];
const ONE_SCHEMA = [
  'additionalItems',
  'additionalProperties',
  'contains',
  'else',
  'if',
  'not',
  'propertyNames',
  'then',
  'unevaluatedItems',
  'unevaluatedProperties',
];
const LISTS = ['allOf', 'anyOf', 'oneOf', 'prefixItems'];
const MAPS = ['$defs', 'definitions', 'dependentSchemas', 'patternProperties', 'properties'];
const NUMBERS = ['maximum', 'minimum', 'multipleOf'];
const COUNTS = ['maxContains', 'maxItems', 'maxLength', 'maxProperties', 'minContains', 'minItems', 'minLength', 'minProperties'];
const TEXTS = ['$ref', 'format', 'pattern'];

const SINCE_2019 = [
  'dependentRequired',
  'dependentSchemas',
  'maxContains',
  'minContains',
  'prefixItems',
  'unevaluatedItems',
  'unevaluatedProperties',
];

/** Keywords that say nothing about what is valid; beside a `$ref` they change nothing. */
const ANNOTATIONS = new Set([
  '$anchor',
  '$comment',
  '$defs',
  '$id',
  '$ref',
  '$schema',
  'default',
  'definitions',
  'deprecated',
  'description',
  'examples',
  'readOnly',
  'title',
  'writeOnly',
]);

export class SchemaDocument {
  readonly root: Part;
  readonly #json: unknown;
  readonly #nextId: () => number;
  readonly #parts = new Map<object, Part>();
  readonly #booleans = new Map<boolean, Part>();
  /** Keywords of another draft than it says stand in it: validators differ in what they make of them. */
  isMixed = false;
  readonly #foreign: readonly string[];
  /** A part with an `$id` of its own: what a reference below it means is another thing. */
  #hasInnerId = false;

  /**
   * @param nextId numbers parts, also those of other documents
   * @throws SluiceError SLUICE_SCHEMA_INVALID
   */
  constructor(json: unknown, nextId: () => number) {
    if (isTooDeep(json)) throw invalid('', `it is nested more than ${MAX_JSON_DEPTH} levels deep`);
    this.#json = json;
    this.#nextId = nextId;
    const isNew = this.#isNewDraft();
    this.#foreign = isNew === null ? [] : isNew ? ['dependencies', 'additionalItems'] : SINCE_2019;
    this.#check(json, '');
    this.root = this.part(json as boolean | Keywords, '');
  }

  part(json: boolean | Keywords, path: string): Part {
    const known = typeof json === 'boolean' ? this.#booleans.get(json) : this.#parts.get(json);
    if (known !== undefined) return known;
    const made: Part = { document: this, json, path, id: this.#nextId() };
    if (typeof json === 'boolean') this.#booleans.set(json, made);
    else this.#parts.set(json, made);
    return made;
  }

  /** Null: it leads out of the document, or to where it cannot be told. */
  resolve(ref: string): Part | null {
    if (this.#hasInnerId) return null;
    const id = isKeywords(this.#json) ? this.#json['$id'] : undefined;
    const local = typeof id === 'string' && ref.startsWith(`${id}#`) ? ref.slice(id.length) : ref;
    if (local !== '#' && !local.startsWith('#/')) return null;
    const target = this.#at(local.slice(1));
    return typeof target === 'boolean' || isKeywords(target) ? this.part(target, local.slice(1)) : null;
  }

  /**
   * Do keywords beside a `$ref` count? Up to draft 7 they do not.
   * @returns null: this document does not say its draft, and it would make a difference
   */
  siblingsCount(json: Keywords): boolean | null {
    if (Object.keys(json).every((key) => ANNOTATIONS.has(key))) return false;
    return this.#isNewDraft();
  }

  /** 2019-09 or 2020-12; false: draft 3 to 7. Null: it is not said. */
  #isNewDraft(): boolean | null {
    const dialect = isKeywords(this.#json) ? this.#json['$schema'] : undefined;
    if (typeof dialect !== 'string') return null;
    if (/^https?:\/\/json-schema\.org\/draft-0[3-7]\/schema#?$/.test(dialect)) return false;
    return /^https?:\/\/json-schema\.org\/draft\/20(19-09|20-12)\/schema#?$/.test(dialect) ? true : null;
  }

  #at(pointer: string): unknown {
    let at: unknown = this.#json;
    for (const key of pointer.split('/').slice(1)) {
      const name = decoded(key)?.replaceAll('~1', '/').replaceAll('~0', '~');
      if (name === undefined || typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return undefined;
      at = (at as Keywords)[name];
    }
    // A pointer may lead to where no schema was looked for.
    this.#check(at, pointer);
    return at;
  }

  #check(json: unknown, path: string): void {
    if (typeof json === 'boolean') return;
    if (!isKeywords(json)) throw invalid(path, 'a schema is an object, true or false');
    if (path !== '' && (typeof json['$id'] === 'string' || typeof json['id'] === 'string')) this.#hasInnerId = true;
    if (this.#foreign.some((keyword) => Object.hasOwn(json, keyword))) this.isMixed = true;
    for (const [keyword, value] of Object.entries(json)) this.#checkKeyword(keyword, value, step(path, keyword));
  }

  #checkKeyword(keyword: string, value: unknown, path: string): void {
    if (ONE_SCHEMA.includes(keyword)) this.#check(value, path);
    else if (LISTS.includes(keyword)) this.#checkList(value, path, 1);
    else if (MAPS.includes(keyword)) this.#checkMap(value, path);
    else if (keyword === 'items') Array.isArray(value) ? this.#checkList(value, path) : this.#check(value, path);
    else if (keyword === 'dependencies') this.#checkDependencies(value, path);
    else checkScalar(keyword, value, path);
  }

  #checkList(value: unknown, path: string, least = 0): void {
    if (!Array.isArray(value) || value.length < least)
      throw invalid(path, least === 0 ? 'it is an array of schemas' : 'it is an array of at least one schema');
    for (const [index, one] of value.entries()) this.#check(one, step(path, index));
  }

  #checkMap(value: unknown, path: string): void {
    if (!isKeywords(value)) throw invalid(path, 'it is an object of schemas');
    for (const [name, one] of Object.entries(value)) this.#check(one, step(path, name));
  }

  #checkDependencies(value: unknown, path: string): void {
    if (!isKeywords(value)) throw invalid(path, 'it is an object');
    for (const [name, one] of Object.entries(value)) {
      if (Array.isArray(one)) checkNames(one, step(path, name));
      else this.#check(one, step(path, name));
    }
  }
}

export function isKeywords(json: unknown): json is Keywords {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}

/** Text by which two schemas are the same; null: it refers to others, which the text does not hold. */
export function sameText(json: unknown): string | null {
  if (typeof json !== 'object' || json === null) return textWithoutReference(json);
  const known = sameTexts.get(json);
  if (known !== undefined) return known;
  const made = textWithoutReference(json);
  sameTexts.set(json, made);
  return made;
}

const sameTexts = new WeakMap<object, string | null>();

function textWithoutReference(json: unknown): string | null {
  const text = canonicalJson(json);
  return /"\$(ref|dynamicRef|recursiveRef)":/.test(text) ? null : text;
}

function checkScalar(keyword: string, value: unknown, path: string): void {
  if (NUMBERS.includes(keyword) && typeof value !== 'number') throw invalid(path, 'it is a number');
  if (keyword === 'multipleOf' && (value as number) <= 0) throw invalid(path, 'it is larger than 0');
  if (COUNTS.includes(keyword) && !(Number.isInteger(value) && (value as number) >= 0)) throw invalid(path, 'it is a whole number of at least 0');
  if (TEXTS.includes(keyword) && typeof value !== 'string') throw invalid(path, 'it is a string');
  // A boolean in draft 4.
  if (/^exclusiveM(in|ax)imum$/.test(keyword) && typeof value !== 'number' && typeof value !== 'boolean') throw invalid(path, 'it is a number');
  if (keyword === 'enum' && !Array.isArray(value)) throw invalid(path, 'it is an array');
  if (keyword === 'required') checkNames(value, path);
  if (keyword === 'uniqueItems' && typeof value !== 'boolean') throw invalid(path, 'it is true or false');
  if (keyword === 'type' && !(Array.isArray(value) ? value : [value]).every((type) => TYPES.includes(type as string)))
    throw invalid(path, `a type is one of ${TYPES.join(', ')}`);
  if (keyword === 'dependentRequired') {
    if (!isKeywords(value)) throw invalid(path, 'it is an object');
    for (const [name, one] of Object.entries(value)) checkNames(one, step(path, name));
  }
}

function checkNames(value: unknown, path: string): void {
  if (!Array.isArray(value) || !value.every((one) => typeof one === 'string')) throw invalid(path, 'it is an array of names');
}

function decoded(key: string): string | undefined {
  try {
    return decodeURIComponent(key);
  } catch {
    return undefined;
  }
}

function invalid(path: string, problem: string): SluiceError {
  return new SluiceError(SCHEMA_INVALID, {
    kind: 'JSON',
    path: path === '' ? 'the top' : path,
    problem,
    specification: 'https://json-schema.org/specification',
  });
}
