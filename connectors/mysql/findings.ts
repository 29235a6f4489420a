/** What preflight finds beside errors. Listed in the plug-in's manifest. */
import { defineFinding } from '#plugin';

// The server and its log

export const serverIdOwn = defineFinding({
  code: 'SLUICE_MYSQL_SERVER_ID_OWN',
  severity: 'error',
  cause: 'The server id {serverId} of this connector is that of the server itself.',
  why: 'A server sends a reader with its own id nothing.',
  remedy: 'Set "serverId" to another number.',
});

export const serverIdReplica = defineFinding({
  code: 'SLUICE_MYSQL_SERVER_ID_REPLICA',
  severity: 'warning',
  cause: 'A replica of this server has the server id {serverId} of this connector.',
  why: 'The server ends the stream of one of two readers with one id whenever the other one comes.',
  remedy: 'Set "serverId" to another number.',
});

export const places = defineFinding({
  code: 'SLUICE_MYSQL_PLACES',
  severity: 'warning',
  cause: 'The server writes transactions without GTIDs (gtid_mode = {mode}).',
  why: 'The log is read by file and position, and cannot be gone on with at another server.',
  remedy:
    'For failovers turn GTIDs on, step by step, while no server replicates this one; before the second look into the error log for statements that they do not go with (manual of MySQL, 19.1.4.2): {steps}',
});

export const shortLog = defineFinding({
  code: 'SLUICE_MYSQL_SHORT_LOG',
  severity: 'warning',
  cause: 'The server keeps its log for {seconds} s.',
  why: 'A connector that is down for longer cannot go on, and copies all tables anew.',
  remedy: 'SET GLOBAL binlog_expire_logs_seconds = 604800',
});

export const endlessLog = defineFinding({
  code: 'SLUICE_MYSQL_ENDLESS_LOG',
  severity: 'info',
  cause: 'The server never deletes its log ({setting}).',
  why: 'The log fills the disk of the server, unless somebody purges it; and then perhaps what was not read.',
  remedy: '{remedy}',
});

export const nearPurge = defineFinding({
  code: 'SLUICE_MYSQL_NEAR_PURGE',
  severity: 'warning',
  cause: 'The connector is {bytes} behind and saved its offset {age} s ago, and the server deletes its log after {seconds} s.',
  why: 'What is deleted before it is read is lost, and all tables must be copied anew.',
  remedy: 'SET GLOBAL binlog_expire_logs_seconds = {enough}',
});

export const replicaUnlogged = defineFinding({
  code: 'SLUICE_MYSQL_REPLICA_UNLOGGED',
  severity: 'warning',
  cause: 'This server is a replica and does not write to its own log what it is sent ({setting} = OFF).',
  why: 'Changes that are made on its source never come.',
  remedy: 'Start the server with {setting} = ON (in its configuration), or name its source in "url".',
});

export const noQuery = defineFinding({
  code: 'SLUICE_MYSQL_NO_QUERY',
  severity: 'warning',
  cause: 'The server does not log the statements that change rows ({name} is {value}).',
  why: '"source.query" stays null.',
  remedy: 'SET GLOBAL {name} = ON, or leave "includeQuery" out.',
});

export const balanced = defineFinding({
  code: 'SLUICE_MYSQL_BALANCED',
  severity: 'warning',
  cause: 'Two connections to {address} came to two servers ({first} and {second}).',
  why: 'Something spreads connections over servers: the log would be read here, and asked about there.',
  remedy: 'Name one server in "url".',
});

export const clockSkew = defineFinding({
  code: 'SLUICE_MYSQL_CLOCK',
  severity: 'warning',
  cause: 'The clocks of the server and of this machine are {seconds} s apart (the server is {direction}).',
  why: 'Lag in seconds and the time that stands in each message are wrong by that much; certificates and tokens may be refused.',
  remedy: 'On the machine whose clock is wrong: timedatectl set-ntp true',
});

// The connection

export const notEncrypted = defineFinding({
  code: 'SLUICE_MYSQL_NOT_ENCRYPTED',
  severity: 'warning',
  cause: 'The connection to {address} is not encrypted (tls.mode {mode}).',
  why: 'Whoever is on the way reads every captured row, and can change what comes.',
  remedy: 'Set "tls": {"mode": "verify-full", "ca": "/etc/sluice/ca.pem"}.',
});

export const notVerified = defineFinding({
  code: 'SLUICE_MYSQL_NOT_VERIFIED',
  severity: 'warning',
  cause: 'The connection to {address} is encrypted, but {what} is not checked (tls.mode {mode}).',
  why: 'Whoever answers in the place of the server is taken for it.',
  remedy: 'Set "tls": {"mode": "verify-full", "ca": "/etc/sluice/ca.pem"}.',
});

// The account

export const grants = defineFinding({
  code: 'SLUICE_MYSQL_GRANTS',
  severity: 'info',
  cause: 'The connector reads the log under server id {serverId}; these grants are all that it needs.',
  why: 'REPLICATION SLAVE shows the changes of all tables of the server, not of the captured ones only: keep its password as you would that of an administrator.',
  remedy: '{sql}',
});

export const excessGrants = defineFinding({
  code: 'SLUICE_MYSQL_EXCESS_GRANTS',
  severity: 'info',
  cause: 'Account {account} may do more than is needed: {rights}.',
  why: 'It only serves whoever gets hold of its password.',
  remedy: '{sql}',
});

// Tables

export const patternMatchesNothing = defineFinding({
  code: 'SLUICE_MYSQL_PATTERN_MATCHES_NOTHING',
  severity: 'warning',
  cause: 'Pattern "{pattern}" of "{of}" matches no {where}.',
  why: 'It is without effect: mostly it is misspelt, and a table is missing in the output.',
  remedy: '{remedy}',
});
