/**
 * Positions in PostgreSQL's log. An LSN is a 64-bit byte address; as text `hi/lo` in hexadecimal. On the hot path it is two unsigned 32-bit
 * halves; as one BigInt only at the edges, for comparing and subtracting (LSN texts are never compared: servers and libraries pad them differently).
 */
import type { Position } from '#plugin';

const TEXT = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/;

/** `0/16B3748` → 23803720n; null if it is no LSN. */
export function parseLsn(text: string): bigint | null {
  const parts = TEXT.exec(text.trim());
  return parts === null ? null : (BigInt(`0x${parts[1]}`) << 32n) | BigInt(`0x${parts[2]}`);
}

/** 23803720n → `0/16B3748`, the server's own form. */
export function formatLsn(lsn: bigint): string {
  return formatHalves(Number(lsn >> 32n), Number(lsn & 0xffffffffn));
}

export function formatHalves(hi: number, lo: number): string {
  return `${hi.toString(16).toUpperCase()}/${lo.toString(16).toUpperCase()}`;
}

/** Sixteen hexadecimal digits, as in transaction ids. */
export function hexHalves(hi: number, lo: number): string {
  return (hi.toString(16).padStart(8, '0') + lo.toString(16).padStart(8, '0')).toUpperCase();
}

/** Where the log source can start again. All values are text (design §3, `Position`). */
export interface LogPosition extends Position {
  /** The end of a commit, or a later place with no transaction open: the first byte that is not yet processed. */
  readonly lsn: string;
  /**
   * What `source.sequence` of the next record names as the previous commit: kept apart from `lsn`, which keepalives move, or a replay would
   * change the bytes (I4). Null: no commit was seen.
   */
  readonly lastCommit: string | null;
  /** Commit time of that commit, microseconds since the epoch: what a non-transactional message is dated with. Null: no commit was seen. */
  readonly lastCommitMicros: string | null;
  readonly timeline: string;
  /** The cluster's system identifier: LSNs mean nothing in another one. */
  readonly systemId: string;
}

/** Reads a stored position; null if a field is missing or malformed. */
export function readPosition(position: Position): LogPosition | null {
  const { lsn, lastCommit = null, lastCommitMicros = null, timeline, systemId } = position;
  if (typeof lsn !== 'string' || parseLsn(lsn) === null) return null;
  if (lastCommit !== null && parseLsn(lastCommit) === null) return null;
  if (lastCommitMicros !== null && !/^\d+$/.test(lastCommitMicros)) return null;
  if (typeof timeline !== 'string' || typeof systemId !== 'string') return null;
  return { lsn, lastCommit, lastCommitMicros, timeline, systemId };
}

/** Identity of a transaction in message ids: unique for ever within a cluster (I4). */
export function transactionId(systemId: string, commitHi: number, commitLo: number, xid: number): string {
  return `${systemId}/${hexHalves(commitHi, commitLo)}.${xid}`;
}

/** The commit LSN in a transaction id that `transactionId` made, or null. */
export function commitLsnOf(id: string): bigint | null {
  const parts = /\/([0-9A-Fa-f]{16})\.\d+$/.exec(id);
  return parts === null ? null : BigInt(`0x${parts[1]}`);
}

/**
 * Writes the 64-bit number hi·2³² + lo as decimal digits at `bytes[at]` and returns their end. Needs up to 20 bytes. No BigInt below 2⁵³: this runs
 * once per row, for `source.lsn`.
 */
export function writeDecimal(bytes: Buffer, at: number, hi: number, lo: number): number {
  if (hi >= 0x200000) return at + bytes.write(((BigInt(hi) << 32n) | BigInt(lo)).toString(), at, 'latin1');
  // Exact: below 2^53 the sum is, and a correctly rounded quotient never reaches the next whole number.
  const value = hi * 0x1_0000_0000 + lo;
  const upper = Math.floor(value / 1e8);
  const lower = value - upper * 1e8;
  if (upper === 0) return writeDigits(bytes, at, lower, digitCount(lower));
  return writeDigits(bytes, writeDigits(bytes, at, upper, digitCount(upper)), lower, 8);
}

function writeDigits(bytes: Uint8Array, at: number, value: number, count: number): number {
  let rest = value | 0;
  for (let i = at + count - 1; i >= at; i--) {
    const quotient = (rest / 10) | 0;
    bytes[i] = 0x30 + rest - quotient * 10;
    rest = quotient;
  }
  return at + count;
}

function digitCount(value: number): number {
  let count = 1;
  for (let limit = 10; value >= limit; limit *= 10) count++;
  return count;
}
