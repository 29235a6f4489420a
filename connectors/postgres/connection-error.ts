import { type ErrorKind, rootMessage, SluiceError } from '#plugin';
import { addressOf, type PostgresConfig, tlsMode } from './config.ts';
import {
  authentication,
  connectionLost,
  databaseMissing,
  noFreeSlot,
  noReplicationRight,
  notAdmitted,
  noWalSender,
  pooler,
  publicationAfterSlot,
  queryFailed,
  queryInterrupted,
  slotInUse,
  tlsFailed,
  tlsRefused,
  tooManyConnections,
  unreachable,
} from './errors.ts';

export interface ErrorContext {
  readonly config: PostgresConfig;
  /** What was asked of the server, as in "answered … with an error": `the heartbeat`, `START_REPLICATION`. */
  readonly doing: string;
  /** True on a replication connection. */
  readonly replication?: boolean;
  /** The slot that is being read. */
  readonly slot?: string;
}

/** What a driver's error may carry: `code` is an SQLSTATE, or the system's or TLS' own. */
interface Carrier {
  readonly code?: unknown;
  readonly severity?: unknown;
  readonly message?: unknown;
  readonly errors?: unknown;
  readonly cause?: unknown;
}

const SYSTEM_ERRORS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ENOTFOUND: 'the host name is not known',
  EAI_AGAIN: 'the name server does not answer',
  ETIMEDOUT: 'no answer',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'no route to the network',
  ENOENT: 'there is no such socket',
  EACCES: 'no right to use the socket',
};

const TLS_CODES = /^(ERR_TLS|ERR_SSL|CERT_|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_CA|ERR_OSSL|EPROTO)/;

/** One typed error of whatever the driver threw. The server's message goes in, never its detail, which may hold values (I12). */
export function asSluiceError(error: unknown, context: ErrorContext): SluiceError {
  const carrier = innermost(error);
  if (carrier instanceof SluiceError) return carrier;
  const { host, port, user, database } = addressOf(context.config);
  const address = host.startsWith('/') ? host : `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const code = typeof carrier.code === 'string' ? carrier.code : '';
  const message = rootMessage(error);
  const parameters = {
    address,
    user,
    database,
    mode: tlsMode(context.config),
    detail: message,
    context: context.doing,
    sqlstate: code,
    limit: '',
    slot: '',
    holder: message,
    pid: '…',
    publication: '',
    connector: '<connector>',
    sql: '',
  };
  // The driver's own errors have no `severity`; the server's always have.
  const isServers = typeof carrier.severity === 'string' && /^[0-9A-Z]{5}$/.test(code);
  if (isServers) {
    parameters.limit = /\d+/.exec(message)?.[0] ?? '?';
    parameters.pid = /PID (\d+)/.exec(message)?.[1] ?? '…';
    parameters.slot = context.slot ?? /"([^"]+)"/.exec(message)?.[1] ?? '';
    if (code === '42704') parameters.publication = /"([^"]+)"/.exec(message)?.[1] ?? '';
    return new SluiceError(serverKind(code, message, context), parameters, { cause: error });
  }
  if (code in SYSTEM_ERRORS) parameters.detail = SYSTEM_ERRORS[code] as string;
  return new SluiceError(clientKind(code, message), parameters, { cause: error });
}

/** What the server's SQLSTATE means here (manual, appendix A). */
function serverKind(code: string, message: string, context: ErrorContext): ErrorKind {
  switch (code) {
    case '28P01':
      return authentication;
    case '28000':
      // The server saw another certificate than we did: somebody stands in between (RFC 5802, channel binding).
      return message.includes('SCRAM') ? tlsFailed : notAdmitted;
    case '3D000':
    case '57P04':
      return databaseMissing;
    case '42704':
      // pgoutput, at a position of the log at which the publication did not exist yet.
      return context.slot !== undefined && /publication/i.test(message) ? publicationAfterSlot : queryFailed;
    case '53400':
      return noFreeSlot;
    case '08P01':
      return /startup parameter/i.test(message) ? pooler : connectionLost;
    case '42501':
      return context.replication === true ? noReplicationRight : queryFailed;
    case '53300':
      // The name of the setting stands in the message in every language.
      return message.includes('max_wal_senders') ? noWalSender : tooManyConnections;
    case '55006':
      return context.slot === undefined ? queryInterrupted : slotInUse;
    case '55000':
      // On a slot: it was invalidated or taken meanwhile. Checking it again says which.
      return context.slot === undefined ? queryFailed : queryInterrupted;
  }
  if (/^(57P|08)/.test(code)) return connectionLost;
  return /^(40|53|55|57|58)/.test(code) ? queryInterrupted : queryFailed;
}

function clientKind(code: string, message: string): ErrorKind {
  if (message.includes('does not support SSL connections')) return tlsRefused;
  if (TLS_CODES.test(code) || message.includes('establishing an SSL connection')) return tlsFailed;
  if (message.startsWith('SASL')) return authentication;
  if (code in SYSTEM_ERRORS || message === 'timeout expired') return unreachable;
  return connectionLost;
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
