/**
 * Is every document that is valid by one JSON Schema also valid by another? Answers yes only where it follows; what cannot be told is incompatible.
 * Numbers are compared as IEEE doubles, as validators in JavaScript read them.
 */
import type { Incompatibility } from './incompatibility.ts';
import { checkArrays } from './json-schema-arrays.ts';
import { type Comparing, undecided } from './json-schema-comparing.ts';
import { child, requiredProperties, writtenProperty } from './json-schema-contents.ts';
import { type Keywords, type Part, SchemaDocument, sameText } from './json-schema-document.ts';
import { checkObjects } from './json-schema-objects.ts';
import { checkNumbers, checkStrings, checkTypes, checkValues } from './json-schema-values.ts';
import {
  type Case,
  casesOf,
  count,
  JSON_TYPES,
  keywordsOf,
  lowerBound,
  ownKeywords,
  Synthetic,
  subschemas,
  typesOf,
  upperBound,
  valuesOf,
} from './json-schema-written.ts';
import { Pairs } from './pairs.ts';

/**
 * @returns empty: each document that is valid by `writer` is valid by `reader`
 * @throws SluiceError SLUICE_SCHEMA_INVALID
 */
export function checkJsonSchema(reader: unknown, writer: unknown): readonly Incompatibility[] {
  let id = 0;
  const nextId = (): number => id++;
  const [read, written] = [new SchemaDocument(reader, nextId), new SchemaDocument(writer, nextId)];
  if (JSON.stringify(reader) === JSON.stringify(writer)) return [];
  if (read.isMixed || written.isMixed) return [undecided(read.root, 'keywords stand there that the draft which the schema names does not know')];
  const comparison = new Comparison(nextId);
  return comparison.pairs.settle(() => comparison.compare(read.root, [written.root]));
}

/** Places of required properties that are looked into for a value that cannot be. */
const MAX_DEPTH_OF_EMPTY = 3;

class Comparison implements Comparing {
  readonly pairs = new Pairs();
  readonly synthetic: Synthetic;

  constructor(nextId: () => number) {
    this.synthetic = new Synthetic(nextId, this.pairs.budget);
  }

  /** Compares a schema that reads with written ones that hold at once. `via`: what reads the same value around it. */
  compare(reader: Part, written: readonly Part[], via: readonly Part[] = []): readonly Incompatibility[] {
    const ids = [...new Set(written.map(({ id }) => id))].sort((one, other) => one - other);
    return this.pairs.compare(`${reader.id} ${ids.join(' ')}`, () => {
      if (reader.json === true) return [];
      const cases = casesOf(written, this.synthetic);
      if (cases === null) return [undecided(reader, 'a reference of the schema that wrote leads out of it, or its draft is not told')];
      return cases.flatMap((one) => this.#case(reader, one, via));
    });
  }

  /** True if it is sure that no document is valid. */
  isEmpty(one: Case, depth = 0): boolean {
    if (one.isEmpty || typesOf(one).length === 0 || valuesOf(one)?.length === 0) return true;
    const types = typesOf(one);
    if (types.every((type) => type === 'integer' || type === 'fraction')) return isCrossed(one);
    const type = types.length === 1 ? types[0] : undefined;
    if (type === 'string') return isOver(count(one, 'minLength'), count(one, 'maxLength'));
    if (type === 'array') return isOver(count(one, 'minItems'), count(one, 'maxItems'));
    if (type !== 'object') return false;
    if (isOver(count(one, 'minProperties'), count(one, 'maxProperties'))) return true;
    if (depth >= MAX_DEPTH_OF_EMPTY) return false;
    return [...requiredProperties(one)].some((name) => this.areEmpty(writtenProperty(one, name), depth + 1));
  }

  areEmpty(written: readonly Part[], depth = 0): boolean {
    const cases = casesOf(written, this.synthetic);
    return cases?.every((one) => this.isEmpty(one, depth)) === true;
  }

  #case(reader: Part, one: Case, via: readonly Part[]): readonly Incompatibility[] {
    this.pairs.budget.spend(one.parts.length);
    if (this.isEmpty(one)) return [];
    if (typeof reader.json === 'boolean')
      return [{ path: reader.path, kind: 'typeChanged', message: 'Nothing is valid here, and values may be written.' }];
    const text = sameText(reader.json);
    if (text !== null && keywordsOf(one).some((keywords) => sameText(keywords) === text)) return [];
    // A list of values, and each of them is known as a whole.
    const values = this.synthetic.isValue(one) ? null : valuesOf(one);
    if (values !== null) return values.flatMap((value) => this.compare(reader, [this.synthetic.value(value)], via));
    const own = ownKeywords(reader);
    if (own === null) return [undecided(reader, 'a reference leads out of the schema, or its draft is not told')];
    const followed = [...via, reader];
    if (own.targets.some((target) => followed.includes(target))) return [undecided(reader, 'the schema refers to itself without end')];
    return [
      ...own.targets.flatMap((target) => this.compare(target, one.parts, followed)),
      ...(own.keywords === null ? [] : this.#keywords(reader, own.keywords, one, followed)),
    ];
  }

  #keywords(reader: Part, keywords: Keywords, one: Case, via: readonly Part[]): readonly Incompatibility[] {
    const types = checkTypes(reader, keywords, one);
    // What else differs would say the same again.
    if (types.length > 0) return types;
    return [
      ...checkValues(reader, keywords, one),
      ...checkNumbers(reader, keywords, one),
      ...checkStrings(reader, keywords, one),
      ...checkArrays(this, reader, keywords, one),
      ...checkObjects(this, reader, keywords, one),
      ...subschemas(reader, 'allOf').flatMap((branch) => this.compare(branch, one.parts, via)),
      ...this.#anyOf(reader, subschemas(reader, 'anyOf'), one, via),
      ...this.#oneOf(reader, subschemas(reader, 'oneOf'), one, via),
      ...this.#not(reader, one),
      ...this.#condition(reader, keywords, one, via),
    ];
  }

  #anyOf(reader: Part, branches: readonly Part[], one: Case, via: readonly Part[]): readonly Incompatibility[] {
    if (branches.length === 0) return [];
    return this.#byType(one, (narrow) => {
      const reasons = branches.map((branch) => this.compare(branch, narrow.parts, via));
      return reasons.some((found) => found.length === 0) ? [] : this.#noBranch(reader, branches, reasons, narrow);
    });
  }

  /** One branch takes it, and it is known that no other does. */
  #oneOf(reader: Part, branches: readonly Part[], one: Case, via: readonly Part[]): readonly Incompatibility[] {
    if (branches.length === 0) return [];
    return this.#byType(one, (narrow) => {
      const reasons = branches.map((branch) => this.compare(branch, narrow.parts, via));
      if (reasons.every((found) => found.length > 0)) return this.#noBranch(reader, branches, reasons, narrow);
      // By place: two branches may be the same schema.
      const isAlone = reasons.some(
        (found, index) => found.length === 0 && branches.every((other, at) => at === index || this.#areDisjoint(other, narrow)),
      );
      return isAlone ? [] : [undecided(reader, 'a second branch of oneOf may take what one takes')];
    });
  }

  /** As a whole, or each type by itself: another branch may take another type. */
  #byType(one: Case, check: (narrow: Case) => readonly Incompatibility[]): readonly Incompatibility[] {
    const whole = check(one);
    const types = typesOf(one);
    if (whole.length === 0 || types.length === 1) return whole;
    return types.flatMap((type) => check({ parts: [...new Set([...one.parts, this.synthetic.type(type)])], isEmpty: false }));
  }

  #noBranch(reader: Part, branches: readonly Part[], reasons: readonly (readonly Incompatibility[])[], one: Case): readonly Incompatibility[] {
    // Where one branch alone is of the type, what is wrong there says most.
    const near = branches.flatMap((branch, index) =>
      this.#areDisjoint(branch, { parts: typeParts(one, this.synthetic), isEmpty: false }) ? [] : [index],
    );
    const why = near.length === 1 ? reasons[near[0] ?? 0] : undefined;
    if (why !== undefined) return why;
    const types = typesOf(one);
    const what = types.length === JSON_TYPES.length ? 'what' : `the ${types.map((type) => (type === 'fraction' ? 'number' : type)).join(', ')} that`;
    return [{ path: reader.path, kind: 'branchRemoved', message: `No branch is known to take ${what} may be written.` }];
  }

  #not(reader: Part, one: Case): readonly Incompatibility[] {
    const negated = child(reader, 'not');
    if (negated === undefined || this.#areDisjoint(negated, one)) return [];
    return [{ path: `${reader.path}/not`, kind: 'conditionAdded', message: 'What is excluded here may have been written.' }];
  }

  #areDisjoint(other: Part, one: Case): boolean {
    if (this.areEmpty([...one.parts, other])) return true;
    // What a written `not` excludes holds all of it.
    return one.parts.some((part) => {
      const excluded = child(part, 'not');
      return excluded !== undefined && this.compare(excluded, [other]).length === 0;
    });
  }

  #condition(reader: Part, keywords: Keywords, one: Case, via: readonly Part[]): readonly Incompatibility[] {
    const condition = child(reader, 'if');
    const [then, otherwise] = [child(reader, 'then'), child(reader, 'else')];
    if (condition === undefined || (then === undefined && otherwise === undefined)) return [];
    const text = conditionText(keywords);
    if (text !== null && keywordsOf(one).some((written) => conditionText(written) === text)) return [];
    const takes = (branch: Part | undefined): boolean => branch === undefined || this.compare(branch, one.parts, via).length === 0;
    const isNever = (): boolean => this.#areDisjoint(condition, one);
    const isAlways = (): boolean => this.compare(condition, one.parts, via).length === 0;
    if ((takes(then) || isNever()) && (takes(otherwise) || isAlways())) return [];
    return [undecided(reader, 'whether what was written meets if, then and else')];
  }
}

function conditionText(keywords: Keywords): string | null {
  return keywords['if'] === undefined ? null : sameText([keywords['if'], keywords['then'] ?? true, keywords['else'] ?? true]);
}

function typeParts(one: Case, synthetic: Synthetic): readonly Part[] {
  const types = typesOf(one);
  return types.length === 1 ? types.map((type) => synthetic.type(type)) : one.parts;
}

function isCrossed(one: Case): boolean {
  const [lower, upper] = [lowerBound(one), upperBound(one)];
  if (lower === null || upper === null) return false;
  return lower.value > upper.value || (lower.value === upper.value && (lower.isExclusive || upper.isExclusive));
}

function isOver(lower: number | null, upper: number | null): boolean {
  return lower !== null && upper !== null && lower > upper;
}
