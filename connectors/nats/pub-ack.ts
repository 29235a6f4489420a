/** What the server answered to a publish. */
export type Reply =
  | { readonly kind: 'stored'; readonly sequence: number }
  | { readonly kind: 'error'; readonly code: number; readonly detail: string }
  /** Not an acknowledgement at all. */
  | { readonly kind: 'unknown' };

const SEQUENCE = Buffer.from('"seq":');
/** Longest text that is looked at byte by byte; real ones have some 40 to 120 bytes. */
const SEARCH_BYTES = 512;

/**
 * The sequence in `{"stream":"X","seq":N…}` without making an object of it, or −1: then `parseReply` says what it is. The server writes `error` in
 * front, so a text that begins with `{"stream":` is an acknowledgement (nats-server, `JSPubAckResponse`); a stream's name holds no quote.
 */
export function sequenceOf(data: Uint8Array): number {
  const length = Math.min(data.length, SEARCH_BYTES);
  // {"s, as opposed to {"e
  if (length < 14 || data[0] !== 0x7b || data[2] !== 0x73) return -1;
  for (let at = 10; at < length; at++) {
    if (data[at] !== 0x22 || data[at + 1] !== 0x73 || !isSequenceKey(data, at)) continue;
    let value = 0;
    let digits = 0;
    for (let to = at + SEQUENCE.length; to < length; to++, digits++) {
      const digit = (data[to] as number) - 48;
      if (digit < 0 || digit > 9) return digits > 0 && digits <= 15 ? value : -1;
      value = value * 10 + digit;
    }
    return -1;
  }
  return -1;
}

function isSequenceKey(data: Uint8Array, at: number): boolean {
  for (let i = 0; i < SEQUENCE.length; i++) if (data[at + i] !== SEQUENCE[i]) return false;
  return true;
}

/** Any reply, slowly. */
export function parseReply(data: Uint8Array): Reply {
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.length).toString('utf8'));
  } catch {
    return { kind: 'unknown' };
  }
  if (typeof parsed !== 'object' || parsed === null) return { kind: 'unknown' };
  const { error, seq } = parsed as { error?: { err_code?: number; code?: number; description?: string }; seq?: number };
  if (error !== undefined) return { kind: 'error', code: error.err_code ?? error.code ?? 0, detail: error.description ?? 'no description' };
  return typeof seq === 'number' && seq > 0 ? { kind: 'stored', sequence: seq } : { kind: 'unknown' };
}

/** Error codes of the server (nats-server, `server/errors.json`). */
export const CODE = {
  accountResources: 10002,
  insufficientResources: 10023,
  memoryResources: 10028,
  jetStreamDisabled: 10039,
  storageResources: 10047,
  messageExceedsMaximum: 10054,
  streamNotFound: 10059,
  wrongLastMessageId: 10070,
  wrongLastSequence: 10071,
  replicasUnsupported: 10074,
  storeFailed: 10077,
  headerExceedsMaximum: 10097,
  sealed: 10109,
  duplicateInFlight: 10158,
  wrongLastSequenceUnknown: 10164,
} as const;

/** What a refusal means for the publisher. */
export type Meaning = 'resync' | 'again' | 'full' | 'too large' | 'refused';

export function meaningOf(code: number, detail: string): Meaning {
  switch (code) {
    case CODE.wrongLastMessageId:
    case CODE.wrongLastSequence:
    case CODE.wrongLastSequenceUnknown:
      return 'resync';
    // The same id is being stored at this moment, or was when a leader was lost: not known, so it is asked again (algorithms §4).
    case CODE.duplicateInFlight:
      return 'again';
    case CODE.accountResources:
    case CODE.insufficientResources:
    case CODE.memoryResources:
    case CODE.storageResources:
      return 'full';
    case CODE.storeFailed:
      // The detail says which limit; anything else the store may say (a disk's error) passes or is repeated by the next attempt.
      return 'full';
    case CODE.messageExceedsMaximum:
    case CODE.headerExceedsMaximum:
      return 'too large';
    case CODE.sealed:
      return 'refused';
    default:
      // 5xx are the server's own troubles (no leader, being shut down); their codes are many, the words are few.
      return /temporarily|not available|unavailable|leader|shutdown|in progress|clustered|insufficient/i.test(detail) ? 'again' : 'refused';
  }
}
