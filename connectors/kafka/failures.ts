/** What a failure means, by its name in Kafka's protocol, and how the clients' nested errors become one. */
import { SluiceError } from '#plugin';
import { KafkaFailure } from './drivers/driver.ts';

export type Meaning =
  /** It may pass by itself: the same again. */
  | 'again'
  | 'too large'
  /** One of the records cannot be stored, whatever is done. */
  | 'bad record'
  /** The producer is unusable: what stands in the partition must be looked at. */
  /** Nothing is wrong with the record: one of the two clocks is. */
  | 'clock'
  | 'producer'
  | 'forbidden'
  | 'missing'
  | 'refused';

/** Kafka documentation, "Error Codes": those that a produce, fetch, metadata or topic request can be answered with. Any other is `refused` (I8). */
const MEANINGS: Readonly<Record<string, Meaning>> = {
  CONNECTION: 'again',
  TIMEOUT: 'again',
  NO_RESPONSE: 'again',
  CORRUPT_MESSAGE: 'again',
  LEADER_NOT_AVAILABLE: 'again',
  NOT_LEADER_OR_FOLLOWER: 'again',
  NOT_LEADER_FOR_PARTITION: 'again',
  REQUEST_TIMED_OUT: 'again',
  BROKER_NOT_AVAILABLE: 'again',
  REPLICA_NOT_AVAILABLE: 'again',
  NETWORK_EXCEPTION: 'again',
  COORDINATOR_LOAD_IN_PROGRESS: 'again',
  COORDINATOR_NOT_AVAILABLE: 'again',
  NOT_COORDINATOR: 'again',
  GROUP_LOAD_IN_PROGRESS: 'again',
  GROUP_COORDINATOR_NOT_AVAILABLE: 'again',
  NOT_COORDINATOR_FOR_GROUP: 'again',
  REBALANCE_IN_PROGRESS: 'again',
  UNKNOWN_MEMBER_ID: 'again',
  ILLEGAL_GENERATION: 'again',
  NOT_ENOUGH_REPLICAS: 'again',
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: 'again',
  NOT_CONTROLLER: 'again',
  KAFKA_STORAGE_ERROR: 'again',
  FENCED_LEADER_EPOCH: 'again',
  UNKNOWN_LEADER_EPOCH: 'again',
  OFFSET_NOT_AVAILABLE: 'again',
  ELIGIBLE_LEADERS_NOT_AVAILABLE: 'again',
  PREFERRED_LEADER_NOT_AVAILABLE: 'again',
  THROTTLING_QUOTA_EXCEEDED: 'again',
  UNSTABLE_OFFSET_COMMIT: 'again',
  INCONSISTENT_TOPIC_ID: 'again',
  UNKNOWN_SERVER_ERROR: 'again',
  UNKNOWN: 'again',
  MESSAGE_TOO_LARGE: 'too large',
  RECORD_LIST_TOO_LARGE: 'too large',
  INVALID_RECORD: 'bad record',
  // Brokers from 4.0 on refuse what is more than an hour ahead of them (message.timestamp.after.max.ms).
  INVALID_TIMESTAMP: 'clock',
  OUT_OF_ORDER_SEQUENCE_NUMBER: 'producer',
  DUPLICATE_SEQUENCE_NUMBER: 'producer',
  INVALID_PRODUCER_EPOCH: 'producer',
  UNKNOWN_PRODUCER_ID: 'producer',
  INVALID_PRODUCER_ID_MAPPING: 'producer',
  PRODUCER_FENCED: 'producer',
  PRODUCER_REPLACED: 'producer',
  TOPIC_AUTHORIZATION_FAILED: 'forbidden',
  GROUP_AUTHORIZATION_FAILED: 'forbidden',
  CLUSTER_AUTHORIZATION_FAILED: 'forbidden',
  SASL_AUTHENTICATION_FAILED: 'forbidden',
  TLS: 'forbidden',
  UNKNOWN_TOPIC_OR_PARTITION: 'missing',
  UNKNOWN_TOPIC_ID: 'missing',
};

export function classify(code: string): Meaning {
  return Object.hasOwn(MEANINGS, code) ? (MEANINGS[code] as Meaning) : 'refused';
}

const TLS_CODES = /^(ERR_TLS|ERR_SSL|CERT_|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_CA|ERR_OSSL|EPROTO)/;
const SOCKET_CODES = /^(ECONN|EPIPE|ETIMEDOUT|EHOST|ENET|ENOTFOUND|EAI_|EADDR|PLT_KFK_NETWORK)/;
const TIMEOUT_TEXT = /time(d )?out/i;
/** How kafkajs words, in a failed authentication, that there was no answer. */
const CUT_OFF_TEXT = /closed|not connected|connection (error|time)|time(d )?out/i;
/** Of the handshake before it. */
const SASL_NAMES = new Set(['UNSUPPORTED_SASL_MECHANISM', 'ILLEGAL_SASL_STATE']);
const MAX_DEPTH = 10;
const MAX_DETAIL = 300;

interface ErrorParts {
  readonly name?: string;
  readonly message?: string;
  readonly code?: unknown;
  /** kafkajs: name of the protocol's error. */
  readonly type?: unknown;
  /** platformatic: the same, and the broker's own words. */
  readonly apiId?: unknown;
  readonly serverErrorMessage?: unknown;
}

/** All that is wrapped in an error, the outermost first: `cause`, `errors` (platformatic), `originalError` (kafkajs). */
function nested(error: unknown): readonly ErrorParts[] {
  const all: ErrorParts[] = [];
  const visit = (at: unknown, depth: number): void => {
    if (typeof at !== 'object' || at === null || depth > MAX_DEPTH || all.includes(at)) return;
    all.push(at);
    const { cause, errors, originalError } = at as { cause?: unknown; errors?: unknown; originalError?: unknown };
    for (const inner of Array.isArray(errors) ? errors : []) visit(inner, depth + 1);
    visit(cause, depth + 1);
    visit(originalError, depth + 1);
  };
  visit(error, 0);
  return all;
}

/**
 * Any error of a client as a failure: the name of the protocol's error where there is one, in the words of the innermost that says something (I12: none
 * holds a secret). What our own code found out while connecting (a file, a token) is thrown as it is.
 */
export function toFailure(error: unknown): KafkaFailure {
  const all = nested(error);
  for (const each of all) {
    if (each instanceof KafkaFailure) return each;
    if (each instanceof SluiceError) throw each;
  }
  for (const { apiId, type, message, serverErrorMessage } of all) {
    const name = typeof apiId === 'string' ? apiId : typeof type === 'string' && /^[A-Z_]{4,}$/.test(type) ? type : null;
    if (name === null) continue;
    const words = oneLine(typeof serverErrorMessage === 'string' && serverErrorMessage !== '' ? serverErrorMessage : (message ?? ''));
    return new KafkaFailure(SASL_NAMES.has(name) ? 'SASL_AUTHENTICATION_FAILED' : name, words === '' ? name : `${name}: ${words}`, error);
  }
  return new KafkaFailure(nameOf(all), detailOf(all), error);
}

/** For what is no answer in Kafka's protocol. */
function nameOf(all: readonly ErrorParts[]): string {
  const hasCode = (some: readonly ErrorParts[], codes: RegExp): boolean => some.some(({ code }) => typeof code === 'string' && codes.test(code));
  const refusal = all.findIndex(({ name, code }) => name === 'KafkaJSSASLAuthenticationError' || code === 'PLT_KFK_AUTHENTICATION');
  // Both clients call it a failed authentication, too, when the broker went away in the middle of it: that passes.
  if (refusal >= 0 && !hasCode(all.slice(refusal), SOCKET_CODES) && !CUT_OFF_TEXT.test(all[refusal]?.message ?? ''))
    return 'SASL_AUTHENTICATION_FAILED';
  if (hasCode(all, TLS_CODES)) return 'TLS';
  return all.some(({ message }) => TIMEOUT_TEXT.test(message ?? '')) ? 'TIMEOUT' : 'CONNECTION';
}

function detailOf(all: readonly ErrorParts[]): string {
  for (const { message, code } of [...all].reverse()) {
    if (typeof message === 'string' && message !== '') return oneLine(message);
    if (typeof code === 'string') return code;
  }
  return 'the connection was closed';
}

function oneLine(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > MAX_DETAIL ? `${line.slice(0, MAX_DETAIL)}…` : line;
}
