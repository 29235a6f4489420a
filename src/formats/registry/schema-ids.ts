import { SluiceError } from '../../plugin/error.ts';
import type { FormatPorts, Refused, VersionOf } from '../../plugin/format.ts';
import { destinationAt, eachHeader, type MessageBatch, SPAN, SPAN_SIZE, tableAt } from '../../record/messages.ts';
import type { TableVersion } from '../../record/table.ts';
import type { Frames } from '../debezium/json-parts.ts';
import { type Registration, RegistryClient } from './client.ts';
import { REGISTRY_FORGOTTEN, REGISTRY_INCOMPATIBLE } from './errors.ts';
import type { RegistryConfig } from './options.ts';

/** A schema as the registry is told it. */
export interface NamedSchema {
  /** Of its record, for subjects. */
  readonly name: string;
  readonly text: string;
}

export interface WireSchemas {
  /** Null: messages have no key. */
  readonly key: NamedSchema | null;
  readonly value: NamedSchema;
}

/** A magic byte, and the id as four bytes: Confluent's wire format. */
const PREFIX_BYTES = 5;
/** No registry gives it: of schemas that were refused. */
const NO_ID = 0;
/** Ids that are remembered, of all tables' versions. */
const KEPT_IDS = 5000;
const NOTHING = new Uint8Array(0);

interface Ids {
  readonly key: number;
  readonly value: number;
  /** Null: both are granted. */
  readonly refusal: SluiceError | null;
}

const UNKNOWN: Ids = { key: NO_ID, value: NO_ID, refusal: null };

/**
 * The ids of the schemas of each table version, in front of whose messages they stand. A version is registered before a message of it is encoded. What the
 * registry refuses is encoded without an id, so that the messages of a stopped table can be kept; they get it when the table is resumed.
 */
export class SchemaIds {
  readonly #config: RegistryConfig;
  readonly #client: RegistryClient;
  readonly #type: Registration['type'];
  readonly #schemasOf: (table: TableVersion) => WireSchemas;
  readonly #known = new WeakMap<TableVersion, Ids>();
  /** By subject and text: tables and versions may have the same. */
  readonly #ids = new Map<string, Promise<number>>();
  #refusals = 0;

  constructor(config: RegistryConfig, ports: FormatPorts, type: Registration['type'], schemasOf: (table: TableVersion) => WireSchemas) {
    this.#config = config;
    this.#client = new RegistryClient(config, ports);
    this.#type = type;
    this.#schemasOf = schemasOf;
  }

  /** As `Format.ready`. */
  ready(table: TableVersion, destination: string, signal: AbortSignal): Promise<void> | null {
    return this.#known.has(table) ? null : this.#register(table, destination, signal).then(() => undefined);
  }

  /** What stands in front of the messages of a version that is ready. */
  framesOf(table: TableVersion): Frames {
    const { key, value } = this.#known.get(table) ?? UNKNOWN;
    return { key: { head: prefix(key), tail: NOTHING }, value: { head: prefix(value), tail: NOTHING } };
  }

  /** As `Format.refused`. */
  refused(messages: MessageBatch, versionOf: VersionOf): Refused | null {
    if (this.#refusals === 0) return null;
    for (let index = 0; index < messages.count; index++) {
      if (!lacksId(messages, index)) continue;
      const table = versionAt(messages, index, versionOf);
      const known = table === null ? null : this.#known.get(table);
      // The registry was not asked: by its table's compatibility it does not go to the sink at all.
      if (known === undefined) continue;
      return { index, error: known?.refusal ?? forgotten(messages, index) };
    }
    return null;
  }

  /** As `Format.complete`. */
  complete(messages: MessageBatch, versionOf: VersionOf, signal: AbortSignal): Promise<void> | null {
    for (let index = 0; index < messages.count; index++) if (lacksId(messages, index)) return this.#completeFrom(messages, index, versionOf, signal);
    return null;
  }

  async #completeFrom(messages: MessageBatch, first: number, versionOf: VersionOf, signal: AbortSignal): Promise<void> {
    const asked = new Set<TableVersion>();
    for (let index = first; index < messages.count; index++) {
      if (!lacksId(messages, index)) continue;
      const table = versionAt(messages, index, versionOf);
      if (table === null) {
        this.#refusals++;
        continue;
      }
      const known = this.#known.get(table);
      // What was refused before is asked for once more, for all of the messages.
      const isAsked = known === undefined || (known.refusal !== null && !asked.has(table));
      const ids = isAsked ? await this.#register(table, destinationAt(messages, index), signal) : known;
      asked.add(table);
      if (ids.refusal !== null) continue;
      give(messages, index, SPAN.keyStart, ids.key);
      give(messages, index, SPAN.valueStart, ids.value);
    }
  }

  /** Rejects with what is no refusal of the schema: that is noted. */
  async #register(table: TableVersion, destination: string, signal: AbortSignal): Promise<Ids> {
    const { key, value } = this.#schemasOf(table);
    let [keyId, valueId, refusal]: [number, number, SluiceError | null] = [NO_ID, NO_ID, null];
    try {
      if (key !== null) keyId = await this.#id(key, 'key', table, destination, signal);
      valueId = await this.#id(value, 'value', table, destination, signal);
    } catch (error) {
      if (!(error instanceof SluiceError) || error.kind !== REGISTRY_INCOMPATIBLE) throw error;
      refusal = error;
      this.#refusals++;
    }
    const ids = { key: keyId, value: valueId, refusal };
    this.#known.set(table, ids);
    return ids;
  }

  #id(schema: NamedSchema, part: 'key' | 'value', table: TableVersion, destination: string, signal: AbortSignal): Promise<number> {
    const subject = this.#subject(schema.name, part, destination);
    const known = `${subject}\n${schema.text}`;
    const remembered = this.#ids.get(known);
    if (remembered !== undefined) return remembered;
    const id = this.#client.id({ subject, type: this.#type, text: schema.text, table: table.label }, signal);
    this.#ids.set(known, id);
    // What failed is asked again.
    id.catch(() => this.#ids.delete(known));
    if (this.#ids.size > KEPT_IDS) this.#ids.delete(this.#ids.keys().next().value as string);
    return id;
  }

  /** Confluent's TopicNameStrategy, RecordNameStrategy and TopicRecordNameStrategy. */
  #subject(name: string, part: 'key' | 'value', destination: string): string {
    switch (this.#config.subjects) {
      case 'topic':
        return `${destination}-${part}`;
      case 'record':
        return name;
      case 'topic-record':
        return `${destination}-${name}`;
    }
  }
}

function prefix(id: number): Uint8Array {
  const bytes = new Uint8Array(PREFIX_BYTES);
  new DataView(bytes.buffer).setUint32(1, id);
  return bytes;
}

function lacksId(messages: MessageBatch, index: number): boolean {
  return lacksIn(messages, index, SPAN.valueStart) || lacksIn(messages, index, SPAN.keyStart);
}

/** Messages that others write in between are JSON, which begins with no 0. */
function lacksIn({ bytes, spans }: MessageBatch, index: number, part: number): boolean {
  const at = index * SPAN_SIZE;
  const start = spans[at + part] as number;
  return start >= 0 && (spans[at + part + 1] as number) - start >= PREFIX_BYTES && bytes[start] === 0 && bytes.readUInt32BE(start + 1) === NO_ID;
}

function give(messages: MessageBatch, index: number, part: number, id: number): void {
  if (lacksIn(messages, index, part)) messages.bytes.writeUInt32BE(id, (messages.spans[index * SPAN_SIZE + part] as number) + 1);
}

function forgotten(messages: MessageBatch, index: number): SluiceError {
  const table = tableAt(messages, index);
  return new SluiceError(REGISTRY_FORGOTTEN, { table }, { table });
}

function versionAt(messages: MessageBatch, index: number, versionOf: VersionOf): TableVersion | null {
  let version = 0;
  eachHeader(messages, index, (name, value) => {
    if (name === 'sluice.schema') version = Number(value);
  });
  return versionOf(tableAt(messages, index), version);
}
