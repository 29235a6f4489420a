/** What stands between two schemas: a closed set of words, for those who match on them, and a sentence, for those who read. */

export const INCOMPATIBILITY_KINDS = [
  /** Another type, or one that takes in fewer values. */
  'typeChanged',
  /** Avro: a record, enum or fixed is called otherwise, and no alias tells it. */
  'nameChanged',
  /** Avro: a fixed of another size. */
  'sizeChanged',
  /** Avro: the same bytes mean another thing: another unit, scale, or no room for the digits. */
  'logicalTypeChanged',
  /** Avro: a field that was not written, and has no default. */
  'fieldWithoutDefault',
  /** A value of an enumeration (or a const) that is not taken any more. */
  'valueRemoved',
  /** No branch of a union, anyOf or oneOf takes what was written. */
  'branchRemoved',
  /** JSON Schema: a property must be there that may be missing in what was written. */
  'requiredAdded',
  /** JSON Schema: a property is described that may hold anything in what was written: its content model is open. */
  'propertyAdded',
  /** JSON Schema: a property that is written is not taken any more: the content model is closed. */
  'propertyRemoved',
  /** JSON Schema: fewer numbers, lengths or counts are taken. */
  'boundNarrowed',
  /** JSON Schema: a condition (pattern, format, not …) that what was written need not meet. */
  'conditionAdded',
  /** It may be compatible, but this cannot be told: never taken for compatible. */
  'undecided',
] as const;
export type IncompatibilityKind = (typeof INCOMPATIBILITY_KINDS)[number];

export interface Incompatibility {
  /** JSON Pointer into the schema that reads; empty: the whole. */
  readonly path: string;
  readonly kind: IncompatibilityKind;
  /** A plain sentence. Names of fields, types and values of enumerations stand in it, never data. */
  readonly message: string;
}

/** @returns the pointer with one more step */
export function step(path: string, ...keys: readonly (string | number)[]): string {
  return path + keys.map((key) => `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}
