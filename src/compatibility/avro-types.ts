/** The types of an Avro schema, as a graph: a recursive schema is a cycle. */

export const AVRO_PRIMITIVES = ['null', 'boolean', 'int', 'long', 'float', 'double', 'bytes', 'string'] as const;
export type AvroPrimitive = (typeof AVRO_PRIMITIVES)[number];

/** One the specification knows; any other is as if it were not there. */
export interface LogicalType {
  readonly name: string;
  /** Of a decimal, else 0. */
  readonly precision: number;
  readonly scale: number;
}

interface Part {
  /** Place in the schema. */
  readonly path: string;
}

export interface AvroPrimitiveType extends Part {
  readonly type: AvroPrimitive;
  readonly logical: LogicalType | null;
}

interface Named extends Part {
  /** Full name: with the namespace. */
  readonly name: string;
  /** Full names. */
  readonly aliases: readonly string[];
}

export interface AvroFixed extends Named {
  readonly type: 'fixed';
  readonly size: number;
  readonly logical: LogicalType | null;
}

export interface AvroEnum extends Named {
  readonly type: 'enum';
  readonly symbols: readonly string[];
  readonly default: string | null;
}

export interface AvroField {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly type: AvroType;
  readonly hasDefault: boolean;
  readonly path: string;
}

export interface AvroRecord extends Named {
  readonly type: 'record';
  /** Filled when the record is named already: its fields may name it. */
  readonly fields: AvroField[];
}

export interface AvroArray extends Part {
  readonly type: 'array';
  readonly items: AvroType;
}

export interface AvroMap extends Part {
  readonly type: 'map';
  readonly values: AvroType;
}

export interface AvroUnion extends Part {
  readonly type: 'union';
  readonly branches: readonly AvroType[];
}

export type AvroNamed = AvroFixed | AvroEnum | AvroRecord;
export type AvroType = AvroPrimitiveType | AvroNamed | AvroArray | AvroMap | AvroUnion;

export function isPrimitive(type: AvroType): type is AvroPrimitiveType {
  return (AVRO_PRIMITIVES as readonly string[]).includes(type.type);
}
