/** Keywords of objects. */
import { type Incompatibility, step } from './incompatibility.ts';
import { type Comparing, reason, undecided } from './json-schema-comparing.ts';
import { child, declaredProperties, namesIn, requiredProperties, writtenOthers, writtenPattern, writtenProperty } from './json-schema-contents.ts';
import { isKeywords, type Keywords, type Part, sameText } from './json-schema-document.ts';
import { checkCounts } from './json-schema-values.ts';
import { type Case, count, keywordsOf, typesOf } from './json-schema-written.ts';

export function checkObjects(comparison: Comparing, reader: Part, keywords: Keywords, one: Case): readonly Incompatibility[] {
  if (!typesOf(one).includes('object')) return [];
  const required = requiredProperties(one);
  const missing = ((keywords['required'] as readonly string[] | undefined) ?? []).filter((name) => !required.has(name));
  return [
    ...missing.map((name) => reason(reader, 'required', 'requiredAdded', `The property ${name} is required, and may be missing in what is written.`)),
    ...checkProperties(comparison, reader, keywords, one),
    ...checkPatterns(comparison, reader, keywords, one),
    ...checkAdditional(comparison, reader, keywords, one),
    ...checkCounts(reader, keywords, 'Properties', Math.max(required.size, count(one, 'minProperties') ?? 0), mostProperties(comparison, one)),
    ...checkNames(comparison, reader, one),
    ...checkDependencies(comparison, reader, keywords, one),
    ...(keywords['unevaluatedProperties'] === undefined || keywords['unevaluatedProperties'] === true
      ? []
      : [undecided(reader, 'unevaluatedProperties')]),
  ];
}

function checkProperties(comparison: Comparing, reader: Part, keywords: Keywords, one: Case): readonly Incompatibility[] {
  const declared = declaredProperties(one);
  return namesIn(keywords, 'properties').flatMap((name) => {
    const property = child(reader, 'properties', name);
    if (property === undefined) return [];
    const found = comparison.compare(property, writtenProperty(one, name));
    if (found.length === 0 || declared.has(name)) return found;
    const message = `The property ${name} is described here, and what was written may hold anything there: its content model is open.`;
    return [{ path: step(reader.path, 'properties', name), kind: 'propertyAdded' as const, message }];
  });
}

/** A pattern that what was written has too covers the names that it matches; else it may match any. */
function checkPatterns(comparison: Comparing, reader: Part, keywords: Keywords, one: Case): readonly Incompatibility[] {
  return namesIn(keywords, 'patternProperties').flatMap((pattern) => {
    const property = child(reader, 'patternProperties', pattern);
    if (property === undefined) return [];
    const same = writtenPattern(one, pattern);
    const all: (readonly Part[])[] = [...declaredProperties(one)].map((name) => [...same, ...writtenProperty(one, name)]);
    all.push(...(same.length > 0 ? [same] : [writtenOthers(one, [])]));
    if (all.every((written) => comparison.compare(property, written).length === 0)) return [];
    return [undecided(reader, `whether properties that may match the pattern ${pattern} are taken`)];
  });
}

function checkAdditional(comparison: Comparing, reader: Part, keywords: Keywords, one: Case): readonly Incompatibility[] {
  const additional = child(reader, 'additionalProperties');
  if (additional === undefined || additional.json === true) return [];
  const own = new Set(namesIn(keywords, 'properties'));
  const patterns = namesIn(keywords, 'patternProperties');
  const found: Incompatibility[] = [];
  for (const name of declaredProperties(one)) {
    if (own.has(name)) continue;
    const why = checkOther(comparison, reader, additional, writtenProperty(one, name), `The property ${name}`);
    found.push(...(why.length > 0 && patterns.length > 0 ? [undecided(reader, `whether the property ${name} matches a pattern`)] : why));
  }
  found.push(...checkOther(comparison, reader, additional, writtenOthers(one, patterns), 'A property that no schema names'));
  return found;
}

function checkOther(comparison: Comparing, reader: Part, additional: Part, written: readonly Part[], what: string): readonly Incompatibility[] {
  if (additional.json !== false) return comparison.compare(additional, written);
  if (comparison.areEmpty(written)) return [];
  const message = `${what} may be written, and is not taken: the content model is closed.`;
  return [reason(reader, 'additionalProperties', 'propertyRemoved', message)];
}

/** A closed object holds no more properties than it names. */
function mostProperties(comparison: Comparing, one: Case): number | null {
  const most = count(one, 'maxProperties');
  if (!comparison.areEmpty(writtenOthers(one, []))) return most;
  const names = [...declaredProperties(one)].filter((name) => !comparison.areEmpty(writtenProperty(one, name)));
  return Math.min(names.length, most ?? Number.POSITIVE_INFINITY);
}

function checkNames(comparison: Comparing, reader: Part, one: Case): readonly Incompatibility[] {
  const names = child(reader, 'propertyNames');
  if (names === undefined) return [];
  const { synthetic } = comparison;
  const written = [synthetic.type('string'), ...one.parts.flatMap((part) => child(part, 'propertyNames') ?? [])];
  if (comparison.compare(names, written).length === 0) return [];
  const isClosed = comparison.areEmpty(writtenOthers(one, []));
  if (isClosed && [...declaredProperties(one)].every((name) => comparison.compare(names, [synthetic.value(name)]).length === 0)) return [];
  return [reason(reader, 'propertyNames', 'conditionAdded', 'Names of properties are asked for that what was written need not have.')];
}

function checkDependencies(comparison: Comparing, reader: Part, keywords: Keywords, one: Case): readonly Incompatibility[] {
  return ['dependentRequired', 'dependentSchemas', 'dependencies'].flatMap((keyword) =>
    namesIn(keywords, keyword)
      .filter((name) => !isDependencyMet(comparison, reader, keyword, name, one))
      .map((name) => reason(reader, keyword, 'conditionAdded', `A property ${name} asks for what need not have been written with it.`)),
  );
}

function isDependencyMet(comparison: Comparing, reader: Part, keyword: string, name: string, one: Case): boolean {
  const dependency = dependencyOf(reader.json as Keywords, keyword, name);
  const text = sameText(dependency);
  if (text !== null && keywordsOf(one).some((part) => sameText(dependencyOf(part, keyword, name) ?? null) === text)) return true;
  if (comparison.areEmpty(writtenProperty(one, name))) return true;
  if (Array.isArray(dependency)) {
    const required = requiredProperties(one);
    return dependency.every((other: string) => other === name || required.has(other));
  }
  const schema = child(reader, keyword, name);
  return schema !== undefined && comparison.compare(schema, one.parts).length === 0;
}

function dependencyOf(keywords: Keywords, keyword: string, name: string): unknown {
  const value = keywords[keyword];
  return isKeywords(value) && Object.hasOwn(value, name) ? value[name] : undefined;
}
