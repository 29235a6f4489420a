/**
 * Typed errors. A kind is defined once, with its stable code, cause and remedy, next to the code that raises it and listed in the plug-in's
 * manifest; `docs/errors.md` is generated from the kinds. Messages never hold a secret or a row value (I12): parameters name tables, slots, sizes.
 */

/** What the supervisor may do by itself: `auto` = try again with backoff, `manual` = stop until an operator acts, `never` = the configuration is wrong. */
export type Retry = 'auto' | 'manual' | 'never';

export interface ErrorKind {
  /** Stable, upper case, `SLUICE_…`: what scripts and alerts match on. */
  readonly code: string;
  readonly retry: Retry;
  /** Process exit code when this error ends a command: 1 runtime, 2 configuration, 3 environment. */
  readonly exit: 1 | 2 | 3;
  /** Cause, with `{name}` for parameters. */
  readonly cause: string;
  /** What the reader should do, with `{name}` for parameters; names a command or statement where one exists. */
  readonly remedy: string;
  /** The stored position can never be read on from; on the same server the log can be begun anew, with a gap that copies of all tables close. */
  readonly positionLost?: true;
  /** The server does not take the credentials. To a connector that ran with them before they are being exchanged: it tries again, with what the configuration says by then. */
  readonly refusesCredentials?: true;
}

export type ErrorParameters = Readonly<Record<string, string | number | bigint | boolean>>;

/** An error that can be shown to a user as it is: no stack needed to act on it. */
export class SluiceError extends Error {
  readonly kind: ErrorKind;
  readonly remedy: string;
  /** The table this is about, `schema.name`, if it is about one. */
  readonly table: string | undefined;

  constructor(kind: ErrorKind, parameters: ErrorParameters = {}, options: { cause?: unknown; table?: string } = {}) {
    super(sentenceOf(kind.cause, parameters), options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'SluiceError';
    this.kind = kind;
    this.remedy = fill(kind.remedy, parameters);
    this.table = options.table;
  }

  get code(): string {
    return this.kind.code;
  }
}

/** Declares an error kind. Identity function: it exists so that every kind is found by one search. */
export function defineError<const K extends ErrorKind>(kind: K): K {
  return kind;
}

/** A template that is a sentence, with its parameters: one of them may bring a full stop of its own (a server's words, a nested message). */
export function sentenceOf(template: string, parameters: ErrorParameters): string {
  return fill(template, parameters).replace(/([.!?])\.$/, '$1');
}

/** A template with its parameters. What is no parameter stays as it is. */
export function fill(template: string, parameters: ErrorParameters): string {
  return template.replace(/\{(\w+)\}/g, (whole, name: string) => (Object.hasOwn(parameters, name) ? String(parameters[name]) : whole));
}

/** Walks `cause` and `errors` (clients nest them) to the innermost message that says something. */
export function rootMessage(error: unknown): string {
  let current: unknown = error;
  for (let depth = 0; depth < 10; depth++) {
    if (typeof current !== 'object' || current === null) break;
    const { cause, errors } = current as { cause?: unknown; errors?: unknown };
    const next: unknown = Array.isArray(errors) && errors.length > 0 ? errors[0] : cause;
    if (next === undefined || next === null) break;
    current = next;
  }
  if (current instanceof Error) return current.message === '' ? ((current as { code?: string }).code ?? current.name) : current.message;
  return String(current);
}
