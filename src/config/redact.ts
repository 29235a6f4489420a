/** Shown in place of a secret. */
export const MASK = '***';

/**
 * A function that replaces every secret in a text by `***`: as it is, as it stands in a URL and as it stands in JSON; of a secret of several lines (a
 * key file) also each line (I12). Meant for the strings that go into a log line or an answer, before they are serialised.
 */
export function redactor(secrets: Iterable<string>): (text: string) => string {
  const forms = new Set<string>();
  for (const secret of secrets) {
    for (const form of formsOf(secret)) if (form !== '') forms.add(form);
  }
  if (forms.size === 0) return (text) => text;
  // Longest first: a secret that contains another one must go as a whole.
  const sorted = [...forms].sort((a, b) => b.length - a.length);
  const pattern = new RegExp(sorted.map((form) => form.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')).join('|'), 'g');
  return (text) => text.replace(pattern, MASK);
}

/** Of short-lived secrets so many are remembered: those of all connections at once, and no more with every day. */
const RENEWED = 64;

/** The secrets that a process knows, by and by: what hides them hides all that are known by then (I12). */
export class Redaction {
  readonly #secrets: Set<string>;
  /** The oldest first. */
  readonly #renewed = new Set<string>();
  #redact: (text: string) => string;

  constructor(secrets: Iterable<string>) {
    this.#secrets = new Set(secrets);
    this.#redact = redactor(this.#secrets);
  }

  /** What was secret stays so. */
  hide(secrets: Iterable<string>): void {
    for (const secret of secrets) this.#secrets.add(secret);
    this.#remember();
  }

  /** A secret that others follow soon: the newest are hidden. */
  hideRenewed(secret: string): void {
    const isNew = !this.#renewed.delete(secret);
    this.#renewed.add(secret);
    const [oldest] = this.#renewed;
    if (this.#renewed.size > RENEWED && oldest !== undefined) this.#renewed.delete(oldest);
    if (isNew) this.#remember();
  }

  #remember(): void {
    this.#redact = redactor([...this.#secrets, ...this.#renewed]);
  }

  redact(text: string): string {
    return this.#redact(text);
  }
}

function formsOf(secret: string): string[] {
  const whole = [secret, uriForm(secret), JSON.stringify(secret).slice(1, -1)];
  // Lines such as "-----BEGIN PRIVATE KEY-----" are no secret and would hide useful text.
  const lines = secret.split(/\r?\n/).map((line) => line.trim());
  return lines.length === 1 ? whole : [...whole, ...lines.filter((line) => line.length >= 16 && !line.startsWith('---'))];
}

/** Lone surrogates cannot be encoded. */
function uriForm(secret: string): string {
  try {
    return encodeURIComponent(secret);
  } catch {
    return secret;
  }
}

const USER_INFO = /^([a-z][a-z\d+.-]*:\/\/)([^/?#\s]*)@/i;
const SECRET_PARAMETER = /([?&](?:password|passwd|pass|sslpassword|token|auth_token|secret|jwt)=)([^&#\s]+)/gi;

/** The secrets that a URL carries: password of the user info, and query parameters that are called so. As written and decoded. */
export function urlSecrets(url: string): string[] {
  const found: string[] = [];
  const userInfo = USER_INFO.exec(url)?.[2];
  if (userInfo !== undefined) {
    const colon = userInfo.indexOf(':');
    if (colon >= 0) found.push(userInfo.slice(colon + 1));
  }
  if (/^[a-z][a-z\d+.-]*:\/\//i.test(url)) for (const [, , value = ''] of url.matchAll(SECRET_PARAMETER)) found.push(value);
  return [...new Set(found.flatMap((secret) => [secret, decoded(secret)]))].filter((secret) => secret !== '');
}

/** A URL as it may be shown. `isSecret`: whether what stands where a secret does is one. */
export function maskUrl(url: string, isSecret: (text: string) => boolean = () => true): string {
  const masked = (secret: string): string => (isSecret(secret) ? MASK : secret);
  return url
    .replace(USER_INFO, (_, scheme: string, info: string) => {
      const colon = info.indexOf(':');
      return `${scheme}${colon < 0 ? info : `${info.slice(0, colon)}:${masked(info.slice(colon + 1))}`}@`;
    })
    .replace(SECRET_PARAMETER, (_, name: string, secret: string) => name + masked(secret));
}

/** Whether a text may hold a password where none is looked for: a URL that is written wrong, or what another program takes in place of one. */
export function isSuspect(text: string): boolean {
  const rest = text.replace(USER_INFO, '').replace(SECRET_PARAMETER, '');
  return /:[^@]*@/.test(rest) || /(?:^|[\s;,&?])(?:password|passwd|pass|pwd|sslpassword|token|secret)\s*=/i.test(rest);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
