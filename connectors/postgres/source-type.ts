/**
 * A column's type in Debezium's words (`column.propagate.source.type`): the name in pg_type, and length and scale as the JDBC driver that Debezium reads
 * with has them (pgjdbc's `TypeInfoCache`), since sinks size their columns by these.
 */
import type { SourceType } from '#plugin';

/** Of types without a bound. */
const UNBOUNDED = 2 ** 31 - 1;
/** Digits, sign and point of the longest numeric without a declared precision. */
const NUMERIC_LENGTH = 131_089;
const DEFAULT_FRACTION = 6;

/** Types whose length does not depend on the modifier. */
const LENGTHS: Readonly<Record<string, number>> = {
  int2: 5,
  int4: 10,
  oid: 10,
  int8: 19,
  float4: 8,
  float8: 17,
  char: 1,
  bool: 1,
  date: 13,
  interval: 49,
};
/** Of temporal types, without the fraction of a second. */
const TEMPORAL: Readonly<Record<string, number>> = { time: 8, timetz: 14, timestamp: 22, timestamptz: 28 };
const SCALES: Readonly<Record<string, number>> = { float4: 8, float8: 17 };

/** Of a built-in type that is no array; `declared` as the type modifier says, `typmod` as it stands in pg_attribute. */
export function sourceTypeOf(
  name: string,
  typmod: number,
  declared: { readonly precision: number | null; readonly scale: number | null },
): SourceType {
  return { name, length: lengthOf(name, typmod, declared.precision), scale: scaleOf(name, typmod, declared.scale) };
}

/** Of all that has neither length nor scale: arrays, enums, types of extensions. */
export function unboundedType(name: string): SourceType {
  return { name, length: UNBOUNDED, scale: 0 };
}

function lengthOf(name: string, typmod: number, precision: number | null): number | null {
  const temporal = TEMPORAL[name];
  if (temporal !== undefined) return temporal + fractionLength(typmod);
  switch (name) {
    case 'numeric':
      return precision ?? NUMERIC_LENGTH;
    case 'bit':
      return precision;
    default:
      return LENGTHS[name] ?? precision ?? UNBOUNDED;
  }
}

/** The point and the digits; the driver counts two for one. */
function fractionLength(typmod: number): number {
  if (typmod < 0) return DEFAULT_FRACTION + 1;
  return typmod === 0 ? 0 : Math.max(typmod, 2) + 1;
}

function scaleOf(name: string, typmod: number, scale: number | null): number {
  if (name === 'numeric') return scale ?? 0;
  if (name === 'interval') return typmod < 0 ? DEFAULT_FRACTION : typmod & 0xffff;
  if (TEMPORAL[name] !== undefined) return typmod < 0 ? DEFAULT_FRACTION : typmod;
  return SCALES[name] ?? 0;
}
