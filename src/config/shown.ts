import { isAbsolute } from 'node:path';
import type { Field, FieldTable } from '../plugin/field.ts';
import type { Registry } from '../plugin/registry.ts';
import { connectorFields, SECTIONS, sectionFields } from './connector-fields.ts';
import { FROM_COMMAND, FROM_FILE } from './credential-fields.ts';
import type { JsonNode } from './json.ts';
import { parseJson } from './json.ts';
import { joinPath } from './problem.ts';
import { isSuspect, MASK, maskUrl } from './redact.ts';

/** References are no secrets, and no part of what stands for one. */
const REFERENCE = /(?<!\$)\$\{[^}]*\}/g;
/** A sign that stands in no configuration (a Unicode noncharacter), for a reference while URLs are looked at. */
const HOLE = '\ufdd0';

/**
 * A connector file as it may be shown (I12): secrets are `***`, references stand as they are written, and of an option that nobody knows the value is hidden too. Throws JsonSyntaxError.
 */
export async function shownConnector(text: string, registry: Registry): Promise<Record<string, unknown>> {
  const tree = parseJson(text);
  if (tree.kind !== 'object') return {};
  const tables = new Map<string, FieldTable>(
    await Promise.all(SECTIONS.map(async (section) => [section, await tableOf(section, tree, registry)] as const)),
  );
  return Object.fromEntries(
    [...tree.members].map(([key, { value }]) => {
      const fields = tables.get(key);
      return [key, fields === undefined ? shown(own(connectorFields, key), value) : shown({ kind: 'object', about: '', fields }, value)];
    }),
  );
}

async function tableOf(section: (typeof SECTIONS)[number], tree: Extract<JsonNode, { kind: 'object' }>, registry: Registry): Promise<FieldTable> {
  const node = tree.members.get(section)?.value;
  const type = node?.kind === 'object' ? node.members.get('type')?.value : undefined;
  const named = type?.kind === 'string' ? type.value : section === 'format' ? 'debezium' : '';
  const loaders: Readonly<Record<string, () => Promise<{ readonly fields: FieldTable }>>> = registry[`${section}s`];
  const load = Object.hasOwn(loaders, named) ? loaders[named] : undefined;
  return load === undefined ? { type: { kind: 'string', about: '' } } : sectionFields(section, await load());
}

function own(table: FieldTable, key: string): Field | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

function shown(field: Field | undefined, node: JsonNode): unknown {
  if (field === undefined) return node.kind === 'null' ? null : MASK;
  if (node.kind === 'array') return node.items.map((item) => shown(field, item));
  if (node.kind === 'object') {
    const below = (key: string): Field | undefined =>
      field.kind === 'object'
        ? own(field.fields, key)
        : field.kind === 'map'
          ? { kind: 'string', about: '', secret: field.secret === true }
          : field.kind === 'credential'
            ? own({ ...FROM_FILE, ...FROM_COMMAND }, key)
            : undefined;
    return Object.fromEntries([...node.members].map(([key, { value }]) => [key, shown(below(key), value)]));
  }
  if (node.kind === 'null') return null;
  // What stands in place of a section is of no form that is known.
  if (field.kind === 'object' || field.kind === 'map') return MASK;
  if (node.kind !== 'string') return field.secret === true ? MASK : node.value;
  return field.secret === true ? shownSecret(field, node.value) : shownUrl(node.value);
}

function shownSecret(field: Field, text: string): string {
  const isReference = text.replace(REFERENCE, '') === '';
  return isReference || (field.orPath === true && isAbsolute(text)) ? text : MASK;
}

/** As `maskUrl`, where a password that is made of references alone stays. */
function shownUrl(text: string): string {
  const references = text.match(REFERENCE) ?? [];
  const holed = text.replace(REFERENCE, HOLE);
  // A file that is wrong is shown too.
  if (isSuspect(holed)) return MASK;
  const masked = maskUrl(holed, (secret) => secret.replaceAll(HOLE, '') !== '');
  // What a mask has swallowed is not put back: the holes are no longer as many.
  if (masked.split(HOLE).length !== references.length + 1) return maskUrl(text);
  let next = 0;
  return masked.replaceAll(HOLE, () => references[next++] ?? '');
}

/** Paths of the texts that hold what is shown in place of a secret. */
export function maskedPaths(value: unknown, path = ''): readonly string[] {
  if (typeof value === 'string') return value.includes(MASK) ? [path] : [];
  if (Array.isArray(value)) return value.flatMap((each, index) => maskedPaths(each, `${path}[${index}]`));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, each]) => maskedPaths(each, joinPath(path, key)));
}
