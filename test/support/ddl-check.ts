/** Compares what arrived (format `native`) with the ledger of the storm, row by row, and with the schema history, version by version. */
import type { TableVersion } from '../../src/record/table.ts';
import { type SchemaChange, schemaChanges } from '../../src/schema-history/changes.ts';
import type { StormDatabase, Written } from './ddl-database.ts';
import { readStream } from './stream-ledger.ts';

export interface Verdict {
  readonly messages: number;
  /** Writes of the ledger that were found. */
  readonly compared: number;
  readonly versions: number;
  readonly announcements: number;
  readonly problems: readonly string[];
}

interface NativeValue {
  readonly op: string;
  readonly table: string;
  readonly key?: Readonly<Record<string, unknown>>;
  readonly before?: Readonly<Record<string, unknown>>;
  readonly after?: Readonly<Record<string, unknown>>;
}

interface Announcement {
  readonly table: string;
  readonly version: number;
  readonly previousVersion: number | null;
  readonly changes: readonly SchemaChange[];
  readonly after: { readonly columns: readonly { readonly name: string }[] };
}

export async function checkStorm(
  database: StormDatabase,
  servers: string,
  stream: string,
  history: readonly TableVersion[],
  announces: boolean,
): Promise<Verdict> {
  const check = new StormCheck(await database.ledger(), history, announces);
  const messages = await readStream(servers, stream, ({ subject, value, headers, id }) => {
    if (subject.endsWith('.schema-changes')) check.announced(value as unknown as Announcement, id);
    else if (value !== null) check.take(value as unknown as NativeValue, Number(headers?.['sluice.schema']), id);
  });
  for (const table of database.tables) check.finish(table, await database.rows(table), database.replaced.includes(table));
  return { messages, compared: check.compared, versions: history.length, announcements: check.announcements, problems: check.problems };
}

class StormCheck {
  readonly problems: string[] = [];
  compared = 0;
  readonly #ledger: ReadonlyMap<string, Written>;
  readonly #versions: ReadonlyMap<string, TableVersion>;
  readonly #rows = new Map<string, Map<number, number>>();
  readonly #ids = new Set<string>();
  readonly #announced = new Map<string, number>();
  readonly #told = new Set<string>();
  announcements = 0;
  readonly #announces: boolean;

  constructor(ledger: ReadonlyMap<string, Written>, history: readonly TableVersion[], announces: boolean) {
    this.#announces = announces;
    this.#ledger = ledger;
    this.#versions = new Map(history.map((version) => [`${version.name} ${version.version}`, version]));
  }

  /** In front of the first row in the new shape, once, and from the shape that was announced before. */
  announced({ table, version, previousVersion, changes, after }: Announcement, messageId: string): void {
    if (this.#ids.has(messageId)) this.problems.push(`${messageId} stands twice`);
    this.#ids.add(messageId);
    const before = this.#announced.get(table) ?? null;
    // At a replay the catalogue may tell a version otherwise: the change is told once more then, from the version that was saved as announced.
    if (previousVersion !== null && !this.#isTold(table, before, previousVersion) && !this.#told.has(`${table} ${previousVersion}`))
      this.problems.push(`${table}: version ${version} is announced behind ${previousVersion}, but ${before} was the last`);
    if (version === previousVersion || (previousVersion !== null && changes.length === 0))
      this.problems.push(`${table}: nothing changed to version ${version}`);
    if (after.columns.length === 0) this.problems.push(`${messageId}: a version without columns is announced`);
    this.#announced.set(table, version);
    this.#told.add(`${table} ${version}`);
    this.announcements++;
  }

  take({ op, table, key, before, after }: NativeValue, version: number, messageId: string): void {
    if (this.#ids.has(messageId)) this.problems.push(`${messageId} stands twice`);
    this.#ids.add(messageId);
    const rows = this.#rows.get(table) ?? new Map<number, number>();
    this.#rows.set(table, rows);
    if (op === 'truncate') {
      rows.clear();
      return;
    }
    if (op === 'delete') {
      rows.delete(Number(before?.['id']));
      return;
    }
    const row = after ?? {};
    const [id, stamp] = [Number(row['id']), Number(row['stamp'])];
    this.#checkVersion(table, version, row, messageId);
    const isCopied = op === 'read';
    if (!isCopied && (rows.get(id) ?? 0) >= stamp) this.problems.push(`${table} ${id}: stamp ${stamp} after ${rows.get(id)}`);
    rows.set(id, Math.max(stamp, rows.get(id) ?? 0));
    if (!isCopied && !this.#isTold(table, this.#announced.get(table) ?? null, version))
      this.problems.push(`${messageId} ${table}: version ${version} was not announced`);
    // What a copy reads may have been rewritten by a schema change since.
    if (isCopied) return;
    const written = this.#ledger.get(String(stamp));
    if (written === undefined) this.problems.push(`${table} ${id}: stamp ${stamp} was never written`);
    else this.#compare(table, row, version, written, Object.keys(key ?? {}));
  }

  /** The two are one version, or differ in nothing that is announced: what the catalogue, ahead of the log, did not say of one. */
  #isTold(table: string, announced: number | null, version: number | null): boolean {
    if (!this.#announces || announced === version) return true;
    const [from, to] = [announced, version].map((number) => this.#versions.get(`${table} ${number}`));
    return from !== undefined && to !== undefined && schemaChanges(from, to).length === 0;
  }

  #compare(table: string, row: Readonly<Record<string, unknown>>, version: number, written: Written, key: readonly string[]): void {
    written.arrived++;
    this.compared++;
    const where = `${table} ${written.id}, stamp ${String(row['stamp'])}, version ${version}`;
    const names = new Set([...Object.keys(row), ...Object.keys(written.row)]);
    for (const name of names) {
      if (!(name in row)) this.problems.push(`${where}: no column ${name}`);
      else if (!(name in written.row)) this.problems.push(`${where}: column ${name} is not of the row`);
      else if (canonical(row[name]) !== canonicalText(written.row[name] ?? null)) {
        this.problems.push(`${where}: ${name} is ${canonical(row[name])}, written was ${canonicalText(written.row[name] ?? null)}`);
      }
    }
    const known = this.#versions.get(`${table} ${version}`);
    if (written.key !== null) {
      const [columns, order] = [Object.keys(written.types).join(), known?.columns.map(({ name }) => name).join()];
      if (columns !== order) this.problems.push(`${where}: the columns are ${order}, when it was written they were ${columns}`);
      if (key.join() !== written.key.join())
        this.problems.push(`${where}: the key is ${key.join()}, when it was written it was ${written.key.join()}`);
    }
    for (const { name, typeName } of known?.columns ?? []) {
      const type = written.types[name];
      if (type !== undefined && type.replace('public.', '') !== typeName.replace('public.', '')) {
        this.problems.push(`${where}: ${name} is of type ${typeName}, written was ${type}`);
      }
    }
  }

  #checkVersion(table: string, version: number, row: Readonly<Record<string, unknown>>, messageId: string): void {
    const known = this.#versions.get(`${table} ${version}`);
    if (known === undefined) this.problems.push(`${table}: version ${version} is not in the history`);
    else if (
      known.columns
        .map(({ name }) => name)
        .sort()
        .join() !== Object.keys(row).sort().join()
    ) {
      this.problems.push(
        `${messageId} ${table}: a row of version ${version} has the columns ${Object.keys(row).join()}, the version ${known.columns.map(({ name }) => name).join()}`,
      );
    }
  }

  /** With the rows that the source has in the end. */
  finish(table: string, source: readonly { readonly id: number; readonly stamp: string }[], isReplaced: boolean): void {
    const left = new Map(this.#rows.get(table));
    for (const { id, stamp } of source) {
      if (String(left.get(id)) !== stamp) this.problems.push(`${table} ${id}: stamp ${left.get(id)} in the end, the source has ${stamp}`);
      left.delete(id);
    }
    // Rows of a table that was dropped are gone without a delete.
    if (isReplaced) return;
    if (left.size > 0) this.problems.push(`${table}: ${left.size} rows too many, such as ${[...left.keys()][0]}`);
    for (const [stamp, { tab, id, arrived, xid, at }] of this.#ledger) {
      if (tab === table && arrived !== 1) this.problems.push(`${table} ${id}: stamp ${stamp} of transaction ${xid}, ${at}, arrived ${arrived} times`);
    }
  }
}

function canonical(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  if (typeof value === 'object') return JSON.stringify(value);
  return canonicalText(String(value));
}

/** Instants and JSON have several spellings. */
function canonicalText(text: string | null): string {
  if (text === null) return 'null';
  if (/^\d{4}-\d\d-\d\dT/.test(text))
    return text
      .replace(/(\.\d*?)0*(?=$|Z|[+-])/, '$1')
      .replace(/\.(?=$|Z|[+-])/, '')
      .replace('+00:00', 'Z');
  if (text.startsWith('{')) return JSON.stringify(JSON.parse(text));
  return text;
}
