import { connectorFields, formatFields, SECTIONS, sectionFields } from '../../src/config/connector-fields.ts';
import { FROM_COMMAND, FROM_FILE } from '../../src/config/credential-fields.ts';
import { daemonFields } from '../../src/config/daemon-fields.ts';
import { DURATION_PATTERN, SIZE_PATTERN } from '../../src/config/units.ts';
import { type Field, type FieldTable, isRequired } from '../../src/plugin/field.ts';
import type { LoadedPlugins } from './plugins.ts';

/** A JSON Schema, draft 2020-12 (json-schema.org). */
export type Schema = { [keyword: string]: unknown };

const DRAFT = 'https://json-schema.org/draft/2020-12/schema';
/** A string with a reference in it: what it will be is not known to an editor. */
const REFERENCE: Schema = { type: 'string', pattern: '\\$\\{(env|file):' };

/** Schema of a connector file: the common options, and for each section the options of the plug-in that `type` names. */
export function connectorSchema(plugins: LoadedPlugins): Schema {
  const common = objectSchema(connectorFields);
  const sections = Object.fromEntries(SECTIONS.map((section) => [section, sectionSchema(section, plugins[section])]));
  return {
    $schema: DRAFT,
    title: 'Sluice connector',
    description: 'One connector of Sluice: a source, a format, a sink.',
    ...common,
    properties: { ...(common.properties as Schema), ...sections },
    required: [...(common.required as string[]), 'source', 'sink'],
  };
}

/** Schema of `sluice.json`. */
export function daemonSchema(): Schema {
  return { $schema: DRAFT, title: 'Sluice daemon', description: 'What the connectors of one daemon have in common.', ...objectSchema(daemonFields) };
}

const ABOUT = { source: 'Where changes come from.', format: 'The form of the messages.', sink: 'Where messages go.' } as const;

function sectionSchema(section: (typeof SECTIONS)[number], plugins: LoadedPlugins[typeof section]): Schema {
  const needsType = section !== 'format';
  const usual = needsType ? {} : { default: formatFields.type.default };
  return {
    type: 'object',
    description: ABOUT[section],
    properties: { type: { enum: plugins.map(({ type }) => type), ...usual } },
    ...(needsType ? { required: ['type'] } : {}),
    allOf: plugins.map((plugin) => ({
      // A type that is left out matches the default's branch only.
      if: {
        properties: { type: { const: plugin.type } },
        ...(plugin.type === formatFields.type.default && !needsType ? {} : { required: ['type'] }),
      },
      // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema; nothing awaits this object
      then: withType(objectSchema(sectionFields(section, plugin)), plugin.type),
    })),
  };
}

function withType(schema: Schema, type: string): Schema {
  return { ...schema, properties: { ...(schema.properties as Schema), type: { const: type } } };
}

function objectSchema(table: FieldTable): Schema {
  const properties: Schema = {};
  for (const [key, field] of Object.entries(table)) {
    const schema = fieldSchema(field);
    if (schema !== null) properties[key] = schema;
  }
  const required = Object.keys(table).filter((key) => isRequired(table[key] as Field));
  return { type: 'object', properties, required, additionalProperties: false };
}

/** Null: the option is not supported yet, so it does not exist. */
function fieldSchema(field: Field): Schema | null {
  const shape = shapeOf(field);
  if (shape === null) return null;
  return {
    description: field.about,
    ...shape,
    ...('default' in field ? { default: field.default } : {}),
    ...(field.example === undefined ? {} : { examples: [field.example] }),
    ...(field.secret === true ? { writeOnly: true } : {}),
  };
}

function shapeOf(field: Field): Schema | null {
  switch (field.kind) {
    case 'string':
      return field.pattern === undefined ? { type: 'string' } : orReference({ pattern: field.pattern.source });
    case 'credential':
      return { anyOf: [{ type: 'string' }, objectSchema(FROM_FILE), objectSchema(FROM_COMMAND)] };
    case 'boolean':
      return { type: 'boolean' };
    case 'integer':
      return {
        type: 'integer',
        ...(field.min === undefined ? {} : { minimum: field.min }),
        ...(field.max === undefined ? {} : { maximum: field.max }),
      };
    case 'duration':
      return orReference({ pattern: DURATION_PATTERN });
    case 'size':
      return orReference({ pattern: SIZE_PATTERN });
    case 'choice':
      return orReference({ enum: field.choices });
    case 'list':
      return { type: 'array', items: { type: 'string' }, ...(field.minItems === undefined ? {} : { minItems: field.minItems }) };
    case 'map':
      return { type: 'object', propertyNames: { pattern: field.namePattern.source }, additionalProperties: { type: 'string' } };
    case 'object':
      return objectSchema(field.fields);
    case 'notYet':
      return field.tolerates === 'empty list' ? { type: 'array', maxItems: 0 } : null;
  }
}

function orReference(schema: Schema): Schema {
  return { type: 'string', anyOf: [schema, REFERENCE] };
}
