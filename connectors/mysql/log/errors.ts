/** What can go wrong while the log is read. Listed in the plug-in's manifest. */
import { defineError } from '#plugin';

const REPEAT = 'Nothing was skipped and nothing after this was acknowledged.';

/** The log holds something that its format does not allow, or that this decoder does not know: nothing after it is read (I8). */
export const protocolViolation = defineError({
  code: 'SLUICE_MYSQL_PROTOCOL',
  retry: 'manual',
  exit: 1,
  cause: 'The log cannot be understood: {what} (at {place}).',
  remedy: `${REPEAT} Check that nothing sits between Sluice and the server (a proxy), restart the connector, and report it with the server version if it comes again.`,
});

export const unknownEvent = defineError({
  code: 'SLUICE_MYSQL_EVENT',
  retry: 'manual',
  exit: 1,
  cause: 'The log holds an event of type {type} (at {place}), which is not read.',
  remedy: `${REPEAT} If it holds no changes that matter, go on behind it: sluice offsets set --connector {connector} with the GTIDs up to and with {gtid}.`,
});

export const incident = defineError({
  code: 'SLUICE_MYSQL_INCIDENT',
  retry: 'manual',
  exit: 3,
  cause: 'The server says that changes are missing in its log (an INCIDENT event at {place}).',
  remedy: 'The captured tables must be copied anew: compare them, then begin a new connector.',
});

export const compressedTransaction = defineError({
  code: 'SLUICE_MYSQL_COMPRESSED',
  retry: 'manual',
  exit: 3,
  cause: 'The log holds a compressed transaction (at {place}), which is not read.',
  remedy:
    'Turn compression off for all sessions: SET GLOBAL binlog_transaction_compression = OFF (MariaDB: log_bin_compress). What is compressed already cannot be read.',
});

export const partialRows = defineError({
  code: 'SLUICE_MYSQL_PARTIAL_ROWS',
  retry: 'manual',
  exit: 3,
  cause: 'An event of {table} (at {place}) does not hold whole rows: {why}.',
  remedy:
    "SET GLOBAL binlog_row_image = 'FULL' and, on MySQL, SET GLOBAL binlog_row_value_options = '', and let no session set them otherwise. The table must be copied anew for what is in the log already.",
});

export const metadataMissing = defineError({
  code: 'SLUICE_MYSQL_ROW_METADATA',
  retry: 'manual',
  exit: 3,
  cause: 'The log does not tell the columns of {table} (at {place}): it was written with binlog_row_metadata other than FULL.',
  remedy: "SET GLOBAL binlog_row_metadata = 'FULL'. What was written before cannot be read: begin behind it with a new connector.",
});

export const statementChanges = defineError({
  code: 'SLUICE_MYSQL_STATEMENT',
  retry: 'manual',
  exit: 3,
  cause: 'The log holds a {word} statement in place of the rows that it changed (at {place}): a session set binlog_format.',
  remedy: "SET GLOBAL binlog_format = 'ROW', and take from all accounts the right to set it. The tables that it changed must be copied anew.",
});

export const rolledBackRows = defineError({
  code: 'SLUICE_MYSQL_ROLLED_BACK',
  retry: 'manual',
  exit: 1,
  cause:
    'The log holds changes that were rolled back in part (at {place}), because the transaction changed tables of an engine without transactions too.',
  remedy: 'ALTER TABLE … ENGINE=InnoDB for the tables that it changed. The captured ones must be copied anew.',
});

export const twoPhase = defineError({
  code: 'SLUICE_MYSQL_XA',
  retry: 'manual',
  exit: 1,
  cause: 'The log holds a transaction of two phases (XA PREPARE, at {place}), which is not read.',
  remedy: 'Use no XA transactions on the captured tables.',
});

export const anonymousTransaction = defineError({
  code: 'SLUICE_MYSQL_NO_GTID',
  retry: 'manual',
  exit: 3,
  cause: 'The log holds a transaction without a GTID (at {place}).',
  remedy: 'Turn GTIDs on: gtid_mode = ON and enforce_gtid_consistency = ON.',
});

export const columnRefused = defineError({
  code: 'SLUICE_MYSQL_COLUMN',
  retry: 'manual',
  exit: 1,
  cause: 'Table {table} cannot be captured: {why} (column {column}).',
  remedy: 'Change the column (ALTER TABLE … FORCE rewrites old storage forms), or leave the table out of "tables".',
});

export const valueRefused = defineError({
  code: 'SLUICE_MYSQL_VALUE',
  retry: 'manual',
  exit: 1,
  cause: 'A value of {table} (at {place}) has no exact form: column {column}: {why}.',
  remedy: 'Mend the value, or leave the table out of "tables"; the change is in the log already.',
});

export const charsetUnknown = defineError({
  code: 'SLUICE_MYSQL_CHARSET',
  retry: 'manual',
  exit: 3,
  cause: 'Text of {table} is in a character set that cannot be read: {why}.',
  remedy: 'Convert the table: ALTER TABLE … CONVERT TO CHARACTER SET utf8mb4, or leave it out of "tables".',
});

export const serverSilent = defineError({
  code: 'SLUICE_MYSQL_SILENT',
  retry: 'auto',
  exit: 3,
  cause: 'The server has sent nothing for {seconds} s, not even the heartbeats that it was asked for: the connection is taken for dead.',
  remedy: 'Sluice connects again by itself. If this repeats, check the network between Sluice and the server, and whether the server is overloaded.',
});

export const serverIdTaken = defineError({
  code: 'SLUICE_MYSQL_SERVER_ID',
  retry: 'manual',
  exit: 3,
  cause: 'Another reader of the log has taken the server id {serverId} of this connector: {detail}.',
  remedy: 'Give each connector, and each replica, a server id of its own ("serverId").',
});

export const logPurged = defineError({
  code: 'SLUICE_MYSQL_PURGED',
  retry: 'manual',
  exit: 3,
  cause: 'The server no longer has the part of its log that connector {connector} must read next: {detail}.',
  remedy:
    'The changes in it are lost for this connector. Set "snapshot": {"mode": "when_needed"} to begin the log anew and copy all tables once more, or begin a new connector; and keep the log longer (binlog_expire_logs_seconds).',
  positionLost: true,
});

export const otherHistory = defineError({
  code: 'SLUICE_MYSQL_OTHER_HISTORY',
  retry: 'manual',
  exit: 3,
  cause:
    'Connector {connector} has read transactions that this server does not have ({missing}): it is another server, a replica that lost some, or its log was reset.',
  remedy: 'Point the connector at the server that it was, or begin a new one: what was read and what is there have parted.',
});
