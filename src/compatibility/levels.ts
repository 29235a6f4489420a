/** Which of the schemas that came before a new one must fit it, and which way round. */
import { checkAvro } from './avro.ts';
import { readAvroSchema } from './avro-schema.ts';
import type { Incompatibility } from './incompatibility.ts';
import { checkJsonSchema } from './json-schema.ts';
import { SchemaDocument } from './json-schema-document.ts';

export const COMPATIBILITY_LEVELS = ['none', 'backward', 'backward-transitive', 'forward', 'forward-transitive', 'full', 'full-transitive'] as const;
export type CompatibilityLevel = (typeof COMPATIBILITY_LEVELS)[number];

export const SCHEMA_KINDS = ['avro', 'json-schema'] as const;
export type SchemaKind = (typeof SCHEMA_KINDS)[number];

/** An incompatibility of a new schema with one that came before. */
export interface LevelIncompatibility extends Incompatibility {
  /** `backward`: the new schema cannot read what the earlier one wrote; `forward`: the reverse, and then `path` is one in the earlier schema. */
  readonly direction: 'backward' | 'forward';
  /** Index in the list of earlier schemas. */
  readonly earlier: number;
}

/**
 * Can what is written by one schema be read by the other?
 * @returns empty: yes, all of it
 * @throws SluiceError SLUICE_SCHEMA_INVALID if one of them is no schema of its kind
 */
export function checkReadable(kind: SchemaKind, reader: unknown, writer: unknown): readonly Incompatibility[] {
  return kind === 'avro' ? checkAvro(reader, writer) : checkJsonSchema(reader, writer);
}

/** @throws SluiceError SLUICE_SCHEMA_INVALID */
export function checkSchema(kind: SchemaKind, schema: unknown): void {
  if (kind === 'avro') readAvroSchema(schema);
  else new SchemaDocument(schema, () => 0);
}

/**
 * Checks a new schema against those that came before, as parsed JSON, the oldest first: against the last one, or all of them with a transitive level.
 * @returns empty: the level allows the new schema
 * @throws SluiceError SLUICE_SCHEMA_INVALID
 */
export function checkCompatibility(
  level: CompatibilityLevel,
  kind: SchemaKind,
  newSchema: unknown,
  earlierSchemas: readonly unknown[],
): readonly LevelIncompatibility[] {
  if (level === 'none') return [];
  const first = level.endsWith('-transitive') ? 0 : Math.max(0, earlierSchemas.length - 1);
  const found: LevelIncompatibility[] = [];
  for (let earlier = earlierSchemas.length - 1; earlier >= first; earlier--) {
    const add = (direction: 'backward' | 'forward', reader: unknown, writer: unknown): void =>
      void found.push(...checkReadable(kind, reader, writer).map((one) => ({ ...one, direction, earlier })));
    if (!level.startsWith('forward')) add('backward', newSchema, earlierSchemas[earlier]);
    if (!level.startsWith('backward')) add('forward', earlierSchemas[earlier], newSchema);
  }
  return found;
}
