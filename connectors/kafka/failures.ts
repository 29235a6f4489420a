/** What a failure means, by its name in Kafka's protocol, and how the clients' nested errors become one. */
import { SluiceError } from '#plugin';
import { KafkaFailure } from './drivers/driver.ts';

export type Meaning =
  /** It may pass by itself: the same again. */
  | 'again'
  | 'too large'
  /** The producer is unusable: what stands in the partition must be looked at. */
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
  OUT_OF_ORDER_SEQUENCE_NUMBER: 'producer',
  DUPLICATE_SEQUENCE_NUMBER: 'producer',
  INVALID_PRODUCER_EPOCH: 'producer',
  UNKNOWN_PRODUCER_ID: 'producer',
  INVALID_PRODUCER_ID_MAPPING: 'producer',
  PRODUCER_FENCED: 'producer',
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
const TIMEOUT_TEXT = /timed? ?out/i;
const SASL_TEXT = /sasl.*(fail|mechanism)|authentication failed|not supported by the server/i;
const MAX_DEPTH = 10;

/** All that is wrapped in an error, the outermost first: `cause`, `errors` (platformatic), `originalError` (kafkajs). */
function nested(error: unknown): readonly unknown[] {
  const all: unknown[] = [];
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

/** Any error of a client as a failure: the name of the protocol's error where there is one, in the words of the innermost that says something (I12: none holds a secret). */
export function toFailure(error: unknown): KafkaFailure {
  if (error instanceof KafkaFailure) return error;
  // What our own code found out while connecting (a file, a token) is told as it is.
  if (error instanceof SluiceError) throw error;
  const all = nested(error) as readonly { name?: string; message?: string; code?: unknown; type?: unknown; apiId?: unknown }[];
  for (const each of all) if (each instanceof SluiceError) throw each;
  for (const { apiId, type, message } of all) {
    const code = typeof apiId === 'string' ? apiId : typeof type === 'string' && /^[A-Z_]{4,}$/.test(type) ? type : null;
    if (code !== null) return new KafkaFailure(code, `${code}: ${message ?? ''}`.replace(/: $/, ''), error);
  }
  const detail = detailOf(all);
  for (const { code } of all) if (typeof code === 'string' && TLS_CODES.test(code)) return new KafkaFailure('TLS', detail, error);
  const texts = all.map(({ name, message, code }) => `${name ?? ''} ${String(code ?? '')} ${message ?? ''}`);
  if (texts.some((text) => /TLS handshake failed|wrong version number|certificate/i.test(text))) return new KafkaFailure('TLS', detail, error);
  if (texts.some((text) => SASL_TEXT.test(text))) return new KafkaFailure('SASL_AUTHENTICATION_FAILED', detail, error);
  if (texts.some((text) => TIMEOUT_TEXT.test(text))) return new KafkaFailure('TIMEOUT', detail, error);
  return new KafkaFailure('CONNECTION', detail, error);
}

function detailOf(all: readonly { message?: string; code?: unknown }[]): string {
  for (const { message, code } of [...all].reverse()) {
    if (code === 'ECONNREFUSED') return (message ?? '') === '' ? 'connection refused' : (message as string);
    if (typeof message === 'string' && message !== '') return message;
    if (typeof code === 'string') return code;
  }
  return 'the connection was closed';
}
