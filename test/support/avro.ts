/** Avro as an independent library (avsc) reads it, in the terms of Debezium's JSON. */
import avsc from 'avsc';
import { type AvroConfig, avro } from '../../src/formats/avro/index.ts';
import { type AvroSchema, avroSchemas } from '../../src/formats/avro/schema.ts';
import type { DebeziumConfig } from '../../src/formats/debezium/options.ts';
import { schemaJson } from '../../src/formats/registry/schema-text.ts';
import { BatchEncoder } from '../../src/pipeline/encode.ts';
import type { Format, FormatContext, FormatPorts } from '../../src/plugin/format.ts';
import type { RecordBatch } from '../../src/record/batch.ts';
import { eachHeader, type MessageBatch, SPAN, SPAN_SIZE, tableAt } from '../../src/record/messages.ts';
import { type TableRegistry, type TableVersion, tableLabel } from '../../src/record/table.ts';
import { DEBEZIUM_DEFAULTS } from './encoded.ts';
import { unboundedMemory } from './memory.ts';
import { pluginContext } from './plugin-context.ts';

export const REGISTRY = { urls: ['http://127.0.0.1:1'], subjects: 'topic', autoRegister: true, normalize: false, timeout: 5000 } as const;

export const NAMES = { schemaNameAdjustmentMode: 'avro', fieldNameAdjustmentMode: 'avro' } as const;

export function formatPorts(): FormatPorts {
  return { ...pluginContext(), circuit: () => undefined, asked: () => undefined };
}

/** The format with Debezium's defaults, and no registry: its ids are 0. */
export const avroByDefault = {
  create: (config: Partial<AvroConfig>, context: FormatContext): Format =>
    avro.create({ ...DEBEZIUM_DEFAULTS, ...NAMES, ...config, registry: REGISTRY }, context, formatPorts()),
};

/** Whole 64-bit integers, as text where a JavaScript number could not hold them. */
const LONG = avsc.types.LongType.__with({
  fromBuffer: (bytes: Buffer) => asNumber(bytes.readBigInt64LE()),
  toBuffer: (value: unknown) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(String(value).replace('n', '')));
    return bytes;
  },
  fromJSON: (value: unknown) => value,
  toJSON: (value: unknown) => value,
  isValid: (value: unknown) => typeof value === 'number' || /^-?\d+n$/.test(String(value)),
  compare: (one: unknown, other: unknown) => (String(one) === String(other) ? 0 : 1),
} as never);

function asNumber(value: bigint): number | string {
  const text = value.toString();
  return text.replace('-', '').length > 15 ? `${text}n` : Number(text);
}

export function avroType(schema: AvroSchema | string): avsc.Type {
  const parsed = typeof schema === 'string' ? losslessJson(schema) : losslessJson(schemaJson(schema));
  return avsc.Type.forSchema(parsed as avsc.Schema, { typeHook: (each) => (isLong(each) ? LONG : undefined), wrapUnions: false });
}

function isLong(schema: avsc.Schema): boolean {
  return schema === 'long' || (typeof schema === 'object' && 'type' in schema && schema.type === 'long');
}

/** JSON whose integers of more than 15 digits are texts with an `n` behind, as `avroJson` has them. */
export function losslessJson(text: string): unknown {
  return JSON.parse(text.replace(/"(?:[^"\\]|\\.)*"|(?<![\d.eE+-])-?\d{16,}(?=[,}\]])/g, (part) => (part.startsWith('"') ? part : `"${part}n"`)));
}

/** The decoded value as Debezium's JSON says it: bytes in base64, what is no number as text. */
export function avroJson(type: avsc.Type, bytes: Buffer): unknown {
  return plain(type.fromBuffer(bytes));
}

function plain(value: unknown): unknown {
  if (Buffer.isBuffer(value) || value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plain(member)]));
}

export interface WireMessage {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
}

export function bytesOf({ bytes, spans, count }: MessageBatch): WireMessage[] {
  return Array.from({ length: count }, (_, message) => {
    const part = (at: number): Buffer | null => {
      const start = spans[message * SPAN_SIZE + at] as number;
      return start < 0 ? null : Buffer.from(bytes.subarray(start, spans[message * SPAN_SIZE + at + 1]));
    };
    return { key: part(SPAN.keyStart), value: part(SPAN.valueStart) };
  });
}

/** Behind the magic byte and the id. */
export const WIRE_PREFIX_BYTES = 5;

/** Debezium's options that this format has. */
export type AvroModes = Partial<Omit<DebeziumConfig, 'schemasEnable' | 'provideTransactionMetadata' | 'heartbeatInterval'>>;

/** Encodes what the format debezium has encoded once more, in Avro. */
export class AvroTwin {
  readonly #context: FormatContext;
  readonly #config: DebeziumConfig & typeof NAMES;
  readonly #tables: TableRegistry;
  readonly #encoder: BatchEncoder;
  readonly #types = new Map<TableVersion, { readonly key: avsc.Type | null; readonly value: avsc.Type }>();

  constructor(context: FormatContext, config: DebeziumConfig, tables: TableRegistry) {
    this.#context = context;
    this.#config = { ...config, ...NAMES };
    this.#tables = tables;
    this.#encoder = new BatchEncoder(avroByDefault.create(config, context), tableLabel, unboundedMemory());
  }

  /** Keys and values of the batch, decoded. */
  decoded(batch: RecordBatch, nowMicros: number): { readonly key: unknown; readonly value: unknown }[] {
    const messages = this.#encoder.encode(batch, nowMicros);
    const found = bytesOf(messages).map(({ key, value }, message) => {
      let version = 0;
      eachHeader(messages, message, (name, text) => {
        if (name === 'sluice.schema') version = Number(text);
      });
      const types = this.#typesOf(this.#tables.find(tableAt(messages, message), version) as TableVersion);
      const decode = (type: avsc.Type | null, bytes: Buffer | null): unknown =>
        bytes === null || type === null ? null : avroJson(type, bytes.subarray(WIRE_PREFIX_BYTES));
      return { key: decode(types.key, key), value: decode(types.value, value) };
    });
    this.#encoder.recycle(messages);
    return found;
  }

  #typesOf(table: TableVersion): { readonly key: avsc.Type | null; readonly value: avsc.Type } {
    const known = this.#types.get(table);
    if (known !== undefined) return known;
    const { key, value } = avroSchemas(table, this.#context, this.#config);
    const types = { key: key === null ? null : avroType(key), value: avroType(value) };
    this.#types.set(table, types);
    return types;
  }
}
