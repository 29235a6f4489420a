import { defineError } from '#plugin';

// Reaching the server

export const unreachable = defineError({
  code: 'SLUICE_MYSQL_UNREACHABLE',
  retry: 'auto',
  exit: 3,
  cause: 'The server at {address} cannot be reached: {detail}.',
  remedy: 'Check the host and port in "url", that the server runs and that the network lets this machine through; it is tried again.',
});

export const connectionLost = defineError({
  code: 'SLUICE_MYSQL_CONNECTION_LOST',
  retry: 'auto',
  exit: 3,
  cause: 'The connection to the server at {address} was lost: {detail}.',
  remedy: 'Nothing to do if the server was restarted; it is tried again.',
});

export const tooManyConnections = defineError({
  code: 'SLUICE_MYSQL_TOO_MANY_CONNECTIONS',
  retry: 'auto',
  exit: 3,
  cause: 'The server at {address} takes no more connections: {detail}.',
  remedy: 'Raise max_connections, or close idle connections; it is tried again.',
});

export const authentication = defineError({
  code: 'SLUICE_MYSQL_AUTHENTICATION',
  refusesCredentials: true,
  retry: 'manual',
  exit: 2,
  cause: 'The server at {address} did not accept user "{user}": {detail}.',
  remedy:
    'Check "password" and the user in "url"; set a new one with: ALTER USER \'{user}\'@\'%\' IDENTIFIED BY \'…\'. An account that was made with REQUIRE SSL is refused by the same words where "tls": {"mode": "disable"} holds.',
});

export const clearPassword = defineError({
  code: 'SLUICE_MYSQL_CLEAR_PASSWORD',
  retry: 'never',
  exit: 2,
  cause:
    'The server at {address} asks for the password of user "{user}" in a form that is not sent over a connection whose other end was not verified: {detail}.',
  remedy: 'Set "tls": {"mode": "verify-full", "ca": "…"}.',
});

export const tlsFailed = defineError({
  code: 'SLUICE_MYSQL_TLS',
  retry: 'manual',
  exit: 3,
  cause: 'The encrypted connection to {address} failed (tls.mode {mode}): {detail}.',
  remedy:
    'Set "tls.ca" to the certificate of the authority that signed that of the server. The name in "url" must stand in the server\'s certificate; where none does, as in those that servers make for themselves, set "tls": {"mode": "verify-ca", "ca": "…"}.',
});

export const tlsRequired = defineError({
  code: 'SLUICE_MYSQL_TLS_REQUIRED',
  retry: 'manual',
  exit: 2,
  cause: 'The server at {address} takes user "{user}" over an encrypted connection only, and tls.mode is {mode}: {detail}.',
  remedy:
    'Set "tls": {"mode": "verify-full", "ca": "…"}, or {"mode": "verify-ca", "ca": "…"} where the server made its certificate for itself; {"mode": "require"} encrypts without making sure who the server is.',
});

export const tlsMissing = defineError({
  code: 'SLUICE_MYSQL_NO_TLS',
  retry: 'manual',
  exit: 3,
  cause: 'The server at {address} offers no encrypted connection, and tls.mode is {mode}: {detail}.',
  remedy:
    'Give the server a certificate (ssl_cert, ssl_key in its configuration); or, where nobody can listen between it and Sluice, set "tls": {"mode": "disable"}.',
});

export const tlsFile = defineError({
  code: 'SLUICE_MYSQL_TLS_FILE',
  retry: 'manual',
  exit: 2,
  cause: 'The file {path} of "tls.{option}" {detail}.',
  remedy: 'Set "tls.{option}" to a PEM file that this process may read.',
});

export const queryFailed = defineError({
  code: 'SLUICE_MYSQL_QUERY',
  retry: 'manual',
  exit: 3,
  cause: 'The server answered {context} with an error: {detail} (error {number}).',
  remedy: 'Grant what is missing; the preflight prints the grants that are needed.',
});

export const queryInterrupted = defineError({
  code: 'SLUICE_MYSQL_QUERY_INTERRUPTED',
  retry: 'auto',
  exit: 3,
  cause: 'The server did not carry out {context}: {detail} (error {number}).',
  remedy: 'It is tried again.',
});

// What the server must be

export const otherSystem = defineError({
  code: 'SLUICE_MYSQL_OTHER_SYSTEM',
  retry: 'never',
  exit: 2,
  cause: 'The server at {address} is {actual}, and the configuration says "type": "{expected}".',
  remedy: 'Set "type" to "{actual}".',
});

export const serverSetting = defineError({
  code: 'SLUICE_MYSQL_SETTING',
  retry: 'manual',
  exit: 3,
  cause: 'The server at {address} has {name} = {actual}, and {expected} is needed: {why}.',
  remedy: '{remedy}',
});

export const noPrivilege = defineError({
  code: 'SLUICE_MYSQL_PRIVILEGE',
  retry: 'manual',
  exit: 3,
  cause: 'User {user} may not read the log of the server at {address}: {missing}.',
  remedy: 'Run as an administrator: {sql}',
});

export const unloggedCascade = defineError({
  code: 'SLUICE_MYSQL_UNLOGGED_CASCADE',
  retry: 'manual',
  exit: 3,
  cause:
    'Rows of table {table} are changed by the foreign key {constraint} along with rows of {parent}, and this server writes such changes nowhere.',
  remedy:
    'Let the key be RESTRICT and change the rows by statements, leave the table out, or set "acceptUnloggedCascades": true and miss these changes.',
});

export const typeRefused = defineError({
  code: 'SLUICE_MYSQL_TYPE',
  retry: 'manual',
  exit: 3,
  cause: 'Table {table} cannot be captured: column {column} is of type {type}, of which the log does not tell the text.',
  remedy: 'Leave the table out of "tables", or keep the value in a column of another type.',
});

export const startedWithOutput = defineError({
  code: 'SLUICE_MYSQL_STATE_LOST',
  retry: 'manual',
  exit: 3,
  cause: 'The sink already holds output of connector {connector}, but there is no offset: the state was lost.',
  remedy:
    'sluice offsets recover --connector {connector} --from sink; into Kafka, which does not tell the order of transactions, set one that is known to be safe, as "sluice offsets show" printed it before: sluice offsets set --connector {connector} --position …; or give the connector another name to begin anew.',
});

export const positionInvalid = defineError({
  code: 'SLUICE_MYSQL_POSITION',
  retry: 'never',
  exit: 2,
  cause: '"{text}" is no set of GTIDs of {system}, nor a place in the log of a MySQL server without GTIDs.',
  remedy:
    'Write what the server says: SELECT @@gtid_executed (MySQL), SELECT @@gtid_binlog_pos (MariaDB); or, on MySQL without GTIDs, a file and a position in it where a transaction ends: binlog.000003:1234.',
});

export const positionUnreadable = defineError({
  code: 'SLUICE_MYSQL_OFFSET',
  retry: 'manual',
  exit: 3,
  cause: 'The offset of connector {connector} is none of {system}.',
  remedy: 'Set "type" as it was when the offset was stored, or give the connector another name.',
});

export const recoverUnsafe = defineError({
  code: 'SLUICE_MYSQL_RECOVER',
  retry: 'manual',
  exit: 3,
  cause: 'No offset can be recovered for connector {connector}: {why}.',
  remedy: 'Set one that is known to be safe: sluice offsets set --connector {connector}, or give the connector another name to begin anew.',
});

export const generatedColumn = defineError({
  code: 'SLUICE_MYSQL_GENERATED_COLUMN',
  retry: 'manual',
  exit: 3,
  cause: 'Table {table} cannot be captured: its column {column} is generated, and MariaDB from 11 on leaves such columns out of the rows of updates.',
  remedy: 'Leave the table out of "tables", or drop the column and compute it where the changes are read.',
});
