import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { meaningOf, parseReply, sequenceOf } from '../../../../connectors/nats/pub-ack.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('acknowledgements', () => {
  it.each([
    ['{"stream":"SHOP","seq":1}', 1],
    ['{"stream":"SHOP","seq":9007199254}', 9007199254],
    ['{"stream":"SHOP","seq":17,"duplicate":true}', 17],
    ['{"stream":"SHOP","domain":"hub","seq":42}', 42],
    ['{"stream":"SHOP","domain":"hub","seq":42,"duplicate":true}', 42],
    ['{"stream":"S","seq":12,"val":"5"}', 12],
    ['{"stream":"seq","seq":3}', 3],
  ])('%s', (text, sequence) => {
    expect(sequenceOf(bytes(text))).toBe(sequence);
    expect(parseReply(bytes(text))).toEqual({ kind: 'stored', sequence });
  });

  it.each([
    '{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 3"},"stream":"SHOP","seq":0}',
    '{"error":{"code":503,"description":"\\"seq\\":5"}}',
    '{"stream":"SHOP","seq":',
    '{"stream":"SHOP","seq":x}',
    '{"stream":"SHOP","seq":5',
    '{"stream":"SHOP"}',
    '',
    'nonsense that is long enough',
  ])('no sequence is read from %s', (text) => {
    expect(sequenceOf(bytes(text))).toBe(-1);
  });

  it('an error keeps its code', () => {
    expect(parseReply(bytes('{"error":{"code":400,"err_code":10070,"description":"wrong last msg ID: x"},"stream":"S","seq":0}'))).toEqual({
      kind: 'error',
      code: 10070,
      detail: 'wrong last msg ID: x',
    });
    expect(parseReply(bytes('null'))).toEqual({ kind: 'unknown' });
    expect(parseReply(bytes('{"stream":"S","seq":0}'))).toEqual({ kind: 'unknown' });
  });

  it('the fast way and JSON.parse agree', () => {
    const name = fc.stringMatching(/^[A-Za-z0-9_-]{1,40}$/);
    fc.assert(
      fc.property(name, fc.option(name), fc.nat({ max: 2 ** 40 }), fc.boolean(), (stream, domain, seq, duplicate) => {
        const text = JSON.stringify({ stream, ...(domain === null ? {} : { domain }), seq: seq + 1, ...(duplicate ? { duplicate } : {}) });
        expect(sequenceOf(bytes(text))).toBe(seq + 1);
      }),
    );
  });

  it('what a refusal means', () => {
    expect(meaningOf(10158, 'duplicate message id is in process')).toBe('again');
    expect(meaningOf(10071, 'wrong last sequence: 1')).toBe('resync');
    expect(meaningOf(10070, 'wrong last msg ID: x')).toBe('resync');
    expect(meaningOf(10077, 'maximum messages exceeded')).toBe('full');
    expect(meaningOf(10054, 'message size exceeds maximum allowed')).toBe('too large');
    expect(meaningOf(10008, 'JetStream system temporarily unavailable')).toBe('again');
    expect(meaningOf(10109, 'invalid operation on sealed stream')).toBe('refused');
    expect(meaningOf(10060, 'expected stream does not match')).toBe('refused');
  });
});
