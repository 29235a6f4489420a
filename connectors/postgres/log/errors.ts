/** What can go wrong while the log is read, or a place in it is looked for. Listed in the plug-in's manifest. */
import { defineError } from '#plugin';

/** The stream holds something that pgoutput's protocol 1 does not allow, or that this decoder does not know: nothing after it is read (I8). */
export const protocolViolation = defineError({
  code: 'SLUICE_PG_PROTOCOL',
  retry: 'manual',
  exit: 1,
  cause: 'The replication stream cannot be understood: {what} (at {lsn}).',
  remedy:
    'Nothing was skipped and nothing after this was acknowledged. Check that nothing sits between Sluice and the server (a pooler, a proxy), restart the connector, and report it with the server version if it comes again.',
});

/** A new row does not carry its key, and neither does the old image. */
export const keyUnavailable = defineError({
  code: 'SLUICE_PG_KEY_UNAVAILABLE',
  retry: 'manual',
  exit: 1,
  cause: 'An update of {table} at {lsn} does not carry the value of its key column {column}: it is stored out of line (TOAST) and was not changed.',
  remedy:
    'ALTER TABLE {table} REPLICA IDENTITY FULL, so that updates carry the whole row; for updates already in the log, the table must be captured anew.',
});

/** The server said nothing for longer than it may, although it was asked. */
export const serverSilent = defineError({
  code: 'SLUICE_PG_SILENT',
  retry: 'auto',
  exit: 3,
  cause: 'The server has sent nothing for {seconds} s and did not answer when asked: the connection is taken for dead.',
  remedy: 'Sluice connects again by itself. If this repeats, check the network between Sluice and the server, and whether the server is overloaded.',
});

/** The stream ended although nobody asked it to. */
export const streamEnded = defineError({
  code: 'SLUICE_PG_STREAM_ENDED',
  retry: 'auto',
  exit: 3,
  cause: 'The server ended the replication stream.',
  remedy: 'Sluice connects again by itself. The server ends streams when it shuts down or when the slot is taken over.',
});

/** This process did not run for so long that the server may have given the slot to somebody else. */
export const processSuspended = defineError({
  code: 'SLUICE_PG_SUSPENDED',
  retry: 'auto',
  exit: 3,
  cause: 'This process did not run for {seconds} s, longer than wal_sender_timeout: the server has given the slot up.',
  remedy: 'Sluice takes the slot again by itself before it writes anything. If this repeats, give the process more CPU, or raise wal_sender_timeout.',
});

/** The session does not print values as they are read. */
export const sessionSetting = defineError({
  code: 'SLUICE_PG_SESSION_SETTING',
  retry: 'manual',
  exit: 3,
  cause: 'The replication session has {name} = {actual} where {expected} was asked for: values would be misread.',
  remedy: 'Connect to the server itself, not through a pooler or proxy that drops the start-up parameter "options".',
});

export const recoverNoSlot = defineError({
  code: 'SLUICE_PG_RECOVER_NO_SLOT',
  retry: 'manual',
  exit: 3,
  cause: 'No offset can be recovered: slot "{slot}" does not exist.',
  remedy:
    "Make it, changes from before are then not read: SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput'); then sluice offsets recover --connector {connector} --from slot",
});

export const recoverNoTail = defineError({
  code: 'SLUICE_PG_RECOVER_NO_TAIL',
  retry: 'manual',
  exit: 3,
  cause: 'No offset can be recovered from the sink: it does not tell the last transaction of connector {connector}.',
  remedy: 'sluice offsets recover --connector {connector} --from slot',
});

export const newTable = defineError({
  code: 'SLUICE_PG_NEW_TABLE',
  retry: 'manual',
  exit: 3,
  cause: 'Table {table} matches "tables" and is not captured: it has come since, and "newTables" is "report".',
  remedy: 'Name it in "tables", or set "newTables" to "capture", and start connector {connector} again.',
});

export const newTableRefused = defineError({
  code: 'SLUICE_PG_NEW_TABLE_REFUSED',
  retry: 'auto',
  exit: 3,
  cause: 'Table {table} matches "tables" and is not captured yet: the server did not add it to the publication: {detail} (SQLSTATE {sqlstate}).',
  remedy: 'It is tried again. If that does not pass, run as the owner of the table: {sql}',
});
