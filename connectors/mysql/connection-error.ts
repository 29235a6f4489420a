import { type ErrorKind, rootMessage, SluiceError } from '#plugin';
import { addressOf, addressText, type MysqlConfig, tlsMode } from './config.ts';
import {
  authentication,
  clearPassword,
  connectionLost,
  noPrivilege,
  queryFailed,
  queryInterrupted,
  tlsFailed,
  tlsMissing,
  tlsRequired,
  tooManyConnections,
  unreachable,
} from './errors.ts';
import { gtidModeHides, logPurged, otherHistory, placeRefused, serverIdTaken, withoutGtids } from './log/errors.ts';

export interface ErrorContext {
  readonly config: MysqlConfig;
  /** What was asked of the server, as in "answered … with an error". */
  readonly doing: string;
  /** Of the stream. `by`: as its position has it. */
  readonly stream?: { readonly connector: string; readonly serverId: number; readonly by: 'gtid' | 'file' };
}

/** What a driver's error may carry: `errno` is the server's number, `code` its name, or the system's or TLS' own. */
interface Carrier {
  readonly code?: unknown;
  readonly errno?: unknown;
  readonly sqlState?: unknown;
  readonly cause?: unknown;
  readonly errors?: unknown;
}

const SYSTEM_ERRORS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ENOTFOUND: 'the host name is not known',
  EAI_AGAIN: 'the name server does not answer',
  ETIMEDOUT: 'no answer',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'no route to the network',
};
const TLS_CODES =
  /^(ERR_TLS|ERR_SSL|CERT_|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_CA|ERR_OSSL|EPROTO|HANDSHAKE_SSL|HANDSHAKE_NO_SSL)/;

/** The server's numbers (its manual, error reference). */
const NUMBER = {
  tooManyConnections: new Set([1040, 1203, 1226]),
  access: new Set([1045, 1698, 3118, 4151, 4150]),
  tls: 3159,
  privilege: new Set([1044, 1142, 1227, 1143]),
  shutdown: new Set([1053, 1077, 1079, 1152, 1158, 1159, 1160, 1161, 1184, 1927, 3169, 4031]),
  interrupted: new Set([1205, 1213, 1317, 1028, 1030, 3024, 1969]),
  log: 1236,
  sameId: 4052,
} as const;

/** One typed error of whatever the driver threw. */
export function asSluiceError(error: unknown, context: ErrorContext): SluiceError {
  const carrier = innermost(error);
  if (carrier instanceof SluiceError) return carrier;
  const code = typeof carrier.code === 'string' ? carrier.code : '';
  const message = rootMessage(error);
  const parameters = {
    address: addressText(context.config),
    user: addressOf(context.config).user,
    mode: tlsMode(context.config),
    detail: SYSTEM_ERRORS[code] ?? message,
    context: context.doing,
    number: typeof carrier.errno === 'number' ? carrier.errno : '',
    missing: /privilege/i.test(message) ? message : 'it lacks REPLICATION SLAVE or REPLICATION CLIENT',
    sql: grantSql(context.config),
    connector: context.stream?.connector ?? '',
    serverId: context.stream?.serverId ?? '',
  };
  const isServers = typeof carrier.sqlState === 'string' && typeof carrier.errno === 'number';
  const kind = isServers ? serverKind(carrier.errno as number, message, context) : clientKind(code, message);
  return new SluiceError(kind, parameters, { cause: error });
}

/**
 * What the account needs, to be carried out as it stands unless the databases are told by wildcards only. `account`: as the server knows it, quoted; left out: that of the configuration,
 * from every host.
 */
export function grantSql(
  config: Pick<MysqlConfig, 'url' | 'tables' | 'snapshot'>,
  account = `'${addressOf(config).user.replaceAll("'", "''")}'@'%'`,
): string {
  const databases = new Set([...config.tables, ...(config.snapshot.signalTable === undefined ? [] : [config.snapshot.signalTable])].map(databaseOf));
  const grants = [...databases].map((database) => `GRANT SELECT ON ${database}.* TO ${account}`);
  return [`GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO ${account}`, ...grants].join('; ');
}

/** As a statement names it, of a pattern of tables. */
function databaseOf(pattern: string): string {
  const [, quoted, plain] = /^(?:"((?:[^"]|"")+)"|([^"./*]+))\./.exec(pattern) ?? [];
  const name = quoted?.replaceAll('""', '"') ?? plain;
  if (name === undefined) return '<the captured databases>';
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) ? name : `\`${name.replaceAll('`', '``')}\``;
}

function serverKind(number: number, message: string, context: ErrorContext): ErrorKind {
  if (NUMBER.tooManyConnections.has(number)) return tooManyConnections;
  if (number === NUMBER.tls) return tlsRequired;
  if (NUMBER.access.has(number)) return authentication;
  if (number === NUMBER.sameId) return serverIdTaken;
  if (number === NUMBER.log && context.stream !== undefined) {
    if (/same server_uuid\/server_id|same server-id|A slave with the same/i.test(message)) return serverIdTaken;
    // MariaDB, of a replica that has transactions of its own.
    if (/diverged|extra erroneous/i.test(message)) return otherHistory;
    if (/Cannot replicate .*GTID_MODE = O/i.test(message)) return gtidModeHides;
    if (/anonymous|AUTO_POSITION mode/i.test(message)) return withoutGtids;
    // Asked for by GTIDs it is the server's own file that is torn, of which it sends the next one.
    if (context.stream.by === 'file' && /file size|bogus data|truncated|impossible position/i.test(message)) return placeRefused;
    return /purged|could not find|not in the master|Could not open log|missing/i.test(message) ? logPurged : queryInterrupted;
  }
  if (NUMBER.privilege.has(number)) return noPrivilege;
  if (NUMBER.shutdown.has(number)) return connectionLost;
  return NUMBER.interrupted.has(number) ? queryInterrupted : queryFailed;
}

function clientKind(code: string, message: string): ErrorKind {
  // Before the others: its message speaks of TLS.
  if (code === 'MYSQL_CLEAR_PASSWORD_NOT_ENABLED') return clearPassword;
  if (code === 'HANDSHAKE_NO_SSL_SUPPORT') return tlsMissing;
  if (TLS_CODES.test(code) || /SSL|certificate/i.test(message)) return tlsFailed;
  if (/secure connection|cleartext|clear text|AUTH_SWITCH_PLUGIN/i.test(`${message} ${code}`)) return clearPassword;
  return code in SYSTEM_ERRORS ? unreachable : connectionLost;
}

/** Clients nest: an AggregateError of both addresses of a host name, a cause of a cause. */
function innermost(error: unknown): Carrier {
  let current: unknown = error;
  for (let depth = 0; depth < 10; depth++) {
    if (current instanceof SluiceError || typeof current !== 'object' || current === null) break;
    const { errors, cause } = current as Carrier;
    const next: unknown = Array.isArray(errors) && errors.length > 0 ? errors[0] : cause;
    if (typeof next !== 'object' || next === null) break;
    current = next;
  }
  return typeof current === 'object' && current !== null ? (current as Carrier) : {};
}
