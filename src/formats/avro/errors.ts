import { defineError } from '../../plugin/error.ts';

/** A table or column has a name that Avro does not take. */
export const AVRO_NAME = defineError({
  code: 'SLUICE_AVRO_NAME',
  retry: 'manual',
  exit: 2,
  cause: 'The names of {table} give no Avro schema: {reason}.',
  remedy:
    'Set "format.schemaNameAdjustmentMode" and "format.fieldNameAdjustmentMode" to "avro_unicode", which keeps different names apart, rename it on the server, or leave the column out ("source.columns").',
});

/** A value for which the table's Avro schema has no place. */
export const AVRO_VALUE = defineError({
  code: 'SLUICE_AVRO_VALUE',
  retry: 'manual',
  exit: 3,
  cause: 'A row of {table} has a value in the column "{column}" that its Avro schema cannot say: {reason}.',
  remedy:
    'Choose a handling mode whose type holds it ("decimalHandlingMode": "string", "timePrecisionMode": "isostring"), leave the column out ("source.columns"), or write the table in the format "debezium".',
});

/** A value that the log did not send, of a type that has nothing to stand for it. */
export const AVRO_UNAVAILABLE = defineError({
  code: 'SLUICE_AVRO_UNAVAILABLE',
  retry: 'manual',
  exit: 3,
  cause: 'The log did not send the value of the column "{column}" of {table}, which is unchanged, and the type has nothing that could stand for it.',
  remedy:
    'Let the log carry whole rows (PostgreSQL: ALTER TABLE {table} REPLICA IDENTITY FULL; MySQL: binlog_row_image=FULL). What stands in the log already has no such value: write the table in the format "debezium" until that is read, or capture it anew.',
});

export const avroErrors = [AVRO_NAME, AVRO_VALUE, AVRO_UNAVAILABLE];
