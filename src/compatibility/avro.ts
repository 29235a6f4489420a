/** Can an Avro reader resolve all that was written with another schema? The rules of "Schema Resolution" in the Avro specification. */
import { readAvroSchema } from './avro-schema.ts';
import {
  type AvroEnum,
  type AvroField,
  type AvroNamed,
  type AvroPrimitive,
  type AvroRecord,
  type AvroType,
  type AvroUnion,
  isPrimitive,
  type LogicalType,
} from './avro-types.ts';
import { type Incompatibility, type IncompatibilityKind, step } from './incompatibility.ts';
import { Pairs } from './pairs.ts';

/** Written → what also reads it. */
const PROMOTIONS: Readonly<Partial<Record<AvroPrimitive, readonly AvroPrimitive[]>>> = {
  int: ['long', 'float', 'double'],
  long: ['float', 'double'],
  float: ['double'],
  string: ['bytes'],
  bytes: ['string'],
};

/**
 * @returns empty: all that is written with `writer` is read with `reader`
 * @throws SluiceError SLUICE_SCHEMA_INVALID
 */
export function checkAvro(reader: unknown, writer: unknown): readonly Incompatibility[] {
  const [read, written] = [readAvroSchema(reader), readAvroSchema(writer)];
  const comparison = new Comparison();
  return comparison.pairs.settle(() => comparison.compare(read, written));
}

class Comparison {
  readonly pairs = new Pairs();
  readonly #numbers = new Map<AvroType, number>();
  readonly #branches = new Map<AvroUnion, ReadonlyMap<string, AvroType>>();

  compare(reader: AvroType, writer: AvroType): readonly Incompatibility[] {
    return this.pairs.compare(`${this.#number(reader)} ${this.#number(writer)}`, () => this.#parts(reader, writer));
  }

  #number(type: AvroType): number {
    const number = this.#numbers.get(type) ?? this.#numbers.size;
    this.#numbers.set(type, number);
    return number;
  }

  #parts(reader: AvroType, writer: AvroType): readonly Incompatibility[] {
    if (writer.type === 'union') return this.#writtenUnion(reader, writer);
    if (reader.type === 'union') return this.#readUnion(reader, writer);
    if (isPrimitive(reader) && isPrimitive(writer)) {
      if (reader.type !== writer.type && PROMOTIONS[writer.type]?.includes(reader.type) !== true) return [typeChanged(reader, writer)];
      return checkLogical(reader, writer);
    }
    if (reader.type !== writer.type) return [typeChanged(reader, writer)];
    if (reader.type === 'array') return this.compare(reader.items, (writer as typeof reader).items);
    if (reader.type === 'map') return this.compare(reader.values, (writer as typeof reader).values);
    return this.#named(reader as AvroNamed, writer as AvroNamed);
  }

  #named(reader: AvroNamed, writer: AvroNamed): readonly Incompatibility[] {
    if (!isSameName(reader, writer))
      return [found(reader.path, 'nameChanged', `The ${reader.type} ${writer.name} is called ${reader.name} here, and no alias tells it.`)];
    if (reader.type === 'record') return this.#record(reader, writer as AvroRecord);
    if (reader.type === 'enum') return checkSymbols(reader, writer as AvroEnum);
    const { size } = writer as typeof reader;
    if (reader.size !== size)
      return [found(step(reader.path, 'size'), 'sizeChanged', `The fixed ${reader.name} has ${reader.size} bytes, and ${size} are written.`)];
    return checkLogical(reader, writer as typeof reader);
  }

  /** Each branch may have been written. */
  #writtenUnion(reader: AvroType, writer: AvroUnion): readonly Incompatibility[] {
    return writer.branches.flatMap((branch) => this.compare(reader, branch));
  }

  #readUnion(reader: AvroUnion, writer: AvroType): readonly Incompatibility[] {
    // A branch of the same type and name first: what is wrong there says most.
    const same = this.#sameBranch(reader, writer);
    const why = same === undefined ? [] : this.compare(same, writer);
    if (same !== undefined && why.length === 0) return [];
    if (reader.branches.some((branch) => branch !== same && this.compare(branch, writer).length === 0)) return [];
    return why.length > 0 ? why : [found(reader.path, 'branchRemoved', `No branch of the union takes ${nameOf(writer)}, which may be written.`)];
  }

  /** By name: a union may have thousands of branches. */
  #sameBranch(union: AvroUnion, writer: AvroType): AvroType | undefined {
    const known = this.#branches.get(union) ?? new Map(union.branches.flatMap((branch) => namesOf(branch).map((name) => [name, branch] as const)));
    this.#branches.set(union, known);
    if (!('name' in writer)) return known.get(writer.type);
    return known.get(`${writer.type} ${unqualified(writer.name)}`) ?? known.get(`${writer.type} alias ${writer.name}`);
  }

  #record(reader: AvroRecord, writer: AvroRecord): readonly Incompatibility[] {
    const written = new Map(writer.fields.map((field) => [field.name, field]));
    return reader.fields.flatMap((field) => {
      const source = writtenField(field, written);
      if (source !== undefined) return this.compare(field.type, source.type);
      if (field.hasDefault) return [];
      return [found(field.path, 'fieldWithoutDefault', `The field ${field.name} is not written and has no default.`)];
    });
  }
}

function writtenField(field: AvroField, written: ReadonlyMap<string, AvroField>): AvroField | undefined {
  return [field.name, ...field.aliases].map((name) => written.get(name)).find((one) => one !== undefined);
}

function checkSymbols(reader: AvroEnum, writer: AvroEnum): readonly Incompatibility[] {
  if (reader.default !== null) return [];
  const known = new Set(reader.symbols);
  return writer.symbols
    .filter((symbol) => !known.has(symbol))
    .map((symbol) => found(step(reader.path, 'symbols'), 'valueRemoved', `The enum ${reader.name} has no symbol ${symbol} and no default.`));
}

interface Annotated {
  readonly path: string;
  readonly logical: LogicalType | null;
}

/**
 * A reader without a logical type reads the underlying value, as the specification has it. One with another than was written would take the same
 * bytes for something else. A decimal may be read with more digits before the point: each value fits; the scale must stay.
 */
function checkLogical(reader: Annotated, writer: Annotated): readonly Incompatibility[] {
  const [to, from] = [reader.logical, writer.logical];
  if (to === null) return [];
  if (from !== null && to.name === from.name && to.scale === from.scale && to.precision >= from.precision) return [];
  return [found(reader.path, 'logicalTypeChanged', `What is written as ${logicalText(from)} would be taken for ${logicalText(to)}.`)];
}

function logicalText(logical: LogicalType | null): string {
  if (logical === null) return 'a value without logical type';
  return logical.name === 'decimal' ? `decimal(${logical.precision}, ${logical.scale})` : logical.name;
}

/** Unqualified names must be the same, or the reader's aliases hold the writer's full name. */
function isSameName(reader: AvroNamed, writer: AvroNamed): boolean {
  return unqualified(reader.name) === unqualified(writer.name) || reader.aliases.includes(writer.name);
}

/** What a branch of a union is found by. */
function namesOf(branch: AvroType): readonly string[] {
  if (!('name' in branch)) return [branch.type];
  return [`${branch.type} ${unqualified(branch.name)}`, ...branch.aliases.map((alias) => `${branch.type} alias ${alias}`)];
}

function unqualified(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1);
}

function nameOf(type: AvroType): string {
  return 'name' in type ? `the ${type.type} ${type.name}` : type.type;
}

function typeChanged(reader: AvroType, writer: AvroType): Incompatibility {
  return found(reader.path, 'typeChanged', `${nameOf(writer)} is written, and ${nameOf(reader)} cannot read it.`);
}

function found(path: string, kind: IncompatibilityKind, message: string): Incompatibility {
  return { path, kind, message: message.charAt(0).toUpperCase() + message.slice(1) };
}
