import { isAbsolute, resolve } from 'node:path';
import type { ConfigOf, Field, FieldTable } from '../plugin/field.ts';
import { daemonFields, environmentOptions } from './daemon-fields.ts';
import { CONFIG_CHECK, CONFIG_WRONG_TYPE } from './errors.ts';
import type { JsonNode, StringNode } from './json.ts';
import { isLoopback, type ListenAddress, readListen } from './listen.ts';
import { FileProblems, nodeAt, type ProblemList } from './problem.ts';
import { show, type Validation, validateField, validateObject } from './validate.ts';

type Raw = ConfigOf<typeof daemonFields>;

export interface HttpConfig extends ListenAddress {
  /** Null: none is asked for. */
  readonly token: string | null;
  readonly readToken: string | null;
  /** Absolute paths; null: without TLS. */
  readonly tls: { readonly cert: string; readonly key: string; readonly clientCa: string | null } | null;
}

/** What `sluice.json` and the environment say together. Durations are milliseconds. */
export interface DaemonConfig {
  /** Absolute. */
  readonly dataDir: string;
  readonly health: ListenAddress;
  /** Null: there is none. */
  readonly http: HttpConfig | null;
  readonly registry: Raw['registry'];
  readonly stored: Raw['stored'];
  readonly log: Raw['log'];
  readonly shutdown: Raw['shutdown'];
  /** Null: there is no bound for the process as a whole. */
  readonly maxMemory: number | null;
}

/**
 * `file` null: there is no `sluice.json`, everything has its default. `home` (absolute): where a relative data directory starts. Null after an error.
 */
export function loadDaemon(
  file: { readonly tree: JsonNode; readonly validation: Validation } | null,
  home: string,
  cwd: string,
  env: Readonly<Record<string, string | undefined>>,
  list: ProblemList,
): DaemonConfig | null {
  const outside: Validation = {
    problems: new FileProblems('environment', null, list),
    texts: new Map(),
    secrets: new Set(),
    unknown: new Set(),
    failed: new Set(),
  };
  const errorsBefore = outside.problems.errors;
  const tree: JsonNode = file?.tree ?? { kind: 'object', at: 0, members: new Map(), duplicates: [] };
  const validation = file?.validation ?? outside;
  if (tree.kind !== 'object') {
    validation.problems.add('', tree, CONFIG_WRONG_TYPE, { expected: 'an object', given: show(tree), hint: 'sluice.json is one JSON object.' });
    return null;
  }
  const values = validateObject(daemonFields, tree, '', validation) as unknown as Raw;
  const fromEnv = environment(env, outside);
  if (outside.problems.errors > errorsBefore) return null;
  const listen = (fromEnv.get('http.listen') as string | undefined) ?? values.http.listen;
  const http = listen === undefined || validation.unknown.has('http.listen') ? null : httpOf(values.http, listen, home);
  checkHttp(values, listen, tree, validation);
  checkStored(values, tree, validation);
  const dataDir = fromEnv.has('dataDir') ? resolve(cwd, fromEnv.get('dataDir') as string) : resolve(home, values.dataDir);
  return {
    dataDir,
    health: readListen((fromEnv.get('health.listen') as string | undefined) ?? values.health.listen),
    http,
    registry: values.registry,
    stored: values.stored,
    log: { ...values.log, level: (fromEnv.get('log.level') as Raw['log']['level'] | undefined) ?? values.log.level },
    shutdown: values.shutdown,
    maxMemory: values.maxMemory ?? null,
  };
}

function httpOf({ token, readToken, tls: { cert, key, clientCa } }: Raw['http'], listen: string, home: string): HttpConfig {
  const isSecure = cert !== undefined && key !== undefined;
  const tls = isSecure
    ? { cert: resolve(home, cert), key: resolve(home, key), clientCa: clientCa === undefined ? null : resolve(home, clientCa) }
    : null;
  return { ...readListen(listen), token: token ?? null, readToken: readToken ?? null, tls };
}

/** Nothing is read and ignored, and nobody listens to the world without a token. */
function checkHttp({ http, registry }: Raw, listen: string | undefined, tree: JsonNode, { problems, unknown, failed }: Validation): void {
  const say = (path: string, statement: string, advice: string): void => problems.add(path, nodeAt(tree, path), CONFIG_CHECK, { statement, advice });
  const advice = 'Write "http": { "listen": "127.0.0.1:8085" }.';
  if (listen === undefined) {
    if (failed.has('http.listen')) return;
    if (registry.enabled) say('registry.enabled', 'The registry is offered on the listener of "http", and there is none.', advice);
    for (const name of ['token', 'readToken'] as const)
      if (http[name] !== undefined) say(`http.${name}`, 'There is no listener that asks for the token.', advice);
    for (const name of ['cert', 'key', 'clientCa'] as const)
      if (http.tls[name] !== undefined) say(`http.tls.${name}`, 'There is no listener that it is for.', advice);
    return;
  }
  checkTls(http.tls, say);
  if (http.readToken !== undefined && http.token === undefined && http.tls.clientCa === undefined && !failed.has('http.token'))
    say(
      'http.readToken',
      'Nobody could change anything, and whoever has this token is not told from who has none.',
      'Add "token": "${env:SLUICE_HTTP_TOKEN}" to "http".',
    );
  if (
    http.token === undefined &&
    http.tls.clientCa === undefined &&
    !failed.has('http.token') &&
    !unknown.has('http.listen') &&
    !isLoopback(readListen(listen).host)
  ) {
    say('http.listen', `Whoever reaches ${listen} could use the API.`, 'Add "token": "${env:SLUICE_HTTP_TOKEN}" to "http", or listen on 127.0.0.1.');
  }
}

function checkStored({ stored }: Raw, tree: JsonNode, { problems }: Validation): void {
  for (const [index, directory] of stored.files.entries()) {
    if (isAbsolute(directory)) continue;
    const path = `stored.files[${index}]`;
    problems.add(path, nodeAt(tree, path), CONFIG_CHECK, {
      statement: `"${directory}" is no absolute path.`,
      advice: 'Write the whole path of the directory.',
    });
  }
}

function checkTls({ cert, key, clientCa }: Raw['http']['tls'], say: (path: string, statement: string, advice: string) => void): void {
  if (cert !== undefined && key === undefined) say('http.tls.cert', 'A certificate is of no use without its key.', 'Add "key" to "http.tls".');
  if (key !== undefined && cert === undefined) say('http.tls.key', 'A key is of no use without its certificate.', 'Add "cert" to "http.tls".');
  if (clientCa !== undefined && cert === undefined && key === undefined)
    say('http.tls.clientCa', 'Clients show certificates only where the server does.', 'Add "cert" and "key" to "http.tls".');
}

/** Environment variables go through the same fields as the file; an empty one counts as not set. */
function environment(env: Readonly<Record<string, string | undefined>>, validation: Validation): Map<string, unknown> {
  const values = new Map<string, unknown>();
  for (const { variable, path } of environmentOptions) {
    const text = env[variable];
    if (text === undefined || text === '') continue;
    const node: StringNode = { kind: 'string', at: 0, value: text };
    const value = validateField(fieldAt(path), node, variable, validation);
    if (value !== undefined) values.set(path.join('.'), value);
  }
  return values;
}

function fieldAt(path: readonly string[]): Field {
  let table: FieldTable = daemonFields;
  for (const key of path.slice(0, -1)) {
    const field = table[key];
    if (field?.kind === 'object') table = field.fields;
  }
  return table[path[path.length - 1] as string] as Field;
}
