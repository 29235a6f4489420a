import { defineError, SluiceError } from '../plugin/error.ts';

export const REQUEST_INVALID = defineError({
  code: 'SLUICE_REQUEST_INVALID',
  retry: 'never',
  exit: 2,
  cause: 'The request {operation} is not understood: {reason}.',
  remedy: 'Ask as the OpenAPI document says (/api/v1/openapi.json), or use the `sluice` command of the same version as the daemon.',
});

/** One thing that an operation is told. `strings`: a list, or one string. `object`: JSON of its own. */
export interface Argument {
  readonly kind: 'string' | 'strings' | 'object';
  readonly isRequired?: boolean;
  /** The only values that it may have. */
  readonly choices?: readonly string[];
  readonly about: string;
}

/** Arguments that were read: what was not given is left out. */
export interface Arguments {
  /** Of an argument that is required, or was given. */
  text(name: string): string;
  given(name: string): string | undefined;
  list(name: string): readonly string[];
  /** Of an argument that is required. */
  object(name: string): Readonly<Record<string, unknown>>;
}

/**
 * Something that a running daemon can be asked for. One table for both ways: the command line's, over the control socket as `POST /<id>`, and the HTTP API's, by `method` and `paths`.
 */
export interface Operation {
  readonly id: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Below the API's prefix, resources named as Kafka Connect names them; `:connector` and the like are arguments. None: commands alone ask for it. */
  readonly paths: readonly string[];
  /** `read`: it changes nothing. */
  readonly scope: 'read' | 'operate';
  readonly summary: string;
  readonly arguments: Readonly<Record<string, Argument>>;
  /** The argument that is the whole body of an HTTP request; left out: the body's members are arguments. */
  readonly body?: string;
  /** It makes something new: HTTP says so. */
  readonly creates?: true;
  /** Throws a SluiceError. What it answers is JSON. */
  readonly run: (given: Arguments) => Promise<unknown>;
}

/** Reads what was sent. Throws SLUICE_REQUEST_INVALID: nothing is read and ignored. */
export function readArguments(operation: Operation, sent: unknown): Arguments {
  const refuse = (reason: string): never => {
    throw new SluiceError(REQUEST_INVALID, { operation: operation.id, reason });
  };
  if (sent !== undefined && !isObject(sent)) refuse('it is one JSON object');
  const values = new Map<string, readonly string[]>();
  const objects = new Map<string, Readonly<Record<string, unknown>>>();
  for (const [name, value] of Object.entries(sent ?? {})) {
    const known = Object.hasOwn(operation.arguments, name) ? operation.arguments[name] : undefined;
    if (known === undefined) refuse(`it has no "${name}"`);
    // A command says null for what was not asked for.
    else if (value === null || value === undefined) continue;
    else if (known.kind !== 'object') values.set(name, textsOf(name, value, known, refuse));
    else if (isObject(value)) objects.set(name, value);
    else refuse(`"${name}" is one JSON object`);
  }
  for (const [name, { isRequired }] of Object.entries(operation.arguments)) {
    if (isRequired === true && (values.get(name) ?? []).length === 0 && !objects.has(name)) refuse(`"${name}" is missing`);
  }
  return {
    text: (name) => values.get(name)?.[0] ?? '',
    given: (name) => values.get(name)?.[0],
    list: (name) => values.get(name) ?? [],
    object: (name) => objects.get(name) ?? {},
  };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textsOf(name: string, value: unknown, { kind, choices }: Argument, refuse: (reason: string) => never): readonly string[] {
  const all: readonly unknown[] = kind === 'strings' && Array.isArray(value) ? value : [value];
  return all.map((given) => {
    // As JSON has yes and no.
    const each = typeof given === 'boolean' ? String(given) : given;
    if (typeof each !== 'string') return refuse(`"${name}" is ${kind === 'string' ? 'a string' : 'a list of strings'}`);
    if (choices !== undefined && !choices.includes(each)) return refuse(`"${name}" is one of ${choices.join(', ')}`);
    return each;
  });
}
