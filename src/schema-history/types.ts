/** Whether a column's type takes in more than it did, or less. */
import type { ColumnShape } from '../record/table.ts';
import type { LogicalType } from '../record/types.ts';

type TypeChange = 'typeWidened' | 'typeNarrowed' | 'typeChanged';

/** Types of whole numbers, each taking in all before it. */
const WHOLE: readonly LogicalType[] = ['int16', 'int32', 'int64', 'decimal'];
const FLOATING: readonly LogicalType[] = ['float32', 'float64'];
/** Digits of the largest value. */
const WHOLE_DIGITS: Readonly<Partial<Record<LogicalType, number>>> = { int16: 5, int32: 10, int64: 19 };

type Type = Pick<ColumnShape, 'type' | 'typeName' | 'precision' | 'scale' | 'facts'>;

/** Null: the type is the same. */
export function compareTypes(before: Type, after: Type): TypeChange | null {
  const [wider, narrower] = [takesIn(after, before), takesIn(before, after)];
  if (wider && narrower) return before.typeName === after.typeName ? null : 'typeChanged';
  if (wider) return 'typeWidened';
  return narrower ? 'typeNarrowed' : 'typeChanged';
}

/** Every value of `other` is one of `type`, written the same but for digits behind the point. */
function takesIn(type: Type, other: Type): boolean {
  const [label, otherLabel] = [type.facts?.labels ?? null, other.facts?.labels ?? null];
  if (label !== null && otherLabel !== null) return type.typeName === other.typeName && otherLabel.every((one) => label.includes(one));
  if (type.type === 'decimal' && (other.type === 'decimal' || WHOLE_DIGITS[other.type] !== undefined)) return takesInDecimal(type, other);
  if (WHOLE.includes(type.type) && WHOLE.includes(other.type)) return WHOLE.indexOf(type.type) >= WHOLE.indexOf(other.type);
  if (FLOATING.includes(type.type) && FLOATING.includes(other.type)) return FLOATING.indexOf(type.type) >= FLOATING.indexOf(other.type);
  if (type.type !== other.type) return false;
  if (type.typeName === other.typeName) return true;
  return baseName(type) === baseName(other) || type.type === 'text'
    ? atLeast(type.precision, other.precision) && atLeast(type.scale, other.scale)
    : false;
}

/** `numeric(12,2)` and `numeric(10,2)` are both `numeric`. */
function baseName({ typeName }: Type): string {
  return typeName.replace(/\(.*?\)/, '');
}

function takesInDecimal(type: Type, other: Type): boolean {
  if (type.precision === null) return true;
  const digits = WHOLE_DIGITS[other.type] ?? other.precision;
  if (digits === null) return false;
  const [scale, otherScale] = [type.scale ?? 0, WHOLE_DIGITS[other.type] === undefined ? (other.scale ?? 0) : 0];
  return scale >= otherScale && type.precision - scale >= digits - otherScale;
}

/** Null: without a limit. */
function atLeast(one: number | null, other: number | null): boolean {
  return one === null || (other !== null && one >= other);
}
