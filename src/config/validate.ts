import { isAbsolute } from 'node:path';
import type { Credential } from '../plugin/credential.ts';
import type { Field, FieldTable } from '../plugin/field.ts';
import { FROM_COMMAND, FROM_FILE } from './credential-fields.ts';
import {
  CONFIG_BAD_QUANTITY,
  CONFIG_CHOICE,
  CONFIG_DUPLICATE_KEY,
  CONFIG_MISSING,
  CONFIG_NO_UNIT,
  CONFIG_NOT_SUPPORTED,
  CONFIG_OUT_OF_RANGE,
  CONFIG_PATTERN,
  CONFIG_SECRET_INLINE,
  CONFIG_UNKNOWN_KEY,
  CONFIG_WRONG_TYPE,
} from './errors.ts';
import type { JsonNode, ObjectNode, StringNode } from './json.ts';
import { nearest } from './nearest.ts';
import { type FileProblems, joinPath } from './problem.ts';
import { checkReach, type Reach } from './reach.ts';
import { maskUrl, urlSecrets } from './redact.ts';
import type { Text } from './references.ts';
import { DURATION_UNITS, formatDuration, formatSize, parseDuration, parseSize, SIZE_UNITS, suggestDuration, suggestSize } from './units.ts';

/** What validation of one file works with. */
export interface Validation {
  readonly problems: FileProblems;
  readonly texts: ReadonlyMap<StringNode, Text>;
  /** Values of secret fields and secrets inside URLs are added here. */
  readonly secrets: Set<string>;
  /** Where each of them stands; left out: nobody asks. */
  readonly places?: Map<string, { readonly path: string; readonly node: JsonNode; readonly problems: FileProblems }>;
  /** What the configuration says openly, passwords in URLs masked; left out: nobody asks. */
  readonly words?: Set<string>;
  /** Paths of values that hold a reference that was not looked up: what they are is not known. */
  readonly unknown: Set<string>;
  /** Paths of values with a reference that could not be resolved. The error was added where it was looked up. */
  readonly failed: Set<string>;
  /** What the file may reach; left out: whatever there is. */
  readonly reach?: Reach;
}

type FieldOf<K extends Field['kind']> = Extract<Field, { kind: K }>;
type Values = Record<string, unknown>;

/**
 * Checks an object against its field table. Returns the value with all defaults; complete only if no error was added. `elsewhere`: keys that are
 * allowed here and checked by the caller.
 */
export function validateObject(table: FieldTable, node: ObjectNode, path: string, validation: Validation, elsewhere: readonly string[] = []): Values {
  const { problems } = validation;
  for (const { key, at } of node.duplicates) problems.add(joinPath(path, key), at, CONFIG_DUPLICATE_KEY, { key });
  for (const [key, { keyAt }] of node.members) {
    if (Object.hasOwn(table, key) || elsewhere.includes(key)) continue;
    problems.add(joinPath(path, key), keyAt, CONFIG_UNKNOWN_KEY, { key, hint: keyHint(key, [...Object.keys(table), ...elsewhere]) });
  }
  const values: Values = {};
  for (const [key, field] of Object.entries(table)) {
    const given = node.members.get(key)?.value;
    const value = given === undefined ? absent(key, field, node, path, validation) : validateField(field, given, joinPath(path, key), validation);
    if (value !== undefined) values[key] = value;
  }
  return values;
}

function keyHint(key: string, known: readonly string[]): string {
  const near = nearest(key, known);
  return near === null ? `Possible here: ${known.filter((name) => name !== '$schema').join(', ')}.` : `Did you mean "${near}"?`;
}

/** The value of an option that is left out: its default, or an error if it has none. */
function absent(key: string, field: Field, parent: ObjectNode, path: string, validation: Validation): unknown {
  if (field.kind === 'notYet') return undefined;
  if (field.kind === 'map') return {};
  if (field.kind === 'object') {
    const empty: ObjectNode = { kind: 'object', at: parent.at, members: new Map(), duplicates: [] };
    return field.optional === true ? undefined : validateObject(field.fields, empty, joinPath(path, key), validation);
  }
  if (field.default !== undefined) return defaultValue(field);
  if (field.optional === true) return undefined;
  validation.problems.add(joinPath(path, key), parent, CONFIG_MISSING, {
    key,
    about: field.about,
    example: `"${key}": ${JSON.stringify(exampleOf(field))}`,
  });
  return undefined;
}

function defaultValue(field: Exclude<Field, FieldOf<'object'> | FieldOf<'map'> | FieldOf<'notYet'>>): unknown {
  if (field.kind !== 'duration' && field.kind !== 'size') return field.default;
  const quantity = field.kind === 'duration' ? parseDuration(field.default ?? '') : parseSize(field.default ?? '');
  return quantity.ok ? quantity.value : undefined;
}

/** A value that shows what is meant, for messages. */
function exampleOf(field: Field): unknown {
  if (field.example !== undefined) return field.example;
  switch (field.kind) {
    case 'credential':
      return '${env:NAME}';
    case 'string':
      return field.secret === true ? '${env:NAME}' : (field.default ?? '…');
    case 'boolean':
      return field.default ?? true;
    case 'integer':
      return field.default ?? field.min ?? 1;
    case 'duration':
      return field.default ?? '10s';
    case 'size':
      return field.default ?? '1MiB';
    case 'choice':
      return field.default ?? field.choices[0];
    case 'list':
      return field.default ?? ['…'];
    case 'map':
    case 'object':
    case 'notYet':
      return {};
  }
}

/** The validated value of one option, or undefined after an error was added. */
export function validateField(field: Field, node: JsonNode, path: string, validation: Validation): unknown {
  switch (field.kind) {
    case 'notYet':
      if (field.tolerates === 'empty list' && node.kind === 'array' && node.items.length === 0) return undefined;
      validation.problems.add(path, node, CONFIG_NOT_SUPPORTED, { what: `"${path}"`, hint: 'Leave it out.' });
      return undefined;
    case 'object':
      return node.kind === 'object' ? validateObject(field.fields, node, path, validation) : wrongType(field, node, path, validation);
    case 'credential':
      return validateCredential(field, node, path, validation);
    case 'list':
      return validateList(field, node, path, validation);
    case 'map':
      return validateMap(field, node, path, validation);
    case 'boolean':
      return node.kind === 'boolean' ? node.value : wrongType(field, node, path, validation);
    case 'integer':
      return validateInteger(field, node, path, validation);
    case 'duration':
    case 'size':
      return validateQuantity(field, node, path, validation);
    case 'choice':
      return validateChoice(field, node, path, validation);
    case 'string':
      return node.kind === 'string' ? validateString(field, node, path, validation) : wrongType(field, node, path, validation);
  }
}

function validateList(field: FieldOf<'list'>, node: JsonNode, path: string, validation: Validation): readonly string[] | undefined {
  if (node.kind !== 'array') return wrongType(field, node, path, validation);
  const minItems = field.minItems ?? 0;
  if (node.items.length < minItems) {
    validation.problems.add(path, node, CONFIG_OUT_OF_RANGE, {
      given: `A list of ${node.items.length}`,
      direction: 'short',
      bound: minItems === 1 ? 'at least one' : `at least ${minItems}`,
    });
    return undefined;
  }
  const values: string[] = [];
  for (const [index, item] of node.items.entries()) {
    const { about, secret, reaches } = field;
    const one: Field = { kind: 'string', about, ...(secret === undefined ? {} : { secret }), ...(reaches === undefined ? {} : { reaches }) };
    const value = validateField(one, item, `${path}[${index}]`, validation);
    if (typeof value === 'string') values.push(value);
  }
  return values.length === node.items.length ? values : undefined;
}

function validateMap(field: FieldOf<'map'>, node: JsonNode, path: string, validation: Validation): Readonly<Record<string, string>> | undefined {
  if (node.kind !== 'object') return wrongType(field, node, path, validation);
  const { problems } = validation;
  for (const { key, at } of node.duplicates) problems.add(joinPath(path, key), at, CONFIG_DUPLICATE_KEY, { key });
  const values: Record<string, string> = {};
  for (const [name, { value: given, keyAt }] of node.members) {
    const at = joinPath(path, name);
    if (!field.namePattern.test(name)) problems.add(at, keyAt, CONFIG_PATTERN, { given: `The name "${name}"`, form: field.nameHint });
    const value = validateField({ kind: 'string', about: field.about }, given, at, validation);
    if (typeof value === 'string') values[name] = value;
  }
  return values;
}

function validateInteger(field: FieldOf<'integer'>, node: JsonNode, path: string, validation: Validation): number | undefined {
  if (node.kind !== 'number' || !Number.isSafeInteger(node.value)) return wrongType(field, node, path, validation);
  const bounds = { min: field.min, max: field.max, show: String };
  return inRange(node.value, field.secret === true ? 'This number' : node.text, bounds, node, path, validation);
}

interface Bounds {
  readonly min: number | undefined;
  readonly max: number | undefined;
  readonly show: (value: number) => string;
}

function inRange(
  value: number,
  given: string,
  { min, max, show }: Bounds,
  node: JsonNode,
  path: string,
  { problems }: Validation,
): number | undefined {
  if (min !== undefined && value < min) problems.add(path, node, CONFIG_OUT_OF_RANGE, { given, direction: 'small', bound: `${show(min)} or more` });
  else if (max !== undefined && value > max)
    problems.add(path, node, CONFIG_OUT_OF_RANGE, { given, direction: 'large', bound: `${show(max)} or less` });
  else return value;
  return undefined;
}

function validateQuantity(field: FieldOf<'duration'> | FieldOf<'size'>, node: JsonNode, path: string, validation: Validation): number | undefined {
  const isDuration = field.kind === 'duration';
  const units = (isDuration ? DURATION_UNITS : SIZE_UNITS).join(', ');
  const what = field.kind;
  const noUnit = (number: number): undefined => {
    const suggestion = isDuration ? suggestDuration(number, field.default) : suggestSize(number);
    validation.problems.add(path, node, CONFIG_NO_UNIT, { what, given: show(node), suggestion: `"${suggestion}"`, units });
    return undefined;
  };
  if (node.kind === 'number' && node.value >= 0) return noUnit(node.value);
  if (node.kind !== 'string') return wrongType(field, node, path, validation);
  const text = textOf(field, node, path, validation);
  if (text === undefined) return undefined;
  // Nothing is run with what is not known: this only has to be a number that other checks can bear.
  if (text.state === 'left') return (defaultValue(field) as number | undefined) ?? 0;
  if (/^\d+(\.\d+)?$/.test(text.value)) return noUnit(Number(text.value));
  const quantity = isDuration ? parseDuration(text.value) : parseSize(text.value);
  if (quantity.ok) {
    const bounds =
      field.kind === 'duration'
        ? { min: field.minMs, max: field.maxMs, show: formatDuration }
        : { min: field.minBytes, max: field.maxBytes, show: formatSize };
    return inRange(quantity.value, show(node), { ...bounds, show: (value) => `"${bounds.show(value)}"` }, node, path, validation);
  }
  const reason = {
    unit: 'the unit is not known',
    form: 'it is not a number with a unit',
    whole: `it is no whole number of ${isDuration ? 'milliseconds' : 'bytes'}`,
  }[quantity.reason];
  const example = `"${quantity.suggestion ?? field.default ?? (isDuration ? '500ms' : '1MiB')}"`;
  validation.problems.add(path, node, CONFIG_BAD_QUANTITY, { given: show(node), what, reason, example, units });
  return undefined;
}

function validateChoice(field: FieldOf<'choice'>, node: JsonNode, path: string, validation: Validation): string | undefined {
  if (node.kind !== 'string') return wrongType(field, node, path, validation);
  const text = textOf(field, node, path, validation);
  if (text === undefined) return undefined;
  if (text.state === 'left') return field.default ?? field.choices[0];
  if (field.choices.includes(text.value)) return text.value;
  const possible = field.choices.map((choice) => `"${choice}"`).join(', ');
  if (field.notYet?.includes(text.value) === true) {
    validation.problems.add(path, node, CONFIG_NOT_SUPPORTED, { what: show(node), hint: `Possible today: ${possible}.` });
    return undefined;
  }
  const near = nearest(text.value, field.choices);
  validation.problems.add(path, node, CONFIG_CHOICE, {
    given: show(node),
    hint: `${near === null ? '' : `Did you mean "${near}"? `}Possible: ${possible}.`,
  });
  return undefined;
}

function validateCredential(field: FieldOf<'credential'>, node: JsonNode, path: string, validation: Validation): Credential | undefined {
  if (node.kind === 'string') return textOf(field, node, path, validation)?.value;
  if (node.kind !== 'object') return wrongType(field, node, path, validation);
  return validateObject(node.members.has('file') ? FROM_FILE : FROM_COMMAND, node, path, validation) as unknown as Credential;
}

function validateString(field: FieldOf<'string'>, node: StringNode, path: string, validation: Validation): string | undefined {
  const text = textOf(field, node, path, validation);
  if (text === undefined) return undefined;
  if (!checkReach(field, text.value, node, path, validation)) return undefined;
  if (text.state !== 'left' && field.pattern !== undefined && !field.pattern.test(text.value)) {
    validation.problems.add(path, node, CONFIG_PATTERN, {
      given: field.secret === true ? 'This value' : show(node),
      form: field.patternHint ?? `what matches ${field.pattern.source}`,
    });
    return undefined;
  }
  return text.value;
}

/** The interpolated text of a string value, after its secrets were registered (I12); undefined if a reference failed. */
function textOf(field: Field, node: StringNode, path: string, validation: Validation): Text | undefined {
  const text = validation.texts.get(node) ?? { state: 'plain', value: node.value, pieces: [] };
  if (text.state === 'failed') {
    validation.failed.add(path);
    return undefined;
  }
  if (text.state === 'left' && field.secret !== true) validation.unknown.add(path);
  registerSecrets(field, node, text, path, validation);
  return text;
}

function registerSecrets(field: Field, node: StringNode, text: Text, path: string, { problems, secrets, places, words }: Validation): void {
  const inUrl = urlSecrets(text.value);
  const register = (secret: string): void => {
    secrets.add(secret);
    places?.set(secret, { path, node, problems });
  };
  // What a reference stands for may be a secret.
  if (field.secret !== true) words?.add(maskUrl(node.value.replace(/\$\{[^}]*\}/g, ' ')));
  if (field.secret === true) {
    if (text.value === '' || (field.orPath === true && isAbsolute(text.value))) return;
    if (text.state === 'plain') problems.add(path, node, CONFIG_SECRET_INLINE);
    if (text.state !== 'left') register(text.value);
  } else if (inUrl.length > 0 && urlSecrets(node.value.replace(/\$\{[^}]*\}/g, '')).length > 0) problems.add(path, node, CONFIG_SECRET_INLINE);
  if (text.state === 'left') return;
  for (const secret of inUrl) register(secret);
  // A password with "@" or "/" in it tears the URL apart, and the check above with it.
  for (const secret of referencedUrlSecrets(text)) register(secret);
}

/** Values of references that stand where a URL has its password, whatever signs they are made of. */
function referencedUrlSecrets(text: Text): string[] {
  if (text.state !== 'resolved') return [];
  const mark = (index: number): string => `__${index}__`;
  const skeleton = text.pieces.map((piece, index) => (piece.reference ? mark(index) : piece.value)).join('');
  const inside = urlSecrets(skeleton).join('\n');
  return text.pieces.filter((piece, index) => piece.reference && inside.includes(mark(index))).map(({ value }) => value);
}

const EXPECTED: Readonly<Record<Field['kind'], string>> = {
  string: 'a string',
  credential: 'a string, {"file": …} or {"command": […]}',
  boolean: 'true or false',
  integer: 'a whole number',
  duration: 'a duration in quotes',
  size: 'a size in quotes',
  choice: 'a string',
  list: 'a list of strings',
  map: 'an object of strings',
  object: 'an object',
  notYet: 'left out',
};

function wrongType(field: Field, node: JsonNode, path: string, { problems }: Validation): undefined {
  const given = field.secret === true ? `a ${node.kind}` : show(node);
  problems.add(path, node, CONFIG_WRONG_TYPE, { expected: EXPECTED[field.kind], given, hint: typeHint(field, node) });
  return undefined;
}

function typeHint(field: Field, node: JsonNode): string {
  if (node.kind === 'null') return 'Leave the option out if you mean "none".';
  if (field.secret !== true) {
    if (field.kind === 'integer' && node.kind === 'string' && /^\d{1,15}$/.test(node.value)) return `Write ${node.value} without quotes.`;
    if (field.kind === 'boolean' && node.kind === 'string' && /^(true|false)$/i.test(node.value))
      return `Write ${node.value.toLowerCase()} without quotes.`;
    if ((field.kind === 'string' || field.kind === 'choice') && node.kind === 'number') return `Write "${node.text}" in quotes.`;
    if (field.kind === 'list' && node.kind === 'string') return `Write [${show(node)}].`;
  }
  return `Example: ${JSON.stringify(exampleOf(field))}.`;
}

/** A value as it stands in the file, short, references unresolved and passwords in URLs masked (I12). */
export function show(node: JsonNode): string {
  switch (node.kind) {
    case 'string': {
      const shown = maskUrl(node.value);
      return JSON.stringify(shown.length > 60 ? `${shown.slice(0, 60)}…` : shown);
    }
    case 'number':
      return node.text.slice(0, 30);
    case 'boolean':
      return String(node.value);
    case 'null':
      return 'null';
    case 'array':
      return 'a list';
    case 'object':
      return 'an object';
  }
}
