/** The preflight of a connector: before each start, and what `sluice doctor` reports. */
import type { ConnectorDefinition } from '../config/load.ts';
import type { Finding } from '../plugin/finding.ts';
import type { TableOutline } from '../plugin/outline.ts';
import type { Sink } from '../plugin/sink.ts';
import type { Source, StoredPosition } from '../plugin/source.ts';
import { extraDestinations } from './destinations.ts';
import { unusedPatterns } from './unused-patterns.ts';

/** What a finding is about. */
export type Part = 'state' | 'source' | 'format' | 'sink';

export interface PartFinding extends Finding {
  readonly part: Part;
}

export interface PreflightOptions {
  /** Checked too; left out: the log is read next. */
  readonly stored?: StoredPosition;
  /** What becomes of a throw, which makes checking a part impossible: findings, and the other parts are looked at all the same. Left out: it is thrown. */
  readonly failed?: (part: Part, error: unknown) => readonly PartFinding[];
  /** The sink is looked at beside the source, in a time of its own: for who wants to know all that can be known, whatever one of them does. Left out: after it. */
  readonly sinkSignal?: () => AbortSignal;
}

export interface Preflight {
  readonly findings: readonly PartFinding[];
  /** How many tables are captured as things stand. */
  readonly tables: number;
}

/** Everything that can be said of source, format and sink before the log is read, at once. Changes nothing. */
export async function preflight(
  definition: ConnectorDefinition,
  { source, sink }: { readonly source: Source; readonly sink: Sink },
  signal: AbortSignal,
  { stored, failed = rethrow, sinkSignal }: PreflightOptions = {},
): Promise<Preflight> {
  const ofSink = (tables: readonly TableOutline[]): Promise<SinkLook> =>
    preflightSink(definition, sink, tables, sinkSignal?.() ?? signal).then(
      (findings) => ({ findings, isFailed: false }),
      (error: unknown) => ({ findings: failed('sink', error), isFailed: true }),
    );
  const early = sinkSignal === undefined ? null : ofSink([]);
  const looked = await source
    .preflight(signal, stored)
    .then(({ findings, tables }) => ({ tables, findings: of('source', findings) }))
    .catch((error: unknown) => ({ tables: null, findings: failed('source', error) }));
  const tables = looked.tables ?? [];
  // Of no table: that nothing matches is then no finding.
  const ofFormat = looked.tables === null ? [] : of('format', [...formatFindings(definition, tables), ...unusedPatterns(definition, tables)]);
  const before = await early;
  // What keeps it from being looked at keeps it from being asked about tables.
  const after = before !== null && (before.isFailed || tables.length === 0) ? before : await ofSink(tables);
  return { findings: [...looked.findings, ...ofFormat, ...merged(before, after)], tables: tables.length };
}

interface SinkLook {
  readonly findings: readonly PartFinding[];
  readonly isFailed: boolean;
}

/** What was said of the servers themselves is not said again. */
function merged(before: SinkLook | null, after: SinkLook): readonly PartFinding[] {
  if (before === null || before === after) return after.findings;
  return [...before.findings.filter(({ code }) => !after.findings.some((each) => each.code === code)), ...after.findings];
}

async function preflightSink(
  definition: ConnectorDefinition,
  sink: Sink,
  tables: readonly TableOutline[],
  signal: AbortSignal,
): Promise<readonly PartFinding[]> {
  const destinations = [...tables.map((table) => sink.destination(table)), ...extraDestinations(definition)];
  return of('sink', await sink.preflight([...new Set(destinations)], signal));
}

/** What the format asks of tables, and they do not have. */
export function formatFindings(
  { format: { plugin, config } }: Pick<ConnectorDefinition, 'format'>,
  tables: readonly TableOutline[],
): readonly Finding[] {
  return plugin.preflight?.(config, tables) ?? [];
}

function of(part: Part, findings: readonly Finding[]): readonly PartFinding[] {
  return findings.map((finding) => ({ ...finding, part }));
}

function rethrow(_part: Part, error: unknown): never {
  throw error;
}
