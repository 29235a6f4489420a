/** What can go wrong while tables are copied, and with the table that commands it. Listed in the plug-in's manifest. */
import { defineError } from '#plugin';

export const tableNotReadable = defineError({
  code: 'SLUICE_MYSQL_TABLE_NOT_READABLE',
  retry: 'manual',
  exit: 3,
  cause: 'The rows of {table} cannot be copied: {detail}.',
  remedy: '{sql}; the table is copied at the next start of connector {connector}.',
});

export const tableNotCopied = defineError({
  code: 'SLUICE_MYSQL_TABLE_NOT_COPIED',
  retry: 'manual',
  exit: 3,
  cause: 'The rows of {table} cannot be copied: {detail}.',
  remedy: 'Change the table, or leave its rows out: "snapshot": {"exclude": ["{table}"]}.',
});

export const columnNotCopied = defineError({
  code: 'SLUICE_MYSQL_COLUMN_NOT_COPIED',
  retry: 'manual',
  exit: 3,
  cause: 'The rows of {table} cannot be copied because of column {column}: {why}.',
  remedy: 'Change the column, or leave the rows out: "snapshot": {"exclude": ["{table}"]}.',
});

export const copyRefused = defineError({
  code: 'SLUICE_MYSQL_COPY_REFUSED',
  retry: 'manual',
  exit: 3,
  cause: 'The server refused to copy {table}: {detail} (error {number}).',
  remedy: 'Mend what it names; the table is copied at the next start of connector {connector}.',
});

export const copyCondition = defineError({
  code: 'SLUICE_MYSQL_COPY_CONDITION',
  retry: 'manual',
  exit: 2,
  cause: 'The server refused to copy the rows of {table} that meet their condition: {detail} (error {number}).',
  remedy:
    'Correct the condition: "snapshot.where" in the connector file, and the table is copied at the next start of connector {connector}; or --where, if the copy was asked for by `sluice snapshot start`.',
});

export const copyMalformed = defineError({
  code: 'SLUICE_MYSQL_COPY_MALFORMED',
  retry: 'manual',
  exit: 1,
  cause: 'The rows of {table} cannot be understood: {what}.',
  remedy:
    'Check that nothing sits between Sluice and the server (a proxy), and report it with the server version; the table is copied once more at the next start of connector {connector}.',
});

export const tableChanged = defineError({
  code: 'SLUICE_MYSQL_TABLE_CHANGED',
  retry: 'auto',
  exit: 3,
  cause: 'Table {table} was altered, truncated, dropped or locked while it was being copied: {detail}.',
  remedy: 'Nothing to do: it is read again as it is now.',
});

export const surrogateKeyUnfit = defineError({
  code: 'SLUICE_MYSQL_SURROGATE_KEY',
  retry: 'manual',
  exit: 2,
  cause: 'Table {table} cannot be read in chunks by the surrogate key that was asked for: {detail}.',
  remedy: 'Name a column that is NOT NULL, best with an index, or ask for the copy without a surrogate key.',
});

export const tableGone = defineError({
  code: 'SLUICE_MYSQL_TABLE_GONE',
  retry: 'manual',
  exit: 3,
  cause: 'Table {table} cannot be copied: {detail}.',
  remedy: 'Take it out of "tables"; if it is there again it is copied at the next start of connector {connector}.',
});

export const otherServer = defineError({
  code: 'SLUICE_MYSQL_COPY_SERVER',
  retry: 'auto',
  exit: 3,
  cause: 'A connection for copies to {address} came to another server ({actual}) than the one whose log is read ({expected}).',
  remedy: 'Nothing to do after a failover: both are connected anew. Let "url" name one server, not a proxy that spreads connections.',
});

export const signalTableMissing = defineError({
  code: 'SLUICE_MYSQL_SIGNAL_TABLE_MISSING',
  retry: 'manual',
  exit: 3,
  cause: 'There is no table {table} that this account can see, and "snapshot.signalTable" names it.',
  remedy: 'Run: {sql}; or correct the name (it is case-sensitive), grant SELECT on it, or take it out.',
});

export const signalTableUnfit = defineError({
  code: 'SLUICE_MYSQL_SIGNAL_TABLE_UNFIT',
  retry: 'manual',
  exit: 3,
  cause: 'Table {table} cannot be used for signals: {detail}.',
  remedy: 'Let "snapshot.signalTable" name a table that was made so: {sql}',
});
