/**
 * What operators and log collectors get to see of the daemons of a test file, and a search in it for what must not stand there (I12): the secrets of their configuration, and
 * values of the rows of their sources.
 */
import mysql from 'mysql2/promise';
import pg from 'pg';

interface Artefact {
  readonly origin: string;
  readonly text: string;
}

/** Shorter ones stand everywhere by chance. */
const SHORTEST = 8;
const SECRET_OPTION = /^(password|token|readToken|passphrase|nkey|secret|clientSecret|key)$/;
/** So many are looked at. */
const TABLES = 40;
const ROWS = 300;
const WAIT_MS = 3_000;

/** Of commands that any test of this file has run. */
const commands: Artefact[] = [];

/** What a command has said. `dlq show` is asked for a row. */
export function noteCommand(args: readonly string[], text: string): void {
  if (args[0] === 'dlq' && args[1] === 'show') return;
  commands.push({ origin: `sluice ${args.slice(0, 2).join(' ')}`, text });
}

/** What must not be seen of the connectors of a daemon. */
export class Confidential {
  readonly #secrets = new Set<string>();
  readonly #sources = new Set<string>();

  /** Takes a configuration document, or a part of one, in. */
  learn(document: unknown): void {
    if (typeof document !== 'object' || document === null) return;
    for (const [option, value] of Object.entries(document)) {
      if (typeof value !== 'string') this.learn(value);
      else if (SECRET_OPTION.test(option) && !value.startsWith('/')) this.#learnSecret(value);
      else if (/^(postgres|postgresql|mysql):\/\//.test(value)) this.#learnSource(value);
    }
  }

  /** Values of the environment that references name. */
  learnEnvironment(environment: Readonly<Record<string, string>>): void {
    for (const [name, value] of Object.entries(environment)) if (/PASSWORD|TOKEN|SECRET/.test(name)) this.#learnSecret(value);
  }

  #learnSecret(value: string): void {
    if (!value.includes('${') && value.length >= SHORTEST) this.#secrets.add(value);
  }

  #learnSource(text: string): void {
    try {
      this.#learnSecret(decodeURIComponent(new URL(text).password));
      this.#sources.add(text);
    } catch {
      // A URL that is wrong on purpose.
    }
  }

  /** One line for each secret, and each value of a row, that stands in an artefact. Of a server that is gone no rows are known. */
  async found(artefacts: readonly Artefact[]): Promise<readonly string[]> {
    const found: string[] = [];
    const search = (what: string, value: string): void => {
      for (const { origin, text } of [...artefacts, ...commands]) {
        const at = text.indexOf(value);
        if (at >= 0) found.push(`${what} stands in ${origin}: ${text.slice(Math.max(0, at - 120), at + value.length + 40)}`);
      }
    };
    for (const secret of this.#secrets) search('a secret', secret);
    for (const source of this.#sources) for (const [column, value] of await rowValues(source)) search(`a value of ${column}`, value);
    return found;
  }
}

/** What a running daemon shows to whoever asks over HTTP: health, metrics, and all that the API tells without being told to do something. */
export async function shown(
  health: string | null,
  api: { readonly url: string; readonly token: string | undefined } | null,
): Promise<readonly Artefact[]> {
  const artefacts: Artefact[] = [];
  const get = async (url: string, token?: string): Promise<string> => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const text = await fetch(url, { headers, signal: AbortSignal.timeout(WAIT_MS) }).then((response) => response.text());
    artefacts.push({ origin: new URL(url).pathname, text });
    return text;
  };
  if (health !== null) for (const path of ['livez', 'readyz', 'metrics']) await get(`${health}/${path}`).catch(() => '');
  if (api === null) return artefacts;
  const document = await get(`${api.url}/openapi.json`, api.token);
  const names = (JSON.parse(await get(`${api.url}/connectors`, api.token)) as { readonly name: string }[]).map(({ name }) => name);
  for (const [path, methods] of Object.entries((JSON.parse(document) as { readonly paths?: Record<string, object> }).paths ?? {})) {
    const below = path.replace(/^\/api\/v1/, '');
    if (!Object.hasOwn(methods, 'get') || /\{(?!connector\})/.test(below)) continue;
    for (const name of below.includes('{') ? names : ['']) await get(`${api.url}${below.replace('{connector}', name)}`, api.token).catch(() => '');
  }
  return artefacts;
}

/** Some long values of the rows of a source, each with its column. */
async function rowValues(url: string): Promise<readonly (readonly [column: string, value: string])[]> {
  try {
    return url.startsWith('mysql') ? await mysqlValues(url) : await postgresValues(url);
  } catch {
    return [];
  }
}

const TEXTUAL = `('text', 'character varying', 'character', 'json', 'jsonb', 'uuid', 'bytea', 'xml', 'varchar', 'char', 'mediumtext', 'longtext', 'tinytext')`;
const columnsOf = (system: string): string =>
  `SELECT table_schema AS s, table_name AS t, column_name AS c FROM information_schema.columns
    WHERE data_type IN ${TEXTUAL} AND table_schema NOT IN (${system}) ORDER BY table_schema, table_name LIMIT ${TABLES}`;

type Column = { readonly s: string; readonly t: string; readonly c: string };

/** Words of Sluice's own, which rows of a signal table hold. */
const SIGNALS = /^(execute|stop|pause|resume)-snapshot$/;

/** A value that is the name of something may be told. */
function kept(columns: readonly Column[], { s, t, c }: Column, values: readonly string[]): (readonly [string, string])[] {
  const names = new Set(columns.flatMap((column) => [column.s, column.t, column.c, `${column.s}.${column.t}`]));
  return values
    .filter((value) => value.length >= SHORTEST && !names.has(value) && !SIGNALS.test(value))
    .map((value) => [`${s}.${t}.${c}`, value.slice(0, 60)] as const);
}

async function postgresValues(url: string): Promise<readonly (readonly [string, string])[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: WAIT_MS, statement_timeout: WAIT_MS });
  client.on('error', () => undefined);
  await client.connect();
  try {
    const { rows: columns } = await client.query<Column>(columnsOf(`'pg_catalog', 'information_schema'`));
    const found: (readonly [string, string])[] = [];
    for (const column of columns) {
      const [s, t, c] = [column.s, column.t, column.c].map((name) => pg.escapeIdentifier(name));
      const { rows } = await client.query<{ v: string }>(
        `SELECT DISTINCT left(${c}::text, 60) AS v FROM (SELECT ${c} FROM ${s}.${t} LIMIT ${ROWS}) x WHERE ${c} IS NOT NULL`,
      );
      found.push(
        ...kept(
          columns,
          column,
          rows.map(({ v }) => v),
        ),
      );
    }
    return found;
  } finally {
    await client.end();
  }
}

async function mysqlValues(url: string): Promise<readonly (readonly [string, string])[]> {
  const connection = await mysql.createConnection({ uri: url, connectTimeout: WAIT_MS });
  try {
    const [columns] = await connection.query<(Column & mysql.RowDataPacket)[]>(
      columnsOf(`'mysql', 'information_schema', 'performance_schema', 'sys'`),
    );
    const found: (readonly [string, string])[] = [];
    for (const column of columns) {
      const [s, t, c] = [column.s, column.t, column.c].map((name) => mysql.escapeId(name, true));
      const [rows] = await connection.query<({ v: string } & mysql.RowDataPacket)[]>(
        `SELECT DISTINCT left(${c}, 60) AS v FROM (SELECT ${c} FROM ${s}.${t} LIMIT ${ROWS}) x WHERE ${c} IS NOT NULL`,
      );
      found.push(
        ...kept(
          columns,
          column,
          rows.map(({ v }) => String(v)),
        ),
      );
    }
    return found;
  } finally {
    await connection.end();
  }
}
