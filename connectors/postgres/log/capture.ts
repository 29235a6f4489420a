/** What is captured: the tables that the configuration names, but new ones that are only reported, or that something is wrong with (I10). */
import type pg from 'pg';
import { errorFinding, type Finding, findingOf, SluiceError, type SourceContext, unusedPatterns } from '#plugin';
import { type PostgresConfig, publicationName } from '../config.ts';
import { patternMatchesNothing } from '../findings.ts';
import { moneyProblems } from '../money.ts';
import { readOutlines } from '../outline.ts';
import { parsePatterns, type TablePattern } from '../patterns.ts';
import type { ServerFacts } from '../server.ts';
import { type CapturedTable, type Matched, matchTables } from '../tables.ts';
import { newTable } from './errors.ts';
import { type PublicationPlan, planPublications, readPublications } from './publication.ts';
import type { Remembered } from './remembered.ts';

export interface CaptureRequest {
  readonly connector: string;
  readonly slot: string;
  /** The slot stands already: a publication made from now on does not exist at its position. */
  readonly slotExists: boolean;
  readonly server: ServerFacts;
  /** What was captured last; null: nothing, so that nothing is new. */
  readonly before: Remembered | null;
  /** Tables that this connector has put into its publications. */
  readonly added: readonly number[];
  /** What keeps format and sink from taking a table. */
  readonly refusalOf: SourceContext['refusalOf'];
}

/** A table that has come since, and is captured. */
export interface NewTable {
  readonly table: CapturedTable;
  /** Puts it into a publication; no statements: it stands there. */
  readonly plan: PublicationPlan;
  /** Another table was captured under its name. */
  readonly isMadeAnew: boolean;
}

export interface Capture {
  readonly matched: Matched;
  /** What makes capturing impossible as a whole. */
  readonly problems: readonly SluiceError[];
  readonly plan: PublicationPlan;
  readonly added: readonly NewTable[];
  /** New tables that are left out, and why; by `schema.name`. */
  readonly aside: ReadonlyMap<string, SluiceError>;
}

/** Looks, and changes nothing. */
export async function planCapture(client: pg.Client, config: PostgresConfig, request: CaptureRequest): Promise<Capture> {
  const { server, before } = request;
  const all = await matchTables(client, config, server.database);
  const problems = [...all.problems, ...(await moneyProblems(client, server, all.tables))];
  const publication = publicationName(config, request.connector);
  const found = await readPublications(client, publication);
  const planFor = (matched: Matched, added: readonly number[]): PublicationPlan =>
    planPublications(found, { ...request, publication, isOwnName: config.publication === undefined, matched, added });
  const isNew = newTablesOf(config, before);
  const aside = new Map<string, SluiceError>();
  const added: NewTable[] = [];
  for (const table of all.tables.filter(isNew)) {
    const plan = planFor({ ...all, tables: [table] }, []);
    const reason =
      config.newTables === 'report'
        ? new SluiceError(newTable, { table: table.label, connector: request.connector })
        : (problems.find((error) => error.table === table.label) ?? plan.problems[0] ?? (await refusalOf(client, table, request)));
    if (reason === null) added.push({ table, plan, isMadeAnew: before !== null && wasCaptured(before, table) });
    else aside.set(table.label, reason);
  }
  const matched = leaveOut(all, aside, config);
  return {
    matched: { ...matched, findings: [...matched.findings, ...unusedFindings(config, matched.tables)] },
    problems: problems.filter(({ table }) => table === undefined || !aside.has(table)),
    plan: planFor(matched, request.added),
    added,
    aside,
  };
}

async function refusalOf(client: pg.Client, table: CapturedTable, { server, refusalOf }: CaptureRequest): Promise<SluiceError | null> {
  const [outline] = await readOutlines(client, [table], server);
  return outline === undefined ? null : refusalOf(outline);
}

/** Said at every start: a table that the configuration takes in is not captured. */
export function asideFindings(aside: ReadonlyMap<string, SluiceError>): readonly Finding[] {
  return [...aside].map(([table, error]) => ({ ...errorFinding(error, 'warning'), table }));
}

/** Whether a table would be captured by what the configuration said before: it has come, nobody has added it. */
export function hasCome(config: Pick<PostgresConfig, 'tables'>, patterns: readonly string[]): (table: CapturedTable) => boolean {
  const known = new Set(patterns);
  const [old, added]: [TablePattern[], TablePattern[]] = [[], []];
  for (const pattern of parsePatterns(config.tables)) (known.has(pattern.text) ? old : added).push(pattern);
  const takes = (from: readonly TablePattern[], { schema, name }: CapturedTable): boolean => from.some((pattern) => pattern.matches(schema, name));
  return (table) => takes(old, table) && !takes(added, table);
}

function newTablesOf(config: PostgresConfig, before: Remembered | null): (table: CapturedTable) => boolean {
  if (before === null) return () => false;
  const come = hasCome(config, before.patterns);
  const known = new Set(Object.values(before.published).flatMap((members) => Object.entries(members).map(([name, { table }]) => `${table} ${name}`)));
  // The table for signals is named by the configuration itself.
  return (table) =>
    table.label !== config.snapshot.signalTable && come(table) && !known.has(`${table.oid} ${JSON.stringify([table.schema, table.name])}`);
}

function wasCaptured({ published }: Remembered, { schema, name }: CapturedTable): boolean {
  const key = JSON.stringify([schema, name]);
  return Object.values(published).some((members) => Object.hasOwn(members, key));
}

function leaveOut(all: Matched, aside: ReadonlyMap<string, SluiceError>, { newTables }: PostgresConfig): Matched {
  const tables = all.tables.filter(({ label }) => !aside.has(label));
  const findings = all.findings.filter(({ table }) => table === undefined || !aside.has(table));
  const captured = new Set(tables.map(({ schema, name }) => JSON.stringify([schema, name])));
  // Where new tables are only reported, a publication that holds them all the same must not bring half of them; else what comes is theirs, seen sooner or later.
  const captures = (schema: string, name: string): boolean =>
    newTables === 'report' ? captured.has(JSON.stringify([schema, name])) : all.matches(schema, name) && !aside.has(`${schema}.${name}`);
  return { ...all, tables, findings, captures };
}

function unusedFindings(config: PostgresConfig, tables: readonly CapturedTable[]): Finding[] {
  return unusedPatterns(config.snapshot, tables).map(({ option, pattern }) =>
    findingOf(patternMatchesNothing, { pattern, of: ` of "snapshot.${option}"`, what: 'captured table', where: 'it' }),
  );
}
