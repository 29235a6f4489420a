/** Messages behind the id of a schema, read with what a registry says of that id and with nothing of the product: as rows, in the server's own words. */
import type avsc from 'avsc';
import type { RegistryServer } from '../servers/index.ts';
import { avroJson, avroType, losslessJson, WIRE_PREFIX_BYTES } from './avro.ts';

interface Schema {
  readonly [attribute: string]: unknown;
}

interface Known {
  readonly schema: Schema;
  /** Null: it is a JSON Schema. */
  readonly type: avsc.Type | null;
}

/** What was decoded, and its schema. */
export interface Decoded {
  readonly id: number;
  readonly value: Readonly<Record<string, unknown>>;
  readonly schema: Schema;
}

/** Asks a registry for each id once. */
export class RegistryReader {
  readonly #registry: RegistryServer;
  readonly #known = new Map<number, Promise<Known>>();

  constructor(registry: RegistryServer) {
    this.#registry = registry;
  }

  /** Throws for what is not in the wire format, and for an id that the registry does not know. */
  async decode(bytes: Buffer): Promise<Decoded> {
    if (bytes[0] !== 0) throw new Error(`the magic byte is ${bytes[0]}`);
    const id = bytes.readUInt32BE(1);
    let known = this.#known.get(id);
    if (known === undefined) {
      known = this.#ask(id);
      this.#known.set(id, known);
    }
    const { schema, type } = await known;
    const payload = bytes.subarray(WIRE_PREFIX_BYTES);
    const value = (type === null ? losslessJson(payload.toString()) : avroJson(type, payload)) as Decoded['value'];
    return { id, value, schema };
  }

  async #ask(id: number): Promise<Known> {
    const { schema, schemaType } = (await this.#registry.ask(`schemas/ids/${id}`)) as { schema: string; schemaType?: string };
    return { schema: losslessJson(schema) as Schema, type: schemaType === 'JSON' ? null : avroType(schema) };
  }
}

/** The new row of a decoded change, each value as PostgreSQL's `to_jsonb` has it. */
export function rowOf({ value, schema }: Decoded): Record<string, unknown> | null {
  const after = value.after as Record<string, unknown> | null;
  if (after === null || after === undefined) return null;
  return Object.fromEntries(Object.entries(after).map(([name, member]) => [name, sqlValue(meaningOf(schema, name), member)]));
}

interface Meaning {
  readonly name: string;
  readonly scale: number;
  readonly isBytes: boolean;
}

function meaningOf(schema: Schema, column: string): Meaning {
  const found = 'fields' in schema ? avroColumn(schema, column) : jsonColumn(schema, column);
  const parameters = (found['connect.parameters'] ?? {}) as Readonly<Record<string, string>>;
  const isBytes = found.type === 'bytes' || found['connect.type'] === 'bytes';
  return { name: String(found['connect.name'] ?? found.title ?? ''), scale: Number(parameters.scale ?? 0), isBytes };
}

function avroColumn(schema: Schema, column: string): Schema {
  const [before] = schema.fields as [{ readonly type: readonly [string, Schema] }];
  const field = (before.type[1].fields as { readonly name: string; readonly type: unknown }[]).find(({ name }) => name === column);
  const branches = Array.isArray(field?.type) ? field.type : [field?.type];
  const type: unknown = branches.find((each) => each !== 'null');
  return typeof type === 'string' ? { type, ...(type.includes('.') ? { 'connect.name': type } : {}) } : (type as Schema);
}

function jsonColumn(schema: Schema, column: string): Schema {
  const value = given((schema.properties as Readonly<Record<string, Schema>>).before);
  return given((value.properties as Readonly<Record<string, Schema>>)[column]);
}

function given(schema: Schema | undefined): Schema {
  return (schema?.oneOf as Schema[] | undefined)?.find(({ type }) => type !== 'null') ?? schema ?? {};
}

/** Names end in what they mean, whoever gave them. */
function sqlValue({ name, scale, isBytes }: Meaning, value: unknown): unknown {
  if (value === null) return null;
  const number = (): number => Number(String(value).replace(/n$/, ''));
  switch (name.slice(name.lastIndexOf('.') + 1)) {
    case 'Decimal':
      return decimal(value as string, scale);
    case 'VariableScaleDecimal': {
      const { scale: own, value: bytes } = value as { scale: number; value: string };
      return decimal(bytes, own);
    }
    case 'Date':
      return new Date(number() * 86_400_000).toISOString().slice(0, 10);
    case 'MicroTime':
      return isoMicros(number()).slice(11);
    case 'MicroTimestamp':
      return isoMicros(number());
    case 'ZonedTimestamp':
      return String(value).replace('Z', '+00:00');
    case 'Json':
      return JSON.parse(value as string);
    default:
      return isBytes ? `\\x${Buffer.from(value as string, 'base64').toString('hex')}` : value;
  }
}

function isoMicros(micros: number): string {
  const millis = Math.floor(micros / 1000);
  return `${new Date(millis).toISOString().slice(0, -1)}${String(micros - millis * 1000).padStart(3, '0')}`;
}

function decimal(base64: string, scale: number): string {
  const bytes = Buffer.from(base64, 'base64');
  const unscaled = BigInt.asIntN(8 * bytes.length, BigInt(`0x${bytes.toString('hex')}`));
  const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, '0');
  const text = scale === 0 ? digits : `${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
  // As JSON's numbers are read: without zeros at the end of the fraction.
  return (unscaled < 0n ? `-${text}` : text).replace(/(\.\d*?)0+$/, '$1').replace(/\.$/, '');
}
