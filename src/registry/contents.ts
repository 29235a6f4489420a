/** What the registry holds, in memory: the entries of the state, one by one, and indexes over them. */
import { COMPATIBILITY_LEVELS, type CompatibilityLevel } from '../compatibility/levels.ts';
import { identityOf, type SchemaText } from './schema-text.ts';

/** What is stored, by key; null takes it away. */
export type Entries = ReadonlyMap<string, unknown>;

export interface StoredSchema extends SchemaText {
  readonly id: number;
  readonly bytes: number;
}

export interface Version {
  readonly version: number;
  readonly id: number;
  /** Soft deleted. */
  readonly isDeleted: boolean;
}

const DIGITS = 10;
export const NEXT_ID = 'next';
export const GLOBAL_LEVEL = 'level';

export function schemaKey(id: number): string {
  return `schema/${String(id).padStart(DIGITS, '0')}`;
}

export function versionKey(subject: string, version: number): string {
  return `version/${encodeURIComponent(subject)}/${String(version).padStart(DIGITS, '0')}`;
}

export function levelKey(subject: string): string {
  return `level/${encodeURIComponent(subject)}`;
}

export class Contents {
  readonly schemas = new Map<number, StoredSchema>();
  /** In the order of their numbers. */
  readonly subjects = new Map<string, Map<number, Version>>();
  readonly levels = new Map<string, CompatibilityLevel>();
  globalLevel: CompatibilityLevel | null = null;
  /** Ids begin here; one that was given is never given again. Null: none was. */
  nextId: number | null = null;
  versionCount = 0;
  textBytes = 0;
  readonly #ids = new Map<string, number>();
  /** Of each schema, how many versions name it. */
  readonly #uses = new Map<number, number>();

  idOf(schema: SchemaText): number | undefined {
    return this.#ids.get(identityOf(schema));
  }

  uses(id: number): number {
    return this.#uses.get(id) ?? 0;
  }

  versions(subject: string): readonly Version[] {
    return [...(this.subjects.get(subject)?.values() ?? [])].sort((one, other) => one.version - other.version);
  }

  /** Takes over what was stored. */
  apply(entries: Entries): void {
    for (const [key, value] of entries) {
      const [kind, name = '', version = ''] = key.split('/');
      if (kind === NEXT_ID) this.nextId = value as number;
      else if (kind === 'schema') this.#applySchema(Number(name), value as SchemaText | null);
      else if (kind === 'version') this.#applyVersion(decodeURIComponent(name), Number(version), value as { id: number; deleted: boolean } | null);
      else if (key === GLOBAL_LEVEL) this.globalLevel = readLevel(value);
      else this.#applyLevel(decodeURIComponent(name), readLevel(value));
    }
  }

  #applySchema(id: number, value: SchemaText | null): void {
    const known = this.schemas.get(id);
    if (known !== undefined) {
      this.textBytes -= known.bytes;
      this.schemas.delete(id);
      this.#ids.delete(identityOf(known));
    }
    if (value === null) return;
    const bytes = Buffer.byteLength(value.text);
    const schema: StoredSchema = { ...value, id, bytes };
    this.schemas.set(id, schema);
    this.#ids.set(identityOf(schema), id);
    this.textBytes += bytes;
  }

  #applyVersion(subject: string, version: number, value: { id: number; deleted: boolean } | null): void {
    const versions = this.subjects.get(subject) ?? new Map<number, Version>();
    const known = versions.get(version);
    if (known !== undefined) {
      this.versionCount--;
      this.#uses.set(known.id, this.uses(known.id) - 1);
      versions.delete(version);
    }
    if (value !== null) {
      this.versionCount++;
      this.#uses.set(value.id, this.uses(value.id) + 1);
      versions.set(version, { version, id: value.id, isDeleted: value.deleted });
    }
    if (versions.size === 0) this.subjects.delete(subject);
    else this.subjects.set(subject, versions);
  }

  #applyLevel(subject: string, level: CompatibilityLevel | null): void {
    if (level === null) this.levels.delete(subject);
    else this.levels.set(subject, level);
  }
}

function readLevel(value: unknown): CompatibilityLevel | null {
  return COMPATIBILITY_LEVELS.find((level) => level === value) ?? null;
}
