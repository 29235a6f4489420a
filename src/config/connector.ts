import type { ConfigOf, FieldTable } from '../plugin/field.ts';
import type { Registry } from '../plugin/registry.ts';
import type { SinkPlugin } from '../plugin/sink.ts';
import type { SourcePlugin } from '../plugin/source.ts';
import { connectorFields, formatFields, SECTIONS, sectionFields, sinkFields, sourceFields } from './connector-fields.ts';
import type { ConnectorDefinition, Part } from './definition.ts';
import { CONFIG_CHECK, CONFIG_CHOICE, CONFIG_DEBEZIUM_FILE, CONFIG_MISSING, CONFIG_NOT_SUPPORTED, CONFIG_WRONG_TYPE } from './errors.ts';
import { checkFreshness } from './freshness.ts';
import type { JsonNode, ObjectNode } from './json.ts';
import { checkMapping } from './mapping.ts';
import { nearest } from './nearest.ts';
import { nodeAt } from './problem.ts';
import { checkProtection } from './protection.ts';
import { checkCompatibility, checkDeadLetters } from './undelivered.ts';
import { show, type Validation, validateField, validateObject } from './validate.ts';

type Section = (typeof SECTIONS)[number];

/** What sources, sinks and formats have in common here. */
interface Checked {
  readonly fields: FieldTable;
  validate?(config: ConfigOf<FieldTable>): readonly { readonly path: string; readonly message: string; readonly remedy: string }[];
}

/** What came out of one connector file. */
export interface LoadedConnector {
  /** Known also if other things are wrong, so that a name given twice is noticed. */
  readonly name: string | null;
  readonly nameAt: JsonNode;
  /** Null if an error was found in the file. */
  readonly definition: ConnectorDefinition | null;
  /** What the connector must have for itself, and the section that says so. */
  readonly claims: readonly { readonly claim: string; readonly path: string }[];
  readonly sectionAt: (path: string) => JsonNode;
}

/** Checks one connector file against the common options and those of its plug-ins. */
export async function loadConnector(tree: JsonNode, file: string, registry: Registry, validation: Validation): Promise<LoadedConnector> {
  const { problems } = validation;
  const errorsBefore = problems.errors;
  const nothing = { name: null, nameAt: tree, definition: null, claims: [], sectionAt: (path: string) => nodeAt(tree, path) };
  if (tree.kind !== 'object') {
    problems.add('', tree, CONFIG_WRONG_TYPE, { expected: 'an object', given: show(tree), hint: 'A connector file is one JSON object.' });
    return nothing;
  }
  const debezium = debeziumClass(tree);
  if (debezium !== null) {
    problems.add('', debezium, CONFIG_DEBEZIUM_FILE);
    return nothing;
  }
  const common = validateObject(connectorFields, tree, '', validation, SECTIONS) as unknown as ConfigOf<typeof connectorFields>;
  const source = await loadPart('source', tree, registry.sources, registry, validation);
  const format = await loadPart('format', tree, registry.formats, registry, validation);
  const sink = await loadPart('sink', tree, registry.sinks, registry, validation);
  const name = typeof common.name === 'string' ? common.name : null;
  const loaded = { ...nothing, name, nameAt: nodeAt(tree, 'name') };
  if (source === null || format === null || sink === null || name === null || problems.errors > errorsBefore || validation.failed.size > 0)
    return loaded;
  const { batch, checkpoint, retry, onError, deadLetter, spool, schemaChanges, compatibility, mapping, protect, freshness, maxInFlightBytes } =
    common;
  checkDeadLetters(common, sink.plugin, tree, validation);
  checkCompatibility(common, 'registry' in format.plugin.fields, tree, validation);
  checkMapping(common, tree, validation);
  checkProtection(source.plugin, tree, validation);
  checkFreshness(common, tree, validation);
  if (problems.errors > errorsBefore) return loaded;
  return {
    ...loaded,
    definition: {
      name,
      file,
      source,
      format,
      sink,
      batch,
      checkpoint,
      retry,
      onError,
      deadLetter,
      spool,
      schemaChanges,
      compatibility,
      mapping,
      protect,
      ...(freshness === undefined ? {} : { freshness }),
      maxInFlightBytes,
    },
    claims: [...claimsOf('source', source, name, validation), ...claimsOf('sink', sink, name, validation)],
  };
}

/** Connect's REST API nests a connector's properties under `config`; files hold them on top. */
function debeziumClass(tree: ObjectNode): number | null {
  const nested = tree.members.get('config')?.value;
  const found = tree.members.get('connector.class') ?? (nested?.kind === 'object' ? nested.members.get('connector.class') : undefined);
  return found?.keyAt ?? null;
}

/** The plug-in that a section names by `type`, and the section checked against its options. */
async function loadPart<P extends Checked>(
  section: Section,
  tree: ObjectNode,
  loaders: Readonly<Record<string, () => Promise<P>>>,
  registry: Registry,
  validation: Validation,
): Promise<Part<P> | null> {
  const { problems } = validation;
  const given = tree.members.get(section)?.value;
  const types = Object.keys(loaders);
  if (given === undefined && section !== 'format') {
    problems.add(section, tree, CONFIG_MISSING, {
      key: section,
      about: section === 'source' ? sourceFields.type.about : sinkFields.type.about,
      example: `"${section}": {"type": "${types[0] ?? '…'}", …}`,
    });
    return null;
  }
  const node: JsonNode = given ?? { kind: 'object', at: tree.at, members: new Map(), duplicates: [] };
  if (node.kind !== 'object') {
    problems.add(section, node, CONFIG_WRONG_TYPE, { expected: 'an object', given: show(node), hint: `Write {"type": "${types[0] ?? '…'}", …}.` });
    return null;
  }
  const type = typeOf(section, node, types, registry, validation);
  const load = type === null ? undefined : loaders[type];
  if (load === undefined) return null;
  const plugin = await load();
  const errorsBefore = problems.errors;
  const config = validateObject(sectionFields(section, plugin), node, section, validation) as ConfigOf<FieldTable>;
  const complete = problems.errors === errorsBefore && ![...validation.failed].some((path) => path.startsWith(`${section}.`));
  if (complete) check(section, plugin, config, node, validation);
  return { plugin, config };
}

function typeOf(section: Section, node: ObjectNode, types: readonly string[], registry: Registry, validation: Validation): string | null {
  const { problems } = validation;
  const path = `${section}.type`;
  const given = node.members.get('type')?.value;
  if (given === undefined) {
    if (section === 'format') return formatFields.type.default;
    const about = section === 'source' ? sourceFields.type.about : sinkFields.type.about;
    problems.add(path, node, CONFIG_MISSING, { key: 'type', about, example: types.map((type) => `"type": "${type}"`).join(' or ') });
    return null;
  }
  const type = validateField({ kind: 'string', about: '' }, given, path, validation);
  if (typeof type !== 'string') return null;
  if (types.includes(type)) return type;
  const possible = types.map((name) => `"${name}"`).join(', ');
  if (registry.notYet?.[`${section}s`]?.includes(type) === true) {
    problems.add(path, given, CONFIG_NOT_SUPPORTED, { what: show(given), hint: `Possible today: ${possible}.` });
    return null;
  }
  const near = nearest(type, types);
  problems.add(path, given, CONFIG_CHOICE, { given: show(given), hint: `${near === null ? '' : `Did you mean "${near}"? `}Possible: ${possible}.` });
  return null;
}

/** What only the plug-in can check. Where a value is not known (`leave`), what it says about that value does not count. */
function check(section: Section, plugin: Checked, config: ConfigOf<FieldTable>, node: ObjectNode, validation: Validation): void {
  const unknown = [...validation.unknown].filter((path) => path.startsWith(`${section}.`));
  let found: ReturnType<NonNullable<Checked['validate']>>;
  try {
    found = plugin.validate?.(config) ?? [];
  } catch (error) {
    if (unknown.length > 0) return;
    throw error;
  }
  for (const { path, message, remedy } of found) {
    const whole = path === '' ? section : `${section}.${path}`;
    if (unknown.some((known) => known === whole || known.startsWith(`${whole}[`) || known.startsWith(`${whole}.`))) continue;
    validation.problems.add(whole, nodeAt(node, path), CONFIG_CHECK, { statement: sentence(whole, message), advice: sentence('', remedy) });
  }
}

/** Plug-ins say what an option "is"; a message that is a sentence already stays one. */
function sentence(subject: string, text: string): string {
  const stop = /[.!?]$/.test(text) ? '' : '.';
  if (/^[a-z]/.test(text)) return subject === '' ? `${text.charAt(0).toUpperCase()}${text.slice(1)}${stop}` : `"${subject}" ${text}${stop}`;
  return `${text}${stop}`;
}

function claimsOf(
  section: 'source' | 'sink',
  part: Part<SourcePlugin> | Part<SinkPlugin>,
  connector: string,
  { unknown }: Validation,
): { claim: string; path: string }[] {
  // What is not known cannot be compared.
  if ([...unknown].some((path) => path.startsWith(`${section}.`))) return [];
  return (part.plugin.claims?.(part.config, connector) ?? []).map((claim) => ({ claim, path: section }));
}
