import { AuthenticationError, MultipleErrors, NetworkError, ProtocolError, TimeoutError, UserError } from '@platformatic/kafka';
import { KafkaJSConnectionError, KafkaJSNumberOfRetriesExceeded, KafkaJSProtocolError, KafkaJSSASLAuthenticationError } from 'kafkajs';
import { describe, expect, it } from 'vitest';
import { KafkaFailure } from '../../../../connectors/kafka/drivers/driver.ts';
import { tlsFile } from '../../../../connectors/kafka/errors.ts';
import { classify, toFailure } from '../../../../connectors/kafka/failures.ts';
import { SluiceError } from '../../../../src/plugin/error.ts';

describe('toFailure: the clients hide the cause in nested errors', () => {
  it('finds the protocol error of platformatic', () => {
    const failure = toFailure(new MultipleErrors('Cannot connect', [new MultipleErrors('inner', [new ProtocolError(10)])]));
    expect(failure.code).toBe('MESSAGE_TOO_LARGE');
  });

  it('finds the protocol error of kafkajs below its retries', () => {
    const inner = new KafkaJSProtocolError({ type: 'NOT_LEADER_FOR_PARTITION', code: 6, retriable: true, name: 'x', message: 'moved' } as never);
    const failure = toFailure(new KafkaJSNumberOfRetriesExceeded(inner, { retryCount: 3, retryTime: 10 } as never));
    expect(failure.code).toBe('NOT_LEADER_FOR_PARTITION');
  });

  it.each([
    [
      new NetworkError('Connection to h:1 failed.', { cause: Object.assign(new Error('connect ECONNREFUSED h:1'), { code: 'ECONNREFUSED' }) }),
      'CONNECTION',
      'ECONNREFUSED',
    ],
    [new TimeoutError('Request timed out'), 'TIMEOUT', 'timed out'],
    [
      new NetworkError('failed', { cause: Object.assign(new Error('self-signed certificate'), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' }) }),
      'TLS',
      'self-signed',
    ],
    [new KafkaJSConnectionError('Connection error: read ECONNRESET', { broker: 'h:1', code: 'ECONNRESET' } as never), 'CONNECTION', 'ECONNRESET'],
  ])('%s', (error, code, says) => {
    const failure = toFailure(error);
    expect(failure.code).toBe(code);
    expect(failure.message).toContain(says);
  });

  it('a failure stays what it is, and a typed error of ours is passed on', () => {
    const failure = new KafkaFailure('NO_RESPONSE', 'x');
    expect(toFailure(failure)).toBe(failure);
    const typed = new SluiceError(tlsFile, { path: '/x', option: 'ca', detail: 'does not exist' });
    expect(() => toFailure(new NetworkError('failed', { cause: typed }))).toThrow(typed);
  });
});

describe('toFailure: a failed authentication', () => {
  // The library's types do not know that it takes a message.
  const refusedBy = (message: string): Error => Reflect.construct(KafkaJSSASLAuthenticationError, [message]) as Error;
  const wrapped = (cause: Error): Error =>
    new NetworkError('Connection to h:1 failed.', { cause: new AuthenticationError('SASL authentication failed.', { cause }) });
  const refusal = new ProtocolError(58, 'Authentication failed: Invalid username or password');

  it.each([
    [wrapped(new MultipleErrors('Received response with error', [refusal])), 'Invalid username or password'],
    [new NetworkError('Connection to h:1 failed.', { cause: new AuthenticationError('Invalid server signature.') }), 'signature'],
    [wrapped(new MultipleErrors('Received response with error', [new ProtocolError(33)])), 'UNSUPPORTED_SASL_MECHANISM'],
    [refusedBy('SASL PLAIN authentication failed: Authentication failed: Invalid username or password'), 'Invalid username'],
    [refusedBy('SASL SCRAM-SHA-256 mechanism is not supported by the server'), 'not supported'],
  ])('%s: says so', (error, says) => {
    const failure = toFailure(error);
    expect(failure.code).toBe('SASL_AUTHENTICATION_FAILED');
    expect(failure.message).toContain(says);
  });

  it.each([
    [wrapped(new NetworkError('Connection closed')), 'CONNECTION'],
    [wrapped(new TimeoutError('Request timed out')), 'TIMEOUT'],
    [refusedBy('SASL PLAIN authentication failed: Closed connection'), 'CONNECTION'],
    [refusedBy('SASL PLAIN authentication failed: Connection error: read ECONNRESET'), 'CONNECTION'],
    [refusedBy('SASL PLAIN authentication failed: Request SaslAuthenticate(key: 36, version: 1) timed out'), 'TIMEOUT'],
  ])('%s: is none where the broker went away meanwhile', (error, code) => {
    expect(toFailure(error).code).toBe(code);
  });

  it('a TLS handshake that was cut off may pass; its cause is told', () => {
    const cause = Object.assign(new Error('Client network socket disconnected before secure TLS connection was established'), { code: 'ECONNRESET' });
    const error = new UserError('TLS handshake failed. Please verify the broker supports TLS.', { cause });
    expect(toFailure(new NetworkError('Connection to h:1 failed.', { cause: error }))).toMatchObject({ code: 'CONNECTION', message: cause.message });
  });

  it('is told in one line', () => {
    expect(toFailure(new Error(`first\n  second ${'x'.repeat(500)}`)).message).toMatch(/^first second x{287}…$/);
    expect(toFailure(undefined).message).toBe('the connection was closed');
  });
});

describe('classify', () => {
  it('an answer that is not known is a refusal, never passed over (I8)', () => {
    expect(classify('SOMETHING_NEW')).toBe('refused');
    expect(classify('constructor')).toBe('refused');
  });

  it('what was not answered is tried again; what makes the producer unusable is looked into', () => {
    for (const code of ['CONNECTION', 'TIMEOUT', 'NO_RESPONSE', 'NOT_ENOUGH_REPLICAS', 'REQUEST_TIMED_OUT']) expect(classify(code)).toBe('again');
    for (const code of ['OUT_OF_ORDER_SEQUENCE_NUMBER', 'INVALID_PRODUCER_EPOCH', 'UNKNOWN_PRODUCER_ID']) expect(classify(code)).toBe('producer');
  });
});
