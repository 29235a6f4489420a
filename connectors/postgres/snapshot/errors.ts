/** What can go wrong while tables are copied, and with the table that commands it. Listed in the plug-in's manifest. */
import { defineError } from '#plugin';

export const tableNotReadable = defineError({
  code: 'SLUICE_PG_TABLE_NOT_READABLE',
  retry: 'manual',
  exit: 3,
  cause: 'The rows of {table} cannot be copied: {detail}.',
  remedy: '{sql}; the table is copied at the next start of connector {connector}.',
});

export const copyRefused = defineError({
  code: 'SLUICE_PG_COPY_REFUSED',
  retry: 'manual',
  exit: 3,
  cause: 'The server refused to copy {table}: {detail} (SQLSTATE {sqlstate}).',
  remedy: 'Mend what it names; the table is copied at the next start of connector {connector}.',
});

export const copyCondition = defineError({
  code: 'SLUICE_PG_COPY_CONDITION',
  retry: 'manual',
  exit: 2,
  cause: 'The server refused to copy the rows of {table} that meet their condition: {detail} (SQLSTATE {sqlstate}).',
  remedy:
    'Correct the condition: "snapshot.where" in the connector file, and the table is copied at the next start of connector {connector}; or --where, if the copy was asked for by `sluice snapshot start`. Functions and operators outside pg_catalog are named with their schema.',
});

export const copyMalformed = defineError({
  code: 'SLUICE_PG_COPY_MALFORMED',
  retry: 'manual',
  exit: 1,
  cause: 'The rows of {table} cannot be understood: {what}.',
  remedy:
    'Check that nothing sits between Sluice and the server (a pooler, a proxy), and report it with the server version; the table is copied once more at the next start of connector {connector}.',
});

/** A rewritten table looks empty to a view from before (manual, 13.6 "Caveats"): what was read there is worth nothing. */
export const tableChanged = defineError({
  code: 'SLUICE_PG_TABLE_CHANGED',
  retry: 'auto',
  exit: 3,
  cause: 'Table {table} was altered, truncated or dropped while it was being copied: {detail}.',
  remedy: 'Nothing to do: it is read again as it is now.',
});

export const surrogateKeyUnfit = defineError({
  code: 'SLUICE_PG_SURROGATE_KEY',
  retry: 'manual',
  exit: 2,
  cause: 'Table {table} cannot be read in chunks by the surrogate key that was asked for: {detail}.',
  remedy: 'Name a published column that is NOT NULL, best with an index, or ask for the copy without a surrogate key.',
});

export const tableGone = defineError({
  code: 'SLUICE_PG_TABLE_GONE',
  retry: 'manual',
  exit: 3,
  cause: 'Table {table} cannot be copied: {detail}.',
  remedy: 'Take it out of "tables"; if it is there again it is copied at the next start of connector {connector}.',
});

export const signalTableMissing = defineError({
  code: 'SLUICE_PG_SIGNAL_TABLE_MISSING',
  retry: 'manual',
  exit: 3,
  cause: 'There is no table {table} in database "{database}", which "snapshot.signalTable" names.',
  remedy: 'Run: {sql}; or correct the name (it is case-sensitive), or take it out.',
});

export const signalTableUnfit = defineError({
  code: 'SLUICE_PG_SIGNAL_TABLE_UNFIT',
  retry: 'manual',
  exit: 3,
  cause: 'Table {table} cannot be used for signals: {detail}.',
  remedy: 'Let "snapshot.signalTable" name a table that was made so: {sql}',
});
