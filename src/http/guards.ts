/** Who may ask: checks on a request that know nothing of what is asked for. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { isLoopback } from '../config/listen.ts';

/** The name in a Host header or after `://` in an Origin, without port and brackets. Null: it has not that form. */
function hostName(text: string): string | null {
  const match = /^(?:\[([\da-fA-F:.]+)\]|([A-Za-z\d._-]+))(?::\d{1,5})?$/.exec(text);
  return match?.[1] ?? match?.[2] ?? null;
}

/**
 * Against DNS rebinding: a page in a browser on this machine may reach a loopback listener by a name of its own. Then Host and Origin tell that name.
 * @param own the host that is listened on
 */
export function isTrustedHost(own: string, host: string | undefined, origin: string | undefined): boolean {
  const isOwn = (name: string | null): boolean => name !== null && (isLoopback(name) || name.toLowerCase() === own.toLowerCase());
  if (!isOwn(hostName(host ?? ''))) return false;
  return origin === undefined || isOwn(hostName(/^https?:\/\/(.*)$/.exec(origin)?.[1] ?? ''));
}

/** `Bearer <token>`, or `Basic` with any user name and the token as the password, which is what clients of registries can send. In constant time. */
export function hasToken(token: string, authorization: string | undefined): boolean {
  const [, scheme = '', value = ''] = /^(\S+) +(\S+)$/.exec(authorization ?? '') ?? [];
  const basic = Buffer.from(value, 'base64').toString('utf8');
  const given = scheme.toLowerCase() === 'basic' ? basic.slice(basic.indexOf(':') + 1) : scheme.toLowerCase() === 'bearer' ? value : '';
  return timingSafeEqual(digest(given), digest(token));
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** So many requests at once, and so many more each second, of one address. */
const BURST = 2_000;
const PER_SECOND = 500;
const MAX_ADDRESSES = 1_000;

/** One bucket for each address; when there are too many, all are forgotten. */
export class RateGuard {
  readonly #now: () => number;
  readonly #buckets = new Map<string, { left: number; atMs: number }>();

  /** @param now monotonic milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Counts a request. False: there are too many. */
  take(address: string): boolean {
    const now = this.#now();
    const bucket = this.#buckets.get(address) ?? { left: BURST, atMs: now };
    bucket.left = Math.min(BURST, bucket.left + ((now - bucket.atMs) * PER_SECOND) / 1_000);
    bucket.atMs = now;
    if (this.#buckets.size >= MAX_ADDRESSES && !this.#buckets.has(address)) this.#buckets.clear();
    this.#buckets.set(address, bucket);
    if (bucket.left < 1) return false;
    bucket.left--;
    return true;
  }
}

/** As deep as any document that is taken; what goes through it deeper would run out of stack. */
const MAX_DEPTH = 64;

/** Whether objects and arrays stand in each other more than that. Of a text that is no JSON it says anything. */
export function isNestedTooDeep(json: string): boolean {
  let depth = 0;
  for (const [token] of json.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{}]/g)) {
    if (token === '{' || token === '[') depth++;
    else if (token === '}' || token === ']') depth--;
    if (depth > MAX_DEPTH) return true;
  }
  return false;
}
