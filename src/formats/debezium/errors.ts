import { defineError } from '../../plugin/error.ts';

/** An entry of `messageKeyColumns` names a column that a table does not have. */
export const keyColumnMissing = defineError({
  code: 'SLUICE_DEBEZIUM_KEY_COLUMN',
  retry: 'manual',
  exit: 2,
  cause: 'The log has no column "{column}" in {table}, which the entry "{entry}" of "format.messageKeyColumns" makes part of its key.',
  remedy:
    'Correct the entry: names of columns are compared as the catalogue has them, and columns that are computed or that the publication leaves out are not in the log. If the table has changed, name the columns that it has now.',
});

/** The key that `messageKeyColumns` asks for is not known of rows that are changed or deleted. */
export const keyNotInLog = defineError({
  code: 'SLUICE_DEBEZIUM_KEY_NOT_IN_LOG',
  retry: 'manual',
  exit: 3,
  cause:
    'The log does not carry the old value of {columns} of {table}, which "format.messageKeyColumns" makes part of its key: which key a changed or deleted row had would not be known.',
  remedy:
    'PostgreSQL: ALTER TABLE {table} REPLICA IDENTITY FULL, so that the log carries whole old rows; of a partitioned table, also on each partition. What stands in the log already cannot be given this key: take the table out of "format.messageKeyColumns" until that is read, or capture it anew.',
});

export const debeziumErrors = [keyColumnMissing, keyNotInLog];
