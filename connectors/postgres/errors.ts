import { defineError } from '#plugin';

// Reaching the server

export const unreachable = defineError({
  code: 'SLUICE_PG_UNREACHABLE',
  retry: 'auto',
  exit: 3,
  cause: 'Postgres at {address} cannot be reached: {detail}.',
  remedy: 'Check the host and port in "url", that the server runs and that the network lets this machine through; it is tried again.',
});

export const connectionLost = defineError({
  code: 'SLUICE_PG_CONNECTION_LOST',
  retry: 'auto',
  exit: 3,
  cause: 'The connection to Postgres at {address} was lost: {detail}.',
  remedy: 'Nothing to do if the server was restarted; it is tried again.',
});

export const tooManyConnections = defineError({
  code: 'SLUICE_PG_TOO_MANY_CONNECTIONS',
  retry: 'auto',
  exit: 3,
  cause: 'Postgres at {address} takes no more connections: {detail}.',
  remedy: 'Raise max_connections (or the role\'s limit: ALTER ROLE "{user}" CONNECTION LIMIT -1), or close idle connections; it is tried again.',
});

export const authentication = defineError({
  code: 'SLUICE_PG_AUTHENTICATION',
  refusesCredentials: true,
  retry: 'manual',
  exit: 2,
  cause: 'Postgres at {address} did not accept user "{user}" with this password: {detail}.',
  remedy: 'Check "password" and the user in "url"; set a new one with: ALTER ROLE "{user}" PASSWORD \'…\'',
});

export const passwordMissing = defineError({
  code: 'SLUICE_PG_PASSWORD_MISSING',
  retry: 'never',
  exit: 2,
  cause: 'Postgres at {address} asks for a password of user "{user}", and none is configured.',
  remedy: 'Set "password" to "${env:NAME}" or "${file:/path}".',
});

export const weakAuthentication = defineError({
  code: 'SLUICE_PG_WEAK_AUTHENTICATION',
  retry: 'never',
  exit: 2,
  cause: 'Postgres at {address} asks for the password {how} over a connection whose other end was not verified; it was not sent.',
  remedy:
    'Set "tls": {"mode": "verify-full", "ca": "…"}, or let the server use SCRAM: SET password_encryption = \'scram-sha-256\', set the password of "{user}" again, and write scram-sha-256 in pg_hba.conf.',
});

export const notAdmitted = defineError({
  code: 'SLUICE_PG_NOT_ADMITTED',
  retry: 'manual',
  exit: 3,
  cause: 'Postgres at {address} does not admit user "{user}" to database "{database}": {detail}.',
  remedy:
    'Add a line for this user, database and machine to pg_hba.conf and run: SELECT pg_reload_conf(); where the server asks for encryption, set "tls": {"mode": "verify-full"}; where the role does not exist: CREATE ROLE "{user}" LOGIN REPLICATION PASSWORD \'…\'',
});

export const databaseMissing = defineError({
  code: 'SLUICE_PG_DATABASE_MISSING',
  retry: 'manual',
  exit: 2,
  cause: 'There is no database "{database}" on Postgres at {address}.',
  remedy: 'Correct the database in "url"; psql -l shows the names.',
});

export const tlsFailed = defineError({
  code: 'SLUICE_PG_TLS',
  retry: 'manual',
  exit: 2,
  cause: 'The certificate of Postgres at {address} was not accepted in TLS mode {mode}: {detail}.',
  remedy:
    'Set "tls.ca" to the PEM file of the authority that signed the server\'s certificate; where the certificate is for another name, connect by that name or set "tls.serverName".',
});

export const tlsRefused = defineError({
  code: 'SLUICE_PG_TLS_REFUSED',
  retry: 'manual',
  exit: 3,
  cause: 'Postgres at {address} does not offer TLS, and TLS mode {mode} asks for it.',
  remedy: 'Turn it on at the server (ssl = on, ssl_cert_file, ssl_key_file); or, where the network is trusted, spell out "tls": {"mode": "disable"}.',
});

export const tlsFile = defineError({
  code: 'SLUICE_PG_TLS_FILE',
  retry: 'never',
  exit: 2,
  cause: 'The file "{path}" of "tls.{option}" {detail}.',
  remedy: 'Correct the path; the file must be PEM and readable by the user that runs Sluice.',
});

export const pooler = defineError({
  code: 'SLUICE_PG_POOLER',
  retry: 'never',
  exit: 2,
  cause: 'A connection pooler answers at {address}: {detail}.',
  remedy: 'Connect to Postgres itself in "url": replication and session settings do not pass through a pooler.',
});

export const queryFailed = defineError({
  code: 'SLUICE_PG_QUERY_FAILED',
  retry: 'manual',
  exit: 1,
  cause: 'Postgres at {address} answered {context} with an error ({sqlstate}): {detail}.',
  remedy: "Look up the SQLSTATE in the manual, appendix A, and the server's log at this time.",
});

export const queryInterrupted = defineError({
  code: 'SLUICE_PG_QUERY_INTERRUPTED',
  retry: 'auto',
  exit: 1,
  cause: 'Postgres at {address} could not finish {context} ({sqlstate}): {detail}.',
  remedy: 'Nothing to do if it passes; it is tried again.',
});

// What the server must be and allow

export const versionTooOld = defineError({
  code: 'SLUICE_PG_VERSION',
  retry: 'never',
  exit: 3,
  cause: 'Postgres at {address} is version {version}; 14 is the oldest that is supported.',
  remedy: 'Upgrade the server.',
});

export const walLevel = defineError({
  code: 'SLUICE_PG_WAL_LEVEL',
  retry: 'manual',
  exit: 3,
  cause: 'The wal_level of Postgres at {address} is {value}, not logical.',
  remedy:
    "ALTER SYSTEM SET wal_level = 'logical'; then restart the server (on RDS and Aurora: rds.logical_replication = 1; on Cloud SQL: cloudsql.logical_decoding = on).",
});

export const noReplicationRight = defineError({
  code: 'SLUICE_PG_NO_REPLICATION_RIGHT',
  retry: 'manual',
  exit: 3,
  cause: 'User "{user}" may not replicate from Postgres at {address}: {detail}.',
  remedy: 'ALTER ROLE "{user}" REPLICATION; (on RDS and Aurora: GRANT rds_replication TO "{user}";)',
});

export const noWalSender = defineError({
  code: 'SLUICE_PG_NO_WALSENDER',
  retry: 'auto',
  exit: 3,
  cause: 'Postgres at {address} has no walsender left (max_wal_senders = {limit}): {detail}.',
  remedy:
    'See who uses them: SELECT pid, application_name FROM pg_stat_replication; raise: ALTER SYSTEM SET max_wal_senders = …; and restart the server; it is tried again.',
});

export const noFreeSlot = defineError({
  code: 'SLUICE_PG_NO_FREE_SLOT',
  retry: 'manual',
  exit: 3,
  cause: 'Postgres at {address} has no free replication slot (max_replication_slots = {limit}).',
  remedy:
    "See what stands there: SELECT slot_name, active FROM pg_replication_slots; drop what nobody uses: SELECT pg_drop_replication_slot('…'); or ALTER SYSTEM SET max_replication_slots = … and restart the server.",
});

export const standbyTooOld = defineError({
  code: 'SLUICE_PG_STANDBY',
  retry: 'manual',
  exit: 3,
  cause: 'Postgres at {address} is a standby of version {version}; a standby can be read from version 16 on.',
  remedy: 'Name the primary in "url".',
});

// Publication and tables

export const noTables = defineError({
  code: 'SLUICE_PG_NO_TABLES',
  retry: 'manual',
  exit: 2,
  cause: 'None of the patterns in "tables" matches a table of database "{database}".',
  remedy: 'Correct "tables"; what there is: SELECT schemaname || \'.\' || tablename FROM pg_tables',
});

export const tableMissing = defineError({
  code: 'SLUICE_PG_TABLE_MISSING',
  retry: 'manual',
  exit: 2,
  cause: 'There is no table {table} in database "{database}"{hint}.',
  remedy: 'Correct or remove "{table}" in "tables"; names are case-sensitive.',
});

export const tableKind = defineError({
  code: 'SLUICE_PG_TABLE_KIND',
  retry: 'manual',
  exit: 2,
  cause: 'Table {table} is {kind}: it has no changes in the log.',
  remedy: 'Remove it from "tables"{hint}',
});

export const noReplicaIdentity = defineError({
  code: 'SLUICE_PG_NO_REPLICA_IDENTITY',
  retry: 'manual',
  exit: 3,
  cause: 'Table {table} has no replica identity ({detail}): once its updates and deletes are published, Postgres refuses them.',
  remedy:
    'ALTER TABLE {sql} ADD PRIMARY KEY (…); or ALTER TABLE {sql} REPLICA IDENTITY FULL; or, if it is only ever inserted into, name it in the connector file: "insertOnly": ["{table}"].',
});

export const moneyDigits = defineError({
  code: 'SLUICE_PG_MONEY',
  retry: 'manual',
  exit: 3,
  cause:
    'Column {column} of table {table} has type money, which this database keeps with {digits} digits after the point (lc_monetary = {locale}); the log does not tell that, and its amounts would be read with 2.',
  remedy:
    'Leave the table out of "tables", or give the column a type that means the same everywhere, before changes of it are captured: ALTER TABLE {sqlTable} ALTER COLUMN {sqlColumn} TYPE numeric',
});

export const publicationRight = defineError({
  code: 'SLUICE_PG_PUBLICATION_RIGHT',
  retry: 'manual',
  exit: 3,
  cause: 'User "{user}" may not {what} ({detail}).',
  remedy: 'As the owner of the tables, run: {sql}',
});

export const publicationBusy = defineError({
  code: 'SLUICE_PG_PUBLICATION_BUSY',
  retry: 'auto',
  exit: 3,
  cause:
    'The publication is not changed yet: a transaction is writing to a table that it is to take in or let go, for longer than a second. While one does, the log would be read differently after a crash.',
  remedy:
    'It is tried again. If that does not pass: end the transaction (pg_stat_activity tells the oldest), or run in a quiet moment: BEGIN; {sql}; COMMIT;',
});

export const publicationAfterSlot = defineError({
  code: 'SLUICE_PG_PUBLICATION_AFTER_SLOT',
  retry: 'manual',
  exit: 3,
  cause:
    'Publication "{publication}" does not exist at the position of slot "{slot}": it was dropped, or made later than the slot. The log cannot be decoded from there.',
  remedy:
    "If the output may begin anew, let both be made again in the right order: SELECT pg_drop_replication_slot('{slot}'); {sql} SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput'); then sluice offsets recover --connector {connector} --from slot",
});

export const publicationOperations = defineError({
  code: 'SLUICE_PG_PUBLICATION_OPERATIONS',
  retry: 'manual',
  exit: 3,
  cause: 'Publication "{publication}" does not publish {operations}: those changes would be lost.',
  remedy: 'Run: {sql}',
});

export const tableUnpublished = defineError({
  code: 'SLUICE_PG_TABLE_UNPUBLISHED',
  retry: 'manual',
  exit: 3,
  cause: 'Table {table} {detail} publication "{publication}": what was changed in it meanwhile was not sent and cannot be read any more.',
  remedy:
    'To capture it again from now on, the gap unread: {sql}sluice offsets recover --connector {connector} --from slot; to do without it, take it out of "tables" or "snapshot.signalTable".',
});

export const publicationByRoot = defineError({
  code: 'SLUICE_PG_PUBLICATION_BY_ROOT',
  retry: 'manual',
  exit: 3,
  cause: 'Publication "{publication}" publishes {table} as part of {root} (publish_via_partition_root), which "tables" does not name.',
  remedy: 'Name "{root}" in "tables", or run: ALTER PUBLICATION {sql} SET (publish_via_partition_root = false);',
});

export const publicationByPartition = defineError({
  code: 'SLUICE_PG_PUBLICATION_BY_PARTITION',
  retry: 'manual',
  exit: 3,
  cause: 'Publication "{publication}" publishes the partitions of {table} under their own names, but "tables" names the partitioned table.',
  remedy: 'ALTER PUBLICATION {sql} SET (publish_via_partition_root = true); or name the partitions in "tables".',
});

// The slot

export const slotUnusable = defineError({
  code: 'SLUICE_PG_SLOT_UNUSABLE',
  retry: 'manual',
  exit: 3,
  cause: 'Slot "{slot}" exists but cannot be used: {detail}.',
  remedy: 'Choose another name in "slot", or, if nobody needs it: SELECT pg_drop_replication_slot(\'{slot}\')',
});

export const slotInUse = defineError({
  code: 'SLUICE_PG_SLOT_IN_USE',
  retry: 'auto',
  exit: 3,
  cause: 'Slot "{slot}" is in use by another client: {holder}.',
  remedy:
    'Stop that client, or end its session: SELECT pg_terminate_backend({pid}); a slot serves one connector only: choose another name in "slot" for a second one; it is tried again.',
});

export const slotAwaitsPromotion = defineError({
  code: 'SLUICE_PG_SLOT_STANDBY_COPY',
  retry: 'auto',
  exit: 3,
  cause: 'Slot "{slot}" on {address} is a copy that this standby keeps of a slot of the primary: it can be read once the standby is promoted.',
  remedy: 'Promote the standby (SELECT pg_promote()), or name the primary in "url"; it is tried again.',
});

export const slotLost = defineError({
  code: 'SLUICE_PG_SLOT_LOST',
  retry: 'manual',
  exit: 3,
  cause: 'The server has invalidated slot "{slot}" ({detail}): changes after {position} are gone from its log.',
  remedy:
    'Make it anew and go on from now, the gap unread: SELECT pg_drop_replication_slot(\'{slot}\'); SELECT pg_create_logical_replication_slot(\'{slot}\', \'pgoutput\'); then sluice offsets recover --connector {connector} --from slot; raise max_slot_wal_keep_size before. Or set "snapshot": {"mode": "when_needed"}: then the slot is made anew and all tables are copied anew by themselves.',
  positionLost: true,
});

export const slotMissing = defineError({
  code: 'SLUICE_PG_SLOT_MISSING',
  retry: 'manual',
  exit: 3,
  cause:
    'Slot "{slot}" does not exist, but the connector has read up to {position}: it was dropped, or the server failed over without it; changes after that position may be lost.',
  remedy:
    'Make it anew and go on from now, the gap unread: SELECT pg_create_logical_replication_slot(\'{slot}\', \'pgoutput\'); then sluice offsets recover --connector {connector} --from slot. Or set "snapshot": {"mode": "when_needed"}: then that is done, and all tables are copied anew, by themselves.',
  positionLost: true,
});

export const slotAhead = defineError({
  code: 'SLUICE_PG_SLOT_AHEAD',
  retry: 'manual',
  exit: 3,
  cause:
    'Slot "{slot}" stands at {slotPosition}, past the stored offset {position}: it was made anew or moved on by another client; what lies between will never be sent.',
  remedy:
    'Find out who moved it; to go on from the slot, the gap unread: sluice offsets recover --connector {connector} --from slot; or set "snapshot": {"mode": "when_needed"}: then all tables are copied anew from there.',
  positionLost: true,
});

export const offsetAhead = defineError({
  code: 'SLUICE_PG_OFFSET_AHEAD',
  retry: 'manual',
  exit: 3,
  cause: 'What was read before reaches {position}, but the log of the server ends at {end}: the server was set back to an earlier state.',
  remedy:
    'Point "url" at the right server; if it was restored on purpose, the output holds changes that the server no longer has: sluice offsets recover --connector {connector} --from slot goes on from the slot.',
});

export const otherSystem = defineError({
  code: 'SLUICE_PG_OTHER_SYSTEM',
  retry: 'manual',
  exit: 3,
  cause: 'Postgres at {address} has the system identifier {actual}, the connector has read from {expected}: it is another server.',
  remedy:
    'Point "url" at the server of before; if the new one takes its place, to go on from its slot: sluice offsets recover --connector {connector} --from slot',
});

export const timelineDiverged = defineError({
  code: 'SLUICE_PG_TIMELINE',
  retry: 'manual',
  exit: 3,
  cause: 'The server is on timeline {actual}, the connector has read timeline {expected} up to {position}: {detail}.',
  remedy:
    'Compare the tables with the output: commits that the failover lost stand in the output, and others may be missing from it; then sluice offsets recover --connector {connector} --from slot goes on from the slot.',
});

export const offsetMissing = defineError({
  code: 'SLUICE_PG_OFFSET_MISSING',
  retry: 'manual',
  exit: 3,
  cause: 'There is no stored offset, but the sink already holds output of this connector: its state was lost.',
  remedy: 'sluice offsets recover --connector {connector} --from sink (or --from slot){hint}',
});

export const positionInvalid = defineError({
  code: 'SLUICE_PG_POSITION',
  retry: 'never',
  exit: 2,
  cause: '"{text}" is no position in the log of Postgres.',
  remedy: 'Write an LSN such as 0/16B3748; SELECT pg_current_wal_lsn() shows one.',
});

export const positionUnknownServer = defineError({
  code: 'SLUICE_PG_POSITION_SERVER',
  retry: 'never',
  exit: 3,
  cause: 'Nothing is stored yet that {text} could be a position of: an LSN alone does not tell the server and its timeline.',
  remedy: 'sluice offsets recover --connector <name> --from slot reads both from the server; sluice offsets set then moves the position.',
});

export const storedPositionInvalid = defineError({
  code: 'SLUICE_PG_POSITION_INVALID',
  retry: 'manual',
  exit: 1,
  cause: 'The stored offset is no position in the log of Postgres.',
  remedy: 'sluice offsets show prints it; sluice offsets recover --connector {connector} --from slot finds one that can be used.',
});
