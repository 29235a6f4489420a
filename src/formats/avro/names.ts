import { SluiceError } from '../../plugin/error.ts';
import type { ConnectSchema } from '../debezium/schema.ts';
import { AVRO_NAME } from './errors.ts';

/** How names become those that Avro takes: Debezium's `schema.name.adjustment.mode` and `field.name.adjustment.mode`. */
export type NameMode = 'none' | 'avro' | 'avro_unicode';

export interface NameModes {
  readonly schemaNameAdjustmentMode: NameMode;
  readonly fieldNameAdjustmentMode: NameMode;
}

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** The schema with names that Avro takes. Throws SLUICE_AVRO_NAME where there are none, or two fields of one record get the same. `table`: whose it is. */
export function withAvroNames(schema: ConnectSchema, modes: NameModes, table: string): ConnectSchema {
  const { name, fields, items, field } = schema;
  const parts = {
    ...(name === undefined ? {} : { name: fullName(name, schema.type === 'struct', modes.schemaNameAdjustmentMode, table) }),
    ...(field === undefined ? {} : { field: fieldName(field, modes.fieldNameAdjustmentMode, table) }),
    ...(items === undefined ? {} : { items: withAvroNames(items, modes, table) }),
  };
  if (fields === undefined) return { ...schema, ...parts };
  return { ...schema, ...parts, fields: distinct(fields, modes, table) };
}

function distinct(fields: readonly ConnectSchema[], modes: NameModes, table: string): ConnectSchema[] {
  const originals = new Map<string, string>();
  return fields.map((each) => {
    const adjusted = withAvroNames(each, modes, table);
    const [is, was] = [adjusted.field as string, each.field as string];
    const other = originals.get(is);
    if (other !== undefined) throw nameError(table, `"${was}" and "${other}" would both be "${is}"`);
    originals.set(is, was);
    return adjusted;
  });
}

/** Of a record: a dotted name. Others have it as an attribute only, where any text may stand. */
function fullName(name: string, isRecord: boolean, mode: NameMode, table: string): string {
  const adjusted = mode === 'none' ? name : adjust(name, mode, true);
  // What begins with a digit behind a dot, Debezium leaves as it is; no parser takes it.
  if (isRecord && !adjusted.split('.').every((part) => NAME.test(part))) throw nameError(table, `"${adjusted}" is no name`);
  return adjusted;
}

function fieldName(name: string, mode: NameMode, table: string): string {
  const adjusted = mode === 'none' ? name : adjust(name, mode, false);
  if (!NAME.test(adjusted)) throw nameError(table, `"${adjusted}" is no name`);
  return adjusted;
}

/** As Debezium: characters that Avro does not take become `_`, or `_uXXXX`, where `_` itself is one of them; a digit in front is kept behind its `_`. */
function adjust(name: string, mode: NameMode, isDotted: boolean): string {
  const isUnicode = mode === 'avro_unicode';
  const replace = (unit: string): string => (isUnicode ? `_u${unit.charCodeAt(0).toString(16).padStart(4, '0')}` : '_');
  let adjusted = '';
  for (let index = 0; index < name.length; index++) {
    const unit = name.charAt(index);
    const isDigit = /[0-9]/.test(unit);
    if (/[A-Za-z]/.test(unit) || (unit === '_' && !isUnicode)) adjusted += unit;
    else if (index > 0 && (isDigit || (unit === '.' && isDotted))) adjusted += unit;
    else adjusted += isDigit && !isUnicode ? `_${unit}` : replace(unit);
  }
  return adjusted;
}

function nameError(table: string, reason: string): SluiceError {
  return new SluiceError(AVRO_NAME, { table, reason }, { table });
}
