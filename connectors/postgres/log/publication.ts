import type pg from 'pg';
import { type ErrorKind, type ErrorParameters, type Finding, findingOf, SluiceError } from '#plugin';
import { quoteIdentifier, quoteTable } from '../client.ts';
import { insertsPublicationName } from '../config.ts';
import {
  publicationAfterSlot,
  publicationBusy,
  publicationByPartition,
  publicationByRoot,
  publicationOperations,
  publicationRight,
} from '../errors.ts';
import { publicationLimited, publicationWider, updatesRefused } from '../findings.ts';
import type { ServerFacts } from '../server.ts';
import type { CapturedTable, Matched } from '../tables.ts';

/** A finding, with statements that mend it and may be run by whoever is asked to. */
export interface PlannedFinding extends Finding {
  readonly harmless?: { readonly statement: string; readonly statements: readonly string[] };
}

/** What must happen to the publications before the log can be read. */
export interface PublicationPlan {
  /** Publications to name in START_REPLICATION. */
  readonly names: readonly string[];
  /** SQL that makes or changes them; empty = they are as they must be, and no right to change anything is needed. */
  readonly statements: readonly string[];
  /** OIDs of the tables that the statements put in. */
  readonly added: readonly number[];
  readonly problems: readonly SluiceError[];
  readonly findings: readonly PlannedFinding[];
}

export interface PublicationRequest {
  readonly publication: string;
  /** It has the name that Sluice gives its own. */
  readonly isOwnName: boolean;
  readonly slot: string;
  /** The slot stands already: a publication made from now on does not exist at its position. */
  readonly slotExists: boolean;
  readonly connector: string;
  readonly matched: Matched;
  readonly server: ServerFacts;
  /** Tables that this connector has put in: it takes them out again once the configuration does not name them. */
  readonly added: readonly number[];
}

export interface Publication {
  name: string;
  all_tables: boolean;
  insert: boolean;
  update: boolean;
  delete: boolean;
  truncate: boolean;
  via_root: boolean;
  owned: boolean;
  tables: [schema: string, name: string][] | null;
  /** Those that were put in one by one. */
  entries: [oid: number, schema: string, name: string, owned: boolean][] | null;
  /** Tables with a row filter or a column list (15+). */
  limited: [schema: string, name: string, filter: boolean, list: boolean][] | null;
}

const PUBLICATIONS = `SELECT p.pubname::text AS name, p.puballtables AS all_tables, p.pubinsert AS insert, p.pubupdate AS update, p.pubdelete AS delete,
    p.pubtruncate AS truncate, p.pubviaroot AS via_root, pg_has_role(p.pubowner, 'USAGE') AS owned,
    (SELECT json_agg(json_build_array(t.schemaname, t.tablename)) FROM pg_publication_tables t WHERE t.pubname = p.pubname) AS tables,
    (SELECT json_agg(json_build_array(c.oid::bigint, n.nspname, c.relname, pg_has_role(c.relowner, 'USAGE')))
      FROM pg_publication_rel r JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE r.prpubid = p.oid) AS entries,
    (SELECT json_agg(json_build_array(n.nspname, c.relname, to_jsonb(r) ->> 'prqual' IS NOT NULL, to_jsonb(r) ->> 'prattrs' IS NOT NULL))
      FROM pg_publication_rel r JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE r.prpubid = p.oid AND (to_jsonb(r) ->> 'prqual' IS NOT NULL OR to_jsonb(r) ->> 'prattrs' IS NOT NULL)) AS limited
  FROM pg_publication p WHERE p.pubname = ANY($1::text[])`;

/** The publication of a connector, and that of its tables without a replica identity, as far as they exist. */
export async function readPublications(client: pg.Client, publication: string): Promise<readonly Publication[]> {
  const { rows } = await client.query<Publication>(PUBLICATIONS, [[publication, insertsPublicationName(publication)]]);
  return rows;
}

/**
 * Compares the publications with the captured tables. The rule is `filtered`: exactly the captured tables, tables are added, none is removed but what this connector
 * has added, never FOR ALL TABLES (which would make updates fail on every table with no key). Tables of `insertOnly` go into a second publication that publishes
 * inserts and truncates only, so that the server goes on accepting their updates.
 */
export function planPublications(found: readonly Publication[], request: PublicationRequest): PublicationPlan {
  const planner = new Planner(request);
  const main = found.find(({ name }) => name === request.publication);
  const inserts = found.find(({ name }) => name === insertsPublicationName(request.publication));
  planner.main(main);
  planner.inserts(inserts, main);
  return planner;
}

/** Carries a plan out. Throws its first problem, or what the server answered. */
export async function preparePublications(client: pg.Client, plan: PublicationPlan): Promise<void> {
  const problem = plan.problems[0];
  if (problem !== undefined) throw problem;
  if (plan.statements.length > 0) await changePublications(client, plan.statements);
}

/**
 * One transaction: both publications or none. Throws SLUICE_PG_PUBLICATION_BUSY where a table is being written to for longer than a moment, with nothing changed, and what the
 * server answered.
 */
export async function changePublications(client: pg.Client, statements: readonly string[]): Promise<void> {
  try {
    await client.query(`BEGIN; SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}; ${statements.join('; ')}; COMMIT`);
  } catch (error) {
    const { code, severity } = error as { code?: string; severity?: string };
    if (severity !== undefined) await client.query('ROLLBACK');
    throw code === LOCK_NOT_AVAILABLE ? new SluiceError(publicationBusy, { sql: statements.join('; ') }, { cause: error }) : error;
  }
}

/** Writers of the table wait behind the lock while it waits. */
const LOCK_TIMEOUT_MS = 1_000;
const LOCK_NOT_AVAILABLE = '55P03';

/**
 * Keeps everybody from writing to the tables while a publication that is being read takes them in or lets them go. Without it a transaction may have rows of them from before
 * the change and from behind it, and which of the former the server sends depends on where its session began: the numbers of all rows of that transaction with it, by which
 * what stands in the sink is recognised (I1, I4).
 */
function lockSql(tables: readonly { readonly schema: string; readonly name: string }[]): string {
  return `LOCK TABLE ${tables.map(quoteTable).join(', ')} IN SHARE MODE`;
}

class Planner implements PublicationPlan {
  readonly names: string[] = [];
  readonly statements: string[] = [];
  readonly added: number[] = [];
  readonly problems: SluiceError[] = [];
  readonly findings: PlannedFinding[] = [];
  readonly #request: PublicationRequest;

  constructor(request: PublicationRequest) {
    this.#request = request;
  }

  /** The publication of all captured tables that have a replica identity. */
  main(found: Publication | undefined): void {
    const name = this.#request.publication;
    const tables = this.#request.matched.tables.filter((table) => !table.insertOnly);
    this.names.push(name);
    if (found === undefined) {
      this.#create(name, tables, 'insert, update, delete, truncate');
      return;
    }
    if (tables.length > 0) this.#operations(found, ['insert', 'update', 'delete'], tables);
    this.#extend(found, tables);
    this.#reduce(found);
    this.#describe(found);
  }

  /** The publication of tables without a replica identity. */
  inserts(found: Publication | undefined, main: Publication | undefined): void {
    const name = insertsPublicationName(this.#request.publication);
    const tables = this.#request.matched.tables.filter((table) => table.insertOnly && (main === undefined || !publishes(main, table)));
    if (found === undefined) {
      // Made along with the main one even if it is empty: made later, it would not exist at the position of the slot.
      if (tables.length > 0 || (main === undefined && this.problems.length === 0)) this.#create(name, tables, 'insert, truncate');
    } else {
      if (tables.length > 0) {
        this.#operations(found, ['insert'], tables);
        this.#extend(found, tables);
      }
      this.#reduce(found);
    }
    if (tables.length > 0) this.names.push(name);
  }

  #create(name: string, tables: readonly CapturedTable[], operations: string): void {
    const { slotExists, slot, connector } = this.#request;
    const list = tables.length === 0 ? '' : ` FOR TABLE ${tables.map(quoteTable).join(', ')}`;
    const sql = `CREATE PUBLICATION ${quoteIdentifier(name)}${list} WITH (publish = '${operations}', publish_via_partition_root = true)`;
    if (slotExists) this.#problem(publicationAfterSlot, { slot, publication: name, sql: `${sql};`, connector });
    else this.#change([sql], `create publication "${name}"`, this.#request.server.mayCreate, tables);
  }

  #extend(found: Publication, tables: readonly CapturedTable[]): void {
    const missing: CapturedTable[] = [];
    for (const table of tables) {
      const root = found.via_root ? table.ancestors.findLast((ancestor) => publishesName(found, ancestor)) : undefined;
      if (root !== undefined)
        this.#problem(publicationByRoot, { publication: found.name, table: table.label, root, sql: quoteIdentifier(found.name) });
      else if (table.partitioned && !found.via_root)
        this.#problem(publicationByPartition, { publication: found.name, table: table.label, sql: quoteIdentifier(found.name) });
      else if (!publishes(found, table)) missing.push(table);
    }
    if (missing.length === 0) return;
    const sql = [lockSql(missing), `ALTER PUBLICATION ${quoteIdentifier(found.name)} ADD TABLE ${missing.map(quoteTable).join(', ')}`];
    this.#change(sql, `add ${missing.map((table) => table.label).join(', ')} to publication "${found.name}"`, found.owned, missing);
  }

  /** What was put in by this connector and is not named any more. Where it may not be taken out, its changes are dropped here. */
  #reduce(found: Publication): void {
    const { added, matched, server } = this.#request;
    if (!found.owned || server.standby) return;
    const over = (found.entries ?? []).filter(([oid, schema, name]) => added.includes(oid) && !matched.matches(schema, name));
    if (over.length === 0) return;
    const locked = over.filter(([, , , owned]) => owned).map(([, schema, name]) => ({ schema, name }));
    if (locked.length > 0) this.statements.push(lockSql(locked));
    this.statements.push(
      `ALTER PUBLICATION ${quoteIdentifier(found.name)} DROP TABLE ${over.map(([, schema, name]) => quoteTable({ schema, name })).join(', ')}`,
    );
  }

  /** Takes statements into the plan, if the role may run them; a DBA's own publication needs none. */
  #change(statements: readonly string[], what: string, mayChange: boolean, tables: readonly CapturedTable[]): void {
    const { server } = this.#request;
    const foreign = tables.filter((table) => !table.owned).map((table) => table.label);
    let detail = '';
    if (server.standby) detail = 'this is a standby: it is done on the primary';
    else if (!mayChange)
      detail =
        statements[0]?.startsWith('CREATE') === true ? `no CREATE right on database "${server.database}"` : 'another role owns the publication';
    else if (foreign.length > 0) detail = `another role owns ${foreign.join(', ')}`;
    if (detail === '') {
      this.statements.push(...statements);
      this.added.push(...tables.map(({ oid }) => oid));
    } else this.#problem(publicationRight, { user: server.user, what, detail, sql: asTransaction(statements) });
  }

  #operations(found: Publication, needed: readonly ('insert' | 'update' | 'delete')[], tables: readonly CapturedTable[]): void {
    const lacking = needed.filter((operation) => !found[operation]);
    const all = [...needed, 'truncate'].join(', ');
    const sql = `ALTER PUBLICATION ${quoteIdentifier(found.name)} SET (publish = '${all}')`;
    if (lacking.length > 0) {
      this.#problem(publicationOperations, { publication: found.name, operations: lacking.join(' and '), sql: `${sql};` });
    } else if (!found.truncate) {
      // Of a publication that others made, others may read.
      const isOurs = found.owned && !this.#request.server.standby && this.#request.isOwnName && tables.every(({ owned }) => owned);
      const statements = isOurs ? [lockSql(tables), sql] : [sql];
      const statement = asTransaction(statements);
      const parameters = { publication: found.name, limit: 'does not publish truncates', remedy: statement };
      this.findings.push({ ...findingOf(publicationLimited, parameters), ...(isOurs ? { harmless: { statement, statements } } : {}) });
    }
  }

  /** What a publication that exists does beside what is asked of it. */
  #describe(found: Publication): void {
    const { tables, matches } = this.#request.matched;
    const name = quoteIdentifier(found.name);
    for (const [schema, table, filter, list] of found.limited ?? []) {
      if (!matches(schema, table)) continue;
      const what = filter && list ? 'a row filter and a column list' : filter ? 'a row filter' : 'a column list';
      const whole = quoteTable({ schema, name: table });
      const remedy = `If all is wanted: ALTER PUBLICATION ${name} DROP TABLE ${whole}; ALTER PUBLICATION ${name} ADD TABLE ${whole};`;
      this.findings.push(findingOf(publicationLimited, { publication: found.name, limit: `has ${what} for ${schema}.${table}`, remedy }));
    }
    const refused = tables.filter((table) => table.insertOnly && (found.update || found.delete) && publishes(found, table));
    for (const table of refused) {
      const sql = `ALTER PUBLICATION ${name} DROP TABLE ${quoteTable(table)}`;
      this.findings.push(findingOf(updatesRefused, { table: table.label, publication: found.name, sql }));
    }
    const others = (found.tables ?? []).filter(([schema, table]) => !matches(schema, table));
    if (others.length > 0)
      this.findings.push(findingOf(publicationWider, { publication: found.name, count: others.length, remedy: this.#narrow(found) }));
  }

  /** Those that are there with a schema, or with all, cannot be taken out one by one. */
  #narrow({ name, entries }: Publication): string {
    const alone = (entries ?? []).filter(([, schema, table]) => !this.#request.matched.matches(schema, table));
    if (alone.length === 0)
      return 'Leave it; or, before the connector is begun for the first time, name a publication in "publication" that holds the captured tables alone.';
    const tables = alone.map(([, schema, table]) => quoteTable({ schema, name: table })).join(', ');
    return `If nobody else reads it: ALTER PUBLICATION ${quoteIdentifier(name)} DROP TABLE ${tables};`;
  }

  #problem(kind: ErrorKind, parameters: ErrorParameters): void {
    this.problems.push(new SluiceError(kind, parameters));
  }
}

/** For people: LOCK TABLE holds to the end of its transaction. */
export function asTransaction(statements: readonly string[]): string {
  return statements.length === 1 ? `${statements[0]};` : `BEGIN; ${statements.join('; ')}; COMMIT;`;
}

/** Names of what a publication holds, made once: each of ten thousand tables is looked for. */
const namesOf = new WeakMap<Publication, { readonly exact: ReadonlySet<string>; readonly labels: ReadonlySet<string> }>();

function held(publication: Publication): { readonly exact: ReadonlySet<string>; readonly labels: ReadonlySet<string> } {
  let names = namesOf.get(publication);
  if (names === undefined) {
    const tables = publication.tables ?? [];
    names = { exact: new Set(tables.map((name) => JSON.stringify(name))), labels: new Set(tables.map(([schema, name]) => `${schema}.${name}`)) };
    namesOf.set(publication, names);
  }
  return names;
}

function publishes(publication: Publication, { schema, name }: CapturedTable): boolean {
  return held(publication).exact.has(JSON.stringify([schema, name]));
}

function publishesName(publication: Publication, label: string): boolean {
  return held(publication).labels.has(label);
}
