/**
 * A schema registry over the daemon's state, with what Confluent's API offers. A change is synced before it is answered, one at a time; an id that was
 * given is never given again, also after a crash.
 */
import {
  COMPATIBILITY_LEVELS,
  type CompatibilityLevel,
  checkCompatibility,
  type LevelIncompatibility,
  type SchemaKind,
} from '../compatibility/levels.ts';
import { type Runtime, sleep } from '../plugin/runtime.ts';
import type { StateStore } from '../state/state-store.ts';
import { Contents, type Entries, GLOBAL_LEVEL, levelKey, NEXT_ID, type StoredSchema, schemaKey, type Version, versionKey } from './contents.ts';
import * as errors from './errors.ts';
import { identityOf, readSchemaText, type SchemaText, schemaJson } from './schema-text.ts';

/** All of it is in memory. */
const MAX_SCHEMAS = 10_000;
const MAX_VERSIONS = 20_000;
const MAX_TEXT_BYTES = 32 * 2 ** 20;
const MAX_VERSION = 2 ** 31 - 1;
/** After damaged state was replaced, ids of before may stand in messages: the new ones begin beyond. */
const IDS_PER_STATE = 1_000_000;

/** Confluent's names of the kinds. */
export const SCHEMA_TYPES = { AVRO: 'avro', JSON: 'json-schema' } as const satisfies Record<string, SchemaKind>;
export type SchemaType = keyof typeof SCHEMA_TYPES;

/** A schema as a client gives it. */
export interface GivenSchema {
  readonly type: SchemaType;
  readonly text: string;
  /** Take what says the same in another order for the same. */
  readonly normalize: boolean;
}

/** A version as a client sees it. */
export interface SubjectVersion {
  readonly subject: string;
  readonly version: number;
  readonly id: number;
  readonly type: SchemaType;
  readonly text: string;
}

/** Which versions count: those that are not soft deleted, all, or only soft deleted ones. */
export type Visibility = 'live' | 'all' | 'deleted';

export interface RegistryOptions {
  readonly store: Pick<StateStore, 'readRegistry' | 'saveRegistry'>;
  readonly runtime: Runtime;
  readonly dataDir: string;
}

/** Every method throws RegistryError; 50001 if the state cannot be read or written. */
export class Registry {
  readonly #options: RegistryOptions;
  #loading: Promise<Contents> | null = null;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: RegistryOptions) {
    this.#options = options;
  }

  async subjects(visibility: Visibility, prefix: string): Promise<readonly string[]> {
    const contents = await this.#contents();
    return [...contents.subjects.keys()].filter((name) => name.startsWith(prefix) && visible(contents, name, visibility).length > 0).sort();
  }

  async versions(subject: string, visibility: Visibility): Promise<readonly number[]> {
    const found = visible(await this.#contents(), subject, visibility);
    if (found.length === 0) throw errors.subjectNotFound(subject);
    return found.map(({ version }) => version);
  }

  async version(subject: string, version: string, visibility: 'live' | 'all'): Promise<SubjectVersion> {
    const contents = await this.#contents();
    return shown(contents, subject, findVersion(contents, subject, version, visibility));
  }

  async schema(id: string): Promise<{ readonly type: SchemaType; readonly text: string }> {
    const { kind, text } = findSchema(await this.#contents(), id);
    return { type: typeOf(kind), text };
  }

  /** Where a schema stands. */
  async usages(id: string, visibility: 'live' | 'all'): Promise<readonly { readonly subject: string; readonly version: number }[]> {
    const contents = await this.#contents();
    const schema = findSchema(contents, id);
    return [...contents.subjects.keys()].sort().flatMap((subject) =>
      visible(contents, subject, visibility)
        .filter((version) => version.id === schema.id)
        .map(({ version }) => ({ subject, version })),
    );
  }

  async lookUp(subject: string, given: GivenSchema, visibility: 'live' | 'all'): Promise<SubjectVersion> {
    const contents = await this.#contents();
    const schema = read(given);
    const versions = visible(contents, subject, visibility);
    if (versions.length === 0) throw errors.subjectNotFound(subject);
    const found = findSame(contents, versions, schema, given.normalize);
    if (found === undefined) throw errors.schemaNotFound();
    return shown(contents, subject, found);
  }

  /** @returns the schema's id: the one that it has if it is known, under whatever subject */
  async register(subject: string, given: GivenSchema): Promise<number> {
    checkSubject(subject);
    const schema = read(given);
    return this.#change(async (contents) => {
      const versions = contents.versions(subject);
      const live = versions.filter(({ isDeleted }) => !isDeleted);
      const same = findSame(contents, live, schema, given.normalize);
      if (same !== undefined) return { answer: same.id };
      const found = await this.#incompatibilities(contents, levelOf(contents, subject), schema, live);
      if (found.length > 0) throw errors.incompatible(subject, found);
      const known = contents.idOf(schema);
      const id = known ?? contents.nextId ?? (await this.#firstId());
      checkRoom(contents, known === undefined ? schema : null);
      const number = (versions.at(-1)?.version ?? 0) + 1;
      const entries = new Map<string, unknown>([[versionKey(subject, number), { id, deleted: false }]]);
      if (known === undefined) entries.set(schemaKey(id), schema).set(NEXT_ID, id + 1);
      return { answer: id, entries };
    });
  }

  /**
   * Would the level of the subject allow the schema?
   * @param version null: beside all versions that the level asks for; else beside this one
   * @returns empty: yes; else why not
   */
  async check(subject: string, version: string | null, given: GivenSchema): Promise<readonly string[]> {
    const contents = await this.#contents();
    const schema = read(given);
    const live = visible(contents, subject, 'live');
    const isNew = live.length === 0 && (version === null || version === 'latest');
    const versions = version === null || isNew ? live : [findVersion(contents, subject, version, 'live')];
    return this.#incompatibilities(contents, levelOf(contents, subject), schema, versions);
  }

  /** @returns the numbers of the versions that were deleted */
  async deleteSubject(subject: string, isPermanent: boolean): Promise<readonly number[]> {
    return this.#change(async (contents) => {
      const versions = contents.versions(subject);
      const live = versions.filter(({ isDeleted }) => !isDeleted);
      if (versions.length === 0) throw errors.subjectNotFound(subject);
      if (isPermanent && live.length > 0) throw errors.subjectNotDeleted(subject);
      if (!isPermanent && live.length === 0) throw errors.subjectIsDeleted(subject);
      const deleted = isPermanent ? versions : live;
      const entries = new Map(isPermanent ? removal(contents, subject, deleted) : softly(subject, deleted));
      if (contents.levels.has(subject)) entries.set(levelKey(subject), null);
      return { answer: deleted.map(({ version }) => version), entries };
    });
  }

  /** @returns the number of the version */
  async deleteVersion(subject: string, version: string, isPermanent: boolean): Promise<number> {
    return this.#change(async (contents) => {
      if (contents.versions(subject).length === 0) throw errors.subjectNotFound(subject);
      const found = findVersion(contents, subject, version, version === 'latest' && !isPermanent ? 'live' : 'all');
      if (isPermanent && !found.isDeleted) throw errors.versionNotDeleted(subject, found.version);
      if (!isPermanent && found.isDeleted) throw errors.versionIsDeleted(subject, found.version);
      return { answer: found.version, entries: isPermanent ? removal(contents, subject, [found]) : softly(subject, [found]) };
    });
  }

  /** Of all subjects that have none of their own. */
  async globalLevel(): Promise<CompatibilityLevel> {
    return levelOf(await this.#contents(), null);
  }

  async subjectLevel(subject: string, defaultToGlobal: boolean): Promise<CompatibilityLevel> {
    const contents = await this.#contents();
    const own = contents.levels.get(subject);
    if (own === undefined && !defaultToGlobal) throw errors.levelNotConfigured(subject);
    return own ?? levelOf(contents, null);
  }

  /** @param subject null: of all that have none of their own */
  async setLevel(subject: string | null, level: CompatibilityLevel): Promise<void> {
    if (subject !== null) checkSubject(subject);
    await this.#change(async (contents) => {
      if (contents.levels.size >= MAX_VERSIONS) throw full();
      return { answer: null, entries: new Map([[subject === null ? GLOBAL_LEVEL : levelKey(subject), level]]) };
    });
  }

  /** @returns what it was */
  async removeLevel(subject: string | null): Promise<CompatibilityLevel> {
    return this.#change(async (contents) => {
      const level = subject === null ? levelOf(contents, null) : contents.levels.get(subject);
      if (level === undefined) throw errors.subjectNotFound(subject ?? '');
      return { answer: level, entries: new Map([[subject === null ? GLOBAL_LEVEL : levelKey(subject), null]]) };
    });
  }

  /** One after the other: what one finds, the next must not have changed. In memory only what is synced. */
  async #change<T>(decide: (contents: Contents) => Promise<{ readonly answer: T; readonly entries?: Entries }>): Promise<T> {
    const turn = this.#last.then(async () => {
      const contents = await this.#contents();
      const { answer, entries } = await decide(contents);
      if (entries === undefined) return answer;
      try {
        await this.#options.store.saveRegistry(entries);
      } catch (error) {
        // It may stand there all the same: read again before anything is answered.
        this.#loading = null;
        throw errors.storeFailed(error);
      }
      contents.apply(entries);
      return answer;
    });
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  async #contents(): Promise<Contents> {
    this.#loading ??= this.#load();
    try {
      return await this.#loading;
    } catch (error) {
      this.#loading = null;
      throw errors.storeFailed(error);
    }
  }

  async #load(): Promise<Contents> {
    const contents = new Contents();
    contents.apply(await this.#options.store.readRegistry());
    return contents;
  }

  async #firstId(): Promise<number> {
    const { runtime, dataDir } = this.#options;
    const replaced = ((await runtime.files.list(dataDir)) ?? []).filter((name) => /^state\.damaged-\d+$/.test(name));
    return replaced.length * IDS_PER_STATE + 1;
  }

  /** The last version first; the event loop has its turn between them: each may take a good part of a second. */
  async #incompatibilities(
    contents: Contents,
    level: CompatibilityLevel,
    schema: SchemaText,
    versions: readonly Version[],
  ): Promise<readonly string[]> {
    if (level === 'none') return [];
    const json = schemaJson(schema.text);
    const found: string[] = [];
    for (const { id, version } of level.endsWith('-transitive') ? [...versions].reverse() : versions.slice(-1)) {
      const earlier = contents.schemas.get(id);
      if (earlier === undefined) continue;
      if (earlier.kind !== schema.kind) found.push(`Version ${version} is of another schema type.`);
      else found.push(...checkCompatibility(level, schema.kind, json, [schemaJson(earlier.text)]).map((one) => message(one, version)));
      await sleep(this.#options.runtime, 0);
    }
    return found;
  }
}

function message({ direction, path, kind, message: text }: LevelIncompatibility, version: number): string {
  const who = direction === 'backward' ? `The new schema cannot read version ${version}` : `Version ${version} cannot read the new schema`;
  return `${who} (${kind} at ${path === '' ? 'the top' : path}): ${text}`;
}

function read({ type, text, normalize }: GivenSchema): SchemaText {
  return readSchemaText(SCHEMA_TYPES[type], text, normalize);
}

function typeOf(kind: SchemaKind): SchemaType {
  return kind === 'avro' ? 'AVRO' : 'JSON';
}

function visible(contents: Contents, subject: string, visibility: Visibility): readonly Version[] {
  return contents.versions(subject).filter(({ isDeleted }) => visibility === 'all' || isDeleted === (visibility === 'deleted'));
}

function findVersion(contents: Contents, subject: string, version: string, visibility: 'live' | 'all'): Version {
  const number = version === 'latest' || version === '-1' ? null : Number(version);
  if (number !== null && !(/^\d{1,10}$/.test(version) && number >= 1 && number <= MAX_VERSION)) throw errors.invalidVersion(version);
  const versions = visible(contents, subject, visibility);
  if (versions.length === 0) throw errors.subjectNotFound(subject);
  const found = number === null ? versions.at(-1) : versions.find((one) => one.version === number);
  if (found === undefined) throw errors.versionNotFound(version);
  return found;
}

function findSchema(contents: Contents, id: string): StoredSchema {
  const schema = /^\d{1,10}$/.test(id) ? contents.schemas.get(Number(id)) : undefined;
  if (schema === undefined) throw errors.schemaNotFound(/^\d{1,10}$/.test(id) ? `Schema ${id}` : 'The schema');
  return schema;
}

function findSame(contents: Contents, versions: readonly Version[], schema: SchemaText, normalize: boolean): Version | undefined {
  return versions.findLast(({ id }) => {
    const known = contents.schemas.get(id);
    return (
      known !== undefined && known.kind === schema.kind && (identityOf(known) === identityOf(schema) || (normalize && known.normal === schema.normal))
    );
  });
}

function shown(contents: Contents, subject: string, { id, version }: Version): SubjectVersion {
  const { kind, text } = findSchema(contents, String(id));
  return { subject, version, id, type: typeOf(kind), text };
}

function levelOf(contents: Contents, subject: string | null): CompatibilityLevel {
  return (subject === null ? undefined : contents.levels.get(subject)) ?? contents.globalLevel ?? 'backward';
}

function softly(subject: string, versions: readonly Version[]): Entries {
  return new Map(versions.map(({ version, id }) => [versionKey(subject, version), { id, deleted: true }]));
}

/** With its last version a schema goes; its id stays given. */
function removal(contents: Contents, subject: string, versions: readonly Version[]): Entries {
  const entries = new Map<string, unknown>(versions.map(({ version }) => [versionKey(subject, version), null]));
  for (const { id } of versions) if (versions.filter((other) => other.id === id).length >= contents.uses(id)) entries.set(schemaKey(id), null);
  return entries;
}

function checkSubject(subject: string): void {
  const hasControl = [...subject].some((letter) => letter < ' ' || (letter >= '\u007f' && letter <= '\u009f'));
  if (subject === '' || subject.length > 500 || hasControl || /\p{Surrogate}/u.test(subject)) throw errors.invalidSubject();
}

function checkRoom(contents: Contents, added: SchemaText | null): void {
  if (contents.versionCount >= MAX_VERSIONS) throw full();
  if (added === null) return;
  if (contents.schemas.size >= MAX_SCHEMAS || contents.textBytes + Buffer.byteLength(added.text) > MAX_TEXT_BYTES) throw full();
}

function full(): errors.RegistryError {
  return errors.notPermitted(
    `The registry is full: it holds at most ${MAX_SCHEMAS} schemas of ${MAX_TEXT_BYTES / 2 ** 20} MiB together, ${MAX_VERSIONS} versions and as many levels.`,
  );
}

/** As Confluent writes them. */
export const LEVEL_NAMES: ReadonlyMap<string, CompatibilityLevel> = new Map(
  COMPATIBILITY_LEVELS.map((level) => [level.toUpperCase().replace('-', '_'), level]),
);
