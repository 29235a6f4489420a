/** Offsets as a document: what `offsets export` writes and `offsets import` reads. */
import type { ConnectorDefinition } from '../config/load.ts';
import { defineError, SluiceError } from '../plugin/error.ts';
import type { Place, Position } from '../record/position.ts';
import type { StateStore } from '../state/state-store.ts';
import { VERSION } from '../version.ts';
import { type ChangeOptions, type ChangePorts, moveTo, type OffsetChange } from './offset-changes.ts';

export const OFFSETS_DOCUMENT = defineError({
  code: 'SLUICE_OFFSETS_DOCUMENT',
  retry: 'never',
  exit: 2,
  cause: 'These are no offsets that can be imported: {reason}.',
  remedy: 'Give what `sluice offsets export` of this version, or an older one, has written.',
});

/** Raised with each change that an older version would misunderstand. */
const FORMAT_VERSION = 1;

/** The document, format version 1. */
export interface OffsetsDocument {
  readonly format: 'sluice-offsets';
  readonly version: number;
  /** The version of Sluice that wrote it. */
  readonly writtenBy: string;
  /** When, ISO 8601. */
  readonly at: string;
  readonly connectors: readonly ExportedOffset[];
}

export interface ExportedOffset {
  readonly connector: string;
  /** Type of the source, which alone understands the position. */
  readonly source: string;
  readonly position: Position;
  /** Where the output ended in the sink at that moment; null: the sink tells none. */
  readonly place: Place | null;
  /** When it was saved, ISO 8601. */
  readonly savedAt: string;
}

/** Of connectors that have an offset. */
export async function exportOffsets(store: StateStore, definitions: readonly ConnectorDefinition[], nowMicros: number): Promise<OffsetsDocument> {
  const connectors: ExportedOffset[] = [];
  for (const { name, source } of definitions) {
    const { offset, place, savedMicros } = await store.inspect(name);
    if (offset === null) continue;
    const savedAt = iso(savedMicros ?? 0);
    connectors.push({ connector: name, source: source.plugin.type, position: offset.position, place, savedAt });
  }
  return { format: 'sluice-offsets', version: FORMAT_VERSION, writtenBy: VERSION, at: iso(nowMicros), connectors };
}

/** Takes over the offset of one connector, or only looks. Throws SLUICE_OFFSETS_DOCUMENT, and the source's error where it cannot go on from there. */
export async function importOffset(
  definition: ConnectorDefinition,
  document: unknown,
  ports: ChangePorts,
  options: ChangeOptions,
): Promise<OffsetChange> {
  const { name, source } = definition;
  const found = readDocument(document).find(({ connector }) => connector === name);
  if (found === undefined) throw refused(`they hold none of the connector "${name}"`);
  if (found.source !== source.plugin.type) throw refused(`"${name}" was read from ${found.source}, and reads from ${source.plugin.type} here`);
  return moveTo(definition, found, 'offsets import', ports, options);
}

function readDocument(value: unknown): readonly ExportedOffset[] {
  if (!isObject(value) || value['format'] !== 'sluice-offsets') throw refused('"format" is not "sluice-offsets"');
  const { version, connectors } = value;
  if (typeof version !== 'number') throw refused('"version" is missing');
  if (version > FORMAT_VERSION)
    throw refused(`they are of format ${version}, and this version of sluice knows ${FORMAT_VERSION}: it takes the one that wrote them`);
  if (!Array.isArray(connectors)) throw refused('"connectors" is no list');
  return connectors.map((each: unknown, index) => {
    if (!isObject(each) || typeof each['connector'] !== 'string' || typeof each['source'] !== 'string')
      throw refused(`"connectors[${index}]" has no connector or no source`);
    const { connector, source, position, place = null } = each;
    if (!isTexts(position)) throw refused(`"connectors[${index}].position" is no object of texts`);
    if (place !== null && !isTexts(place)) throw refused(`"connectors[${index}].place" is no object of texts`);
    return { connector, source, position, place, savedAt: '' };
  });
}

function refused(reason: string): SluiceError {
  return new SluiceError(OFFSETS_DOCUMENT, { reason });
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isTexts(value: unknown): value is Readonly<Record<string, string | null>> {
  return isObject(value) && Object.values(value).every((each) => each === null || typeof each === 'string');
}

function iso(micros: number): string {
  return new Date(Math.floor(micros / 1000)).toISOString();
}
