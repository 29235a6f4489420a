import { type ErrorParameters, SluiceError } from '#plugin';
import type { KafkaFailure } from './drivers/driver.ts';
import {
  authentication,
  clusterForbidden,
  compactedKeyless,
  groupForbidden,
  messageTooLarge,
  recordRefused,
  tlsFailed,
  topicForbidden,
  topicLost,
  topicRefused,
  unreachable,
  versionUnsupported,
} from './errors.ts';
import { classify } from './failures.ts';

/** What a failure was about. */
export interface About {
  readonly topic: string;
  readonly connector: string;
  /** Of the record, where it was one. */
  readonly bytes: number;
  /** The topic's limit, −1 = not known. */
  readonly limit: number;
  /** It was about making the topic. */
  readonly creating?: boolean;
}

/** The error that a user is shown for a failure that does not pass by itself. */
export function typedError(failure: KafkaFailure, about: About): SluiceError {
  const { code, message: detail } = failure;
  const options = { cause: failure };
  const parameters: ErrorParameters = { topic: about.topic, connector: about.connector, detail };
  if (about.creating === true) return new SluiceError(topicRefused, parameters, options);
  switch (code) {
    case 'SASL_AUTHENTICATION_FAILED':
      return new SluiceError(authentication, parameters, options);
    case 'TLS':
      return new SluiceError(tlsFailed, parameters, options);
    case 'UNSUPPORTED_VERSION':
      return new SluiceError(versionUnsupported, parameters, options);
    case 'GROUP_AUTHORIZATION_FAILED':
      return new SluiceError(groupForbidden, { ...parameters, group: `sluice-${about.connector}-` }, options);
    case 'TOPIC_AUTHORIZATION_FAILED':
      return new SluiceError(topicForbidden, { ...parameters, operation: 'Write' }, options);
    case 'CLUSTER_AUTHORIZATION_FAILED':
      return new SluiceError(clusterForbidden, parameters, options);
    case 'MESSAGE_TOO_LARGE':
    case 'RECORD_LIST_TOO_LARGE':
      return new SluiceError(messageTooLarge, { ...parameters, size: about.bytes, limit: about.limit < 0 ? 'less' : about.limit }, options);
    case 'OFFSET_OUT_OF_RANGE':
      return new SluiceError(topicLost, parameters, options);
    case 'INVALID_RECORD':
      return /without key/.test(detail)
        ? new SluiceError(compactedKeyless, parameters, options)
        : new SluiceError(recordRefused, parameters, options);
    default:
      if (classify(code) === 'again') return new SluiceError(unreachable, parameters, options);
      if (classify(code) === 'missing') return new SluiceError(topicLost, { ...parameters, detail: 'it does not exist any more' }, options);
      return new SluiceError(recordRefused, parameters, options);
  }
}

/** What was confirmed is not there any more (I8). */
export function lostAt(
  { topic, partition, offset }: { readonly topic: string; readonly partition: number; readonly offset: number },
  connector: string,
  found: string,
): SluiceError {
  return new SluiceError(topicLost, { topic, connector, detail: `${found} in partition ${partition}, and what was confirmed ends at ${offset}` });
}
