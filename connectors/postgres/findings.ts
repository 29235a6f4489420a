/** What preflight finds beside errors. Listed in the plug-in's manifest. */
import { defineFinding } from '#plugin';

// The server

export const minorVersion = defineFinding({
  code: 'SLUICE_PG_MINOR_VERSION',
  severity: 'warning',
  cause: 'PostgreSQL {version} can lose changes in logical decoding when a publication or type is altered beside running writes.',
  why: 'Nothing tells of it, neither the server nor the log: rows are missing in the output (release notes of 2025-05-08).',
  remedy: 'Upgrade to {fixed} or later.',
});

export const minorMemory = defineFinding({
  code: 'SLUICE_PG_MINOR_MEMORY',
  severity: 'info',
  cause: 'PostgreSQL {version} keeps the catalogue changes of all transactions in the memory of each walsender, several times over.',
  why: 'With much DDL, or many temporary tables, decoding ends with "invalid memory alloc request size" (release notes of 2025-08-14).',
  remedy: 'Upgrade to {fixed} or later.',
});

export const walSenderTimeoutOff = defineFinding({
  code: 'SLUICE_PG_WALSENDER_TIMEOUT',
  severity: 'info',
  cause: 'The setting wal_sender_timeout is 0.',
  why: 'The server never notices a dead client, and a fast shutdown waits for it without limit.',
  remedy: "ALTER SYSTEM SET wal_sender_timeout = '60s'; SELECT pg_reload_conf();",
});

export const walSenderTimeoutShort = defineFinding({
  code: 'SLUICE_PG_WALSENDER_TIMEOUT_SHORT',
  severity: 'warning',
  cause: 'The setting wal_sender_timeout is {milliseconds} ms.',
  why: 'A pause of the network, or of this machine, of that length ends the stream, and the server decodes from the last acknowledged transaction again.',
  remedy: "ALTER SYSTEM SET wal_sender_timeout = '60s'; SELECT pg_reload_conf();",
});

export const transactionTimeout = defineFinding({
  code: 'SLUICE_PG_TRANSACTION_TIMEOUT',
  severity: 'warning',
  cause: 'The setting transaction_timeout ends every transaction of role "{user}" after {milliseconds} ms.',
  why: 'Copies of tables are long transactions: what is not copied by then is begun again, and a large table is never done.',
  remedy: 'ALTER ROLE "{user}" SET transaction_timeout = 0;',
});

export const spills = defineFinding({
  code: 'SLUICE_PG_SPILLS',
  severity: 'info',
  cause: 'Decoding for slot "{slot}" has written {bytes} of transactions to the disk of the server, as logical_decoding_work_mem is {limit}.',
  why: 'A transaction that does not fit into memory is written to files and read again: it comes later, and the disk is used twice.',
  remedy: "ALTER SYSTEM SET logical_decoding_work_mem = '256MB'; SELECT pg_reload_conf();",
});

export const clockSkew = defineFinding({
  code: 'SLUICE_PG_CLOCK',
  severity: 'warning',
  cause: 'The clocks of the server and of this machine are {seconds} s apart (the server is {direction}).',
  why: 'Lag in seconds and the time that stands in each message are wrong by that much; certificates and tokens may be refused.',
  remedy: 'On the machine whose clock is wrong: timedatectl set-ntp true',
});

export const noHeartbeat = defineFinding({
  code: 'SLUICE_PG_NO_HEARTBEAT',
  severity: 'warning',
  cause: 'Heartbeats are off.',
  why: 'While the captured tables are idle in a busy database the server keeps more and more of its log.',
  remedy: 'Set "heartbeat": {"enabled": true}.',
});

// The connection

export const notEncrypted = defineFinding({
  code: 'SLUICE_PG_NOT_ENCRYPTED',
  severity: 'warning',
  cause: 'The connection to {address} is not encrypted (tls.mode {mode}).',
  why: 'Whoever is on the way reads every captured row, and can change what comes.',
  remedy: 'Set "tls": {"mode": "verify-full", "ca": "/etc/sluice/ca.pem"} (and on the server ssl = on).',
});

export const notVerified = defineFinding({
  code: 'SLUICE_PG_NOT_VERIFIED',
  severity: 'warning',
  cause: 'The connection to {address} is encrypted, but {what} is not checked (tls.mode {mode}).',
  why: 'Whoever answers in the place of the server is taken for it.',
  remedy: 'Set "tls": {"mode": "verify-full", "ca": "/etc/sluice/ca.pem"}.',
});

// The role

export const superuser = defineFinding({
  code: 'SLUICE_PG_SUPERUSER',
  severity: 'info',
  cause: 'Role "{user}" is a superuser, which is more than is needed.',
  why: 'Whoever gets hold of its password, or of this machine, may do everything on the server.',
  remedy: 'ALTER ROLE "{user}" NOSUPERUSER REPLICATION (or, where others use the role, one of its own: CREATE ROLE sluice LOGIN REPLICATION)',
});

export const excessRights = defineFinding({
  code: 'SLUICE_PG_EXCESS_RIGHTS',
  severity: 'info',
  cause: 'Role "{user}" may do more than is needed: {rights}.',
  why: 'To read the log it needs LOGIN, REPLICATION and, for copies, SELECT on the captured tables. The rest only serves whoever gets hold of its password.',
  remedy: '{sql}',
});

export const copyDenied = defineFinding({
  code: 'SLUICE_PG_COPY_DENIED',
  severity: 'warning',
  cause: 'Role "{user}" may not read {tables}.',
  why: 'Changes come all the same, but the rows that are there already cannot be copied.',
  remedy: '{sql}',
});

export const rowSecurity = defineFinding({
  code: 'SLUICE_PG_ROW_SECURITY',
  severity: 'info',
  cause: 'Row-level security holds for this role on {table}; the log carries all of its rows nevertheless.',
  why: 'What policies hide from the role stands in the output.',
  remedy: 'Leave rows out by a row filter of the publication (15+), if that is what is wanted.',
});

export const copyRowSecurity = defineFinding({
  code: 'SLUICE_PG_COPY_ROW_SECURITY',
  severity: 'warning',
  cause: 'Row-level security holds for role "{user}" on {table}: its rows are not copied.',
  why: 'A copy would lack the rows that policies hide, so the session asks for an error in their place (row_security = off).',
  remedy: 'ALTER ROLE "{user}" BYPASSRLS (or set "snapshot": {"mode": "no_data"})',
});

export const standbyLagUnseen = defineFinding({
  code: 'SLUICE_PG_STANDBY_LAG_UNSEEN',
  severity: 'warning',
  cause: 'Role "{user}" may not see how far standbys are.',
  why: '"snapshot.maxStandbyLag" holds nothing back.',
  remedy: 'GRANT pg_monitor TO "{user}"',
});

// Slots

export const slotUnreserved = defineFinding({
  code: 'SLUICE_PG_SLOT_UNRESERVED',
  severity: 'warning',
  cause: 'Slot "{slot}" is about to be invalidated: it needs log that the server may remove at its next checkpoint.',
  why: 'Then what was not read is lost, and all tables must be copied anew.',
  remedy: "ALTER SYSTEM SET max_slot_wal_keep_size = '{megabytes}MB'; SELECT pg_reload_conf();",
});

export const slotNearLimit = defineFinding({
  code: 'SLUICE_PG_SLOT_NEAR_LIMIT',
  severity: 'warning',
  cause: 'The server keeps {retained} of log for slot "{slot}", and {safe} more make it lost (max_slot_wal_keep_size).',
  why: 'Then what was not read is lost, and all tables must be copied anew.',
  remedy: "Let the connector catch up; or ALTER SYSTEM SET max_slot_wal_keep_size = '{megabytes}MB'; SELECT pg_reload_conf();",
});

export const slotNoFailover = defineFinding({
  code: 'SLUICE_PG_SLOT_NO_FAILOVER',
  severity: 'warning',
  cause: 'Slot "{slot}" does not move to a standby at a failover, though this server is set up for it (synchronized_standby_slots).',
  why: 'After a failover the slot is missing, and what was not read is lost.',
  remedy: 'While the connector is stopped, on a connection with replication=database: ALTER_REPLICATION_SLOT {slot} (FAILOVER true)',
});

export const idleTimeout = defineFinding({
  code: 'SLUICE_PG_IDLE_TIMEOUT',
  severity: 'warning',
  cause: 'The setting idle_replication_slot_timeout invalidates a slot that nobody has read for {seconds} s.',
  why: 'If Sluice is down for that long what was not read is lost, and all tables must be copied anew.',
  remedy: 'ALTER SYSTEM SET idle_replication_slot_timeout = 0; SELECT pg_reload_conf();',
});

export const otherSlot = defineFinding({
  code: 'SLUICE_PG_OTHER_SLOT',
  severity: 'info',
  cause: 'Slot "{slot}", which nobody reads, makes the server keep {retained} of log.',
  why: 'The log fills the disk of the server, and then everything on it stands still. It is a warning from 1 GiB on.',
  remedy: "If nobody needs it: SELECT pg_drop_replication_slot('{slot}');",
});

export const walUnlimited = defineFinding({
  code: 'SLUICE_PG_UNLIMITED_WAL',
  severity: 'info',
  cause: 'The setting max_slot_wal_keep_size is not limited.',
  why: 'While Sluice is down the server keeps all of its log, until its disk is full.',
  remedy:
    "Watch the metric sluice_retained_log_bytes; or set a limit, past which the slot is lost: ALTER SYSTEM SET max_slot_wal_keep_size = '64GB'; SELECT pg_reload_conf();",
});

export const walLimited = defineFinding({
  code: 'SLUICE_PG_LIMITED_WAL',
  severity: 'info',
  cause: 'The setting max_slot_wal_keep_size is {megabytes} MB.',
  why: 'A slot that falls further behind is lost.',
  remedy: "If Sluice may be down for longer: ALTER SYSTEM SET max_slot_wal_keep_size = '{more}MB'; SELECT pg_reload_conf();",
});

// Publication and tables

export const publicationLimited = defineFinding({
  code: 'SLUICE_PG_PUBLICATION_LIMITED',
  severity: 'warning',
  cause: 'Publication "{publication}" {limit}.',
  why: 'What it leaves out is not captured.',
  remedy: '{remedy}',
});

export const updatesRefused = defineFinding({
  code: 'SLUICE_PG_UPDATES_REFUSED',
  severity: 'warning',
  cause: 'The server refuses updates and deletes of {table}: it has no replica identity and publication "{publication}" publishes them.',
  why: 'Applications that write to the table get errors.',
  remedy: '{sql};',
});

export const publicationWider = defineFinding({
  code: 'SLUICE_PG_PUBLICATION_WIDER',
  severity: 'info',
  cause: 'Publication "{publication}" also holds {count} table(s) that "tables" does not name.',
  why: 'The server sends their changes, here they are dropped.',
  remedy: '{remedy}',
});

export const patternMatchesNothing = defineFinding({
  code: 'SLUICE_PG_PATTERN_MATCHES_NOTHING',
  severity: 'warning',
  cause: 'Pattern "{pattern}"{of} matches no {what}.',
  why: 'It is without effect: mostly it is misspelt, and a table is missing in the output.',
  remedy: 'Correct {where}, or leave it for tables to come.',
});

export const tableSkipped = defineFinding({
  code: 'SLUICE_PG_TABLE_SKIPPED',
  severity: 'info',
  cause: 'Table {table} is left out: it is {kind}.',
  why: 'It has no changes in the log.',
  remedy: '{remedy}',
});

export const insertsOnly = defineFinding({
  code: 'SLUICE_PG_INSERT_ONLY',
  severity: 'warning',
  cause: 'Table {table} has no replica identity: only its inserts and truncates are captured, as "insertOnly" says.',
  why: 'Rows that are updated or deleted in it stay in the output as they were.',
  remedy: 'ALTER TABLE {sql} REPLICA IDENTITY FULL, or give it a primary key, to capture updates and deletes.',
});

export const partitionedWhole = defineFinding({
  code: 'SLUICE_PG_PARTITIONED',
  severity: 'info',
  cause: 'Table {table} is captured as a whole.',
  why: 'Truncating, detaching or dropping a single partition makes no change in the log.',
  remedy: 'DELETE before, where those rows are to disappear downstream.',
});
