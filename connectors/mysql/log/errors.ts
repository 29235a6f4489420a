/** What can go wrong while the log is read. Listed in the plug-in's manifest. */
import { defineError } from '#plugin';

const REPEAT = 'Nothing was skipped and nothing after this was acknowledged.';
/** What is in the log stays there: this is how a connector gets past it. `beyond` is the position behind the transaction. */
const PASS_OVER =
  'What is in the log already cannot be read: go on behind this transaction (sluice offsets set --connector {connector} --position {beyond}), start the connector and copy the captured tables that it changed once more (sluice snapshot start --connector {connector} --table …), which does not tell of rows that it deleted; or begin anew under another name, which copies all tables.';

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
  remedy: `${REPEAT} If it holds no changes that matter, go on behind it: sluice offsets set --connector {connector} --position {beyond}.`,
});

export const incident = defineError({
  code: 'SLUICE_MYSQL_INCIDENT',
  retry: 'manual',
  exit: 3,
  cause: 'The server says that changes are missing in its log (an INCIDENT event at {place}).',
  remedy: 'The captured tables must be copied anew: begin anew under another name.',
});

export const compressedTransaction = defineError({
  code: 'SLUICE_MYSQL_COMPRESSED',
  retry: 'manual',
  exit: 3,
  cause: 'The log holds a compressed transaction (at {place}), which is not read.',
  remedy: `Turn compression off for all sessions: SET GLOBAL binlog_transaction_compression = OFF (MariaDB: log_bin_compress). ${PASS_OVER}`,
});

export const partialRows = defineError({
  code: 'SLUICE_MYSQL_PARTIAL_ROWS',
  retry: 'manual',
  exit: 3,
  cause: 'An event of {table} (at {place}) does not hold whole rows: {why}.',
  remedy: `SET GLOBAL binlog_row_image = 'FULL' and, on MySQL, SET GLOBAL binlog_row_value_options = '', and let no session set them otherwise. ${PASS_OVER}`,
});

export const metadataMissing = defineError({
  code: 'SLUICE_MYSQL_ROW_METADATA',
  retry: 'manual',
  exit: 3,
  cause: 'The log does not tell the columns of {table} (at {place}): it was written with binlog_row_metadata other than FULL.',
  remedy: `SET GLOBAL binlog_row_metadata = 'FULL', and let no session set it otherwise. ${PASS_OVER}`,
});

export const statementChanges = defineError({
  code: 'SLUICE_MYSQL_STATEMENT',
  retry: 'manual',
  exit: 3,
  cause: 'The log holds a {word} statement in place of the rows that it changed (at {place}): a session set binlog_format.',
  remedy: `SET GLOBAL binlog_format = 'ROW', and take from all accounts the right to set it. ${PASS_OVER}`,
});

export const rolledBackRows = defineError({
  code: 'SLUICE_MYSQL_ROLLED_BACK',
  retry: 'manual',
  exit: 1,
  cause:
    'The log holds changes that were rolled back in part (at {place}), because the transaction changed tables of an engine without transactions too.',
  remedy: `ALTER TABLE … ENGINE=InnoDB for the tables that it changed. ${PASS_OVER}`,
});

export const twoPhase = defineError({
  code: 'SLUICE_MYSQL_XA',
  retry: 'manual',
  exit: 1,
  cause: 'The log holds a transaction of two phases (XA PREPARE, at {place}), which is not read.',
  remedy: `Use no XA transactions on this server. ${PASS_OVER}`,
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

// What the server and its log must be for going on

export const otherHistory = defineError({
  code: 'SLUICE_MYSQL_OTHER_HISTORY',
  retry: 'manual',
  exit: 3,
  cause:
    'Connector {connector} has read transactions that this server does not have ({missing}): it is another server, a replica that lost some, or its log was reset.',
  remedy:
    'What was read and what is there have parted. Point the connector at the server that it was; or go on here from a place of your choice (sluice offsets set --connector {connector} --position …), which may lose or repeat changes; or begin anew under another name, which copies the tables.',
});

export const errantTransactions = defineError({
  code: 'SLUICE_MYSQL_ERRANT',
  retry: 'manual',
  exit: 3,
  cause:
    'This server is not the one that connector {connector} has read, and its log has transactions of its own before others that were read there ({behind}): told now, they would undo what came behind them.',
  remedy:
    'Find them (on this server GTID_SUBTRACT(@@gtid_executed, …) with the set of the server that it replaces; mysqlbinlog --include-gtids). Pass over them: sluice offsets set --connector {connector} --position <the set that was read, and theirs>; or begin anew under another name, which copies the tables. And let replicas be super_read_only.',
});

export const commitPending = defineError({
  code: 'SLUICE_MYSQL_COMMIT_PENDING',
  retry: 'auto',
  exit: 3,
  cause: 'What connector {connector} has read stands in the log of the server, which has not committed all of it yet ({missing}).',
  remedy: 'Nothing to do: it is tried again. If this lasts, the server waits for a replica to confirm (semi-synchronous replication).',
});

export const withoutGtids = defineError({
  code: 'SLUICE_MYSQL_NO_GTID',
  retry: 'auto',
  exit: 3,
  cause: 'The log goes on with transactions without GTIDs: {detail}.',
  remedy: 'Nothing to do: from here on it is read by file and position, on this server alone. For failovers turn GTIDs on again (gtid_mode = ON).',
});

export const gtidModeHides = defineError({
  code: 'SLUICE_MYSQL_GTID_MODE',
  retry: 'manual',
  exit: 3,
  cause: 'The server does not send what comes next in its log, which was written under another gtid_mode: {detail}.',
  remedy:
    'Step gtid_mode back to ON_PERMISSIVE (from ON) or to OFF_PERMISSIVE (from OFF), start connector {connector} and let it read up to where the mode was changed; then step it on.',
});

export const gtidsOff = defineError({
  code: 'SLUICE_MYSQL_GTIDS_OFF',
  retry: 'manual',
  exit: 3,
  cause: 'Connector {connector} knows by GTIDs alone where it must go on, and the log of the server has none there: {detail}.',
  remedy:
    'Turn GTIDs on again (gtid_mode = ON); or go on from a place that is known to be right: sluice offsets set --connector {connector} --position <file>:<position>; or begin anew under another name, which copies the tables.',
});

export const placeElsewhere = defineError({
  code: 'SLUICE_MYSQL_PLACE_SERVER',
  retry: 'manual',
  exit: 3,
  cause:
    'Connector {connector} has read the log of server {expected} up to {file}:{pos}, and this is server {actual}: without GTIDs a place in the log of one server means nothing in that of another.',
  remedy:
    'Point the connector at the server that it was; or find the place here (sluice offsets set --connector {connector} --position <file>:<position>), which may lose or repeat changes; or begin anew under another name, which copies the tables. With gtid_mode = ON a connector goes on at any replica.',
});

export const placeRefused = defineError({
  code: 'SLUICE_MYSQL_PLACE',
  retry: 'manual',
  exit: 3,
  cause: 'The server does not send its log from where connector {connector} must go on: {detail}.',
  remedy:
    'If the log was reset or damaged, go on from a place of your choice (sluice offsets set --connector {connector} --position …), which may lose or repeat changes, or begin anew under another name, which copies the tables. A position that was set by hand must be where a transaction ends.',
});
