import { describe, expect, it } from 'vitest';
import { applicationName, quoteIdentifier, quoteLiteral, quoteTable } from '../../../../connectors/postgres/client.ts';
import { asSluiceError } from '../../../../connectors/postgres/connection-error.ts';
import { slotLost } from '../../../../connectors/postgres/errors.ts';
import { SluiceError } from '../../../../src/plugin/error.ts';
import { postgresConfig } from '../../../support/postgres-source.ts';

const config = postgresConfig('postgres://sluice:canary@db.internal:6000/shop');

/** As pg's DatabaseError: the server's errors have a severity. */
function serverError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code, severity: 'FATAL', detail: 'Key (ssn)=(canary) exists' });
}

function systemError(code: string, message = code): Error {
  return Object.assign(new Error(message), { code });
}

describe('errors of the connection', () => {
  it.each([
    [systemError('ECONNREFUSED'), 'SLUICE_PG_UNREACHABLE', 'auto'],
    [systemError('ENOTFOUND'), 'SLUICE_PG_UNREACHABLE', 'auto'],
    [new Error('timeout expired'), 'SLUICE_PG_UNREACHABLE', 'auto'],
    [systemError('ECONNRESET'), 'SLUICE_PG_CONNECTION_LOST', 'auto'],
    [new Error('Connection terminated unexpectedly'), 'SLUICE_PG_CONNECTION_LOST', 'auto'],
    [systemError('DEPTH_ZERO_SELF_SIGNED_CERT'), 'SLUICE_PG_TLS', 'manual'],
    [systemError('ERR_TLS_CERT_ALTNAME_INVALID'), 'SLUICE_PG_TLS', 'manual'],
    [systemError('UNABLE_TO_VERIFY_LEAF_SIGNATURE'), 'SLUICE_PG_TLS', 'manual'],
    [new Error('The server does not support SSL connections'), 'SLUICE_PG_TLS_REFUSED', 'manual'],
    [new Error('There was an error establishing an SSL connection'), 'SLUICE_PG_TLS', 'manual'],
    [new Error('SASL: SCRAM-SERVER-FINAL-MESSAGE: server signature does not match'), 'SLUICE_PG_AUTHENTICATION', 'manual'],
    [serverError('28P01', 'password authentication failed'), 'SLUICE_PG_AUTHENTICATION', 'manual'],
    [serverError('28000', 'no pg_hba.conf entry'), 'SLUICE_PG_NOT_ADMITTED', 'manual'],
    [serverError('3D000', 'database "shop" does not exist'), 'SLUICE_PG_DATABASE_MISSING', 'manual'],
    [serverError('53300', 'sorry, too many clients already'), 'SLUICE_PG_TOO_MANY_CONNECTIONS', 'auto'],
    [serverError('53300', 'number of requested standby connections exceeds max_wal_senders (currently 10)'), 'SLUICE_PG_NO_WALSENDER', 'auto'],
    [serverError('53400', 'all replication slots are in use'), 'SLUICE_PG_NO_FREE_SLOT', 'manual'],
    [serverError('57P03', 'the database system is starting up'), 'SLUICE_PG_CONNECTION_LOST', 'auto'],
    [serverError('57P01', 'terminating connection due to administrator command'), 'SLUICE_PG_CONNECTION_LOST', 'auto'],
    [serverError('57014', 'canceling statement due to statement timeout'), 'SLUICE_PG_QUERY_INTERRUPTED', 'auto'],
    [serverError('40001', 'could not serialize'), 'SLUICE_PG_QUERY_INTERRUPTED', 'auto'],
    [serverError('42P01', 'relation does not exist'), 'SLUICE_PG_QUERY_FAILED', 'manual'],
    // PgBouncer, which takes neither `options` nor `replication`.
    [serverError('08P01', 'unsupported startup parameter: options'), 'SLUICE_PG_POOLER', 'never'],
    [serverError('08P01', 'unsupported startup parameter in options: row_security'), 'SLUICE_PG_POOLER', 'never'],
  ] as const)('%s: %s', (error, code, retry) => {
    const typed = asSluiceError(error, { config, doing: 'the test' });
    expect([typed.code, typed.kind.retry]).toEqual([code, retry]);
    expect(`${typed.message} ${typed.remedy}`).not.toMatch(/\{\w+\}/);
    // Neither the password nor the server's detail, which can hold a row's values (I12).
    expect(`${typed.message} ${typed.remedy}`).not.toContain('canary');
  });

  it('the right to replicate is missing: on a replication connection only', () => {
    const error = serverError('42501', 'must be superuser or replication role to start walsender');
    expect(asSluiceError(error, { config, doing: 'x', replication: true }).code).toBe('SLUICE_PG_NO_REPLICATION_RIGHT');
    expect(asSluiceError(error, { config, doing: 'x' }).code).toBe('SLUICE_PG_QUERY_FAILED');
  });

  it('a slot that somebody took meanwhile is waited for, and its holder named', () => {
    const typed = asSluiceError(serverError('55006', 'replication slot "s" is active for PID 4711'), {
      config,
      doing: 'x',
      replication: true,
      slot: 's',
    });
    expect([typed.code, typed.kind.retry]).toEqual(['SLUICE_PG_SLOT_IN_USE', 'auto']);
    expect(typed.remedy).toContain('pg_terminate_backend(4711)');
  });

  it('a publication that is younger than the slot is a stop: decoding there fails for ever', () => {
    const typed = asSluiceError(serverError('42704', 'publication "p" does not exist'), { config, doing: 'x', replication: true, slot: 's' });
    expect([typed.code, typed.kind.retry]).toEqual(['SLUICE_PG_PUBLICATION_AFTER_SLOT', 'manual']);
    expect(typed.message).toContain('"p"');
  });

  it('both addresses of a host name refused: one cause, with host and port', () => {
    const error = new AggregateError([
      systemError('ECONNREFUSED', 'connect ECONNREFUSED ::1:6000'),
      systemError('ECONNREFUSED', 'connect ECONNREFUSED 127.0.0.1:6000'),
    ]);
    const typed = asSluiceError(error, { config, doing: 'x' });
    expect(typed.code).toBe('SLUICE_PG_UNREACHABLE');
    expect(typed.message).toBe('Postgres at db.internal:6000 cannot be reached: connection refused.');
  });

  it('a typed error stays what it is, also inside another', () => {
    const typed = new SluiceError(slotLost, { slot: 's' });
    expect(asSluiceError(typed, { config, doing: 'x' })).toBe(typed);
    expect(asSluiceError(new Error('around', { cause: typed }), { config, doing: 'x' })).toBe(typed);
  });
});

describe('names in SQL', () => {
  it('identifiers are quoted by one function', () => {
    expect(quoteIdentifier('My"Table')).toBe('"My""Table"');
    expect(quoteTable({ schema: 'a.b', name: 'c d' })).toBe('"a.b"."c d"');
    expect(() => quoteIdentifier('a\0b')).toThrow();
    expect(() => quoteIdentifier('')).toThrow();
    expect(quoteLiteral("it's")).toBe("'it''s'");
  });

  it('the application name keeps the instance whole within 63 bytes of ASCII', () => {
    expect(applicationName('shop', 'abc')).toBe('sluice shop abc');
    const long = applicationName('ü'.repeat(100), '5f0c1a2b-3c4d-4e5f-8a9b-0c1d2e3f4a5b');
    expect(Buffer.byteLength(long)).toBe(63);
    expect(long.endsWith(' 5f0c1a2b-3c4d-4e5f-8a9b-0c1d2e3f4a5b')).toBe(true);
    expect(long).toMatch(/^[ -~]+$/);
  });
});
