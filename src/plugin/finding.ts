import { type ErrorParameters, fill, type SluiceError, sentenceOf } from './error.ts';

export type Severity = 'error' | 'warning' | 'info';

/** Something that preflight found. Errors stop the connector before it starts; warnings are logged. */
export interface Finding {
  readonly severity: Severity;
  /** Stable code, as of errors. */
  readonly code: string;
  readonly message: string;
  /** Why it matters, where the message does not say so itself. */
  readonly why?: string;
  /** The SQL or command that mends it. */
  readonly remedy: string;
  readonly table?: string;
  /** Left out: mending it takes a decision. */
  readonly fix?: Fix;
}

/**
 * A remedy that `sluice doctor --fix` carries out. Only for what is harmless: it changes nothing that another reader or writer of the server goes by, refuses nobody a
 * statement, gives nothing away, and what it makes can be undone by one statement.
 */
export interface Fix {
  /** As it stands in the remedy. */
  readonly statement: string;
  /** Carries out exactly that, over a connection of its own. Throws a SluiceError. */
  apply(signal: AbortSignal): Promise<void>;
}

/** A finding that is no error of a running connector: what makes a server less safe, slower or more open than it could be. */
export interface FindingKind {
  /** Stable, upper case, `SLUICE_…`. */
  readonly code: string;
  readonly severity: Severity;
  /** What was found, with `{name}` for parameters. */
  readonly cause: string;
  /** Why it matters, likewise. */
  readonly why: string;
  /** The SQL or command that mends it, likewise. */
  readonly remedy: string;
}

/** Declares a kind of finding. Identity function: it exists so that every kind is found by one search. */
export function defineFinding<const K extends FindingKind>(kind: K): K {
  return kind;
}

/** A finding of a kind. `severity`: where it is another one than the kind's. */
export function findingOf(
  { code, severity, cause, why, remedy }: FindingKind,
  parameters: ErrorParameters = {},
  more: { readonly severity?: Severity; readonly table?: string; readonly fix?: Fix } = {},
): Finding {
  return { severity, code, message: sentenceOf(cause, parameters), why: sentenceOf(why, parameters), remedy: fill(remedy, parameters), ...more };
}

/** A finding in the words of an error; `error` stops the connector. */
export function errorFinding({ code, message, remedy, table }: SluiceError, severity: Severity = 'error'): Finding {
  return { severity, code, message, remedy, ...(table === undefined ? {} : { table }) };
}
