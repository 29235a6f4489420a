import type { ConnectorDefinition } from '../config/load.ts';
import { mapsTables } from '../config/mapping.ts';
import { judgesShapes } from '../config/undelivered.ts';
import type { Mapping } from '../mapping/mapping.ts';
import type { Logger, PluginContext, SourceContext } from '../plugin/context.ts';
import type { Format, FormatPorts } from '../plugin/format.ts';
import type { Source } from '../plugin/source.ts';
import { TableRegistry } from '../record/table.ts';
import { SchemaAnnouncements } from '../schema-history/announcements.ts';
import type { SchemaPolicy } from '../schema-policy/policy.ts';
import { CHUNK_LIMITS } from '../snapshot/beside-log.ts';
import { SnapshotCommands } from '../snapshot/commands.ts';
import { Copies } from '../snapshot/copies.ts';
import { CopyLog } from '../snapshot/copy-log.ts';
import { CopyingSource } from '../snapshot/copying-source.ts';
import { Pace } from '../snapshot/pace.ts';
import { SignalReader } from '../snapshot/signal-reader.ts';
import type { Loaded, StateStore } from '../state/state-store.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { schemaChangesDestination } from './destinations.ts';
import { mappedVersion } from './mapped-version.ts';
import type { ProtectHands } from './protection.ts';

export interface OpenSource {
  readonly source: Source;
  /** What may be asked of its copies; null: it offers none. */
  readonly snapshots: SnapshotCommands | null;
  /** Puts its copies off, or lets them go on. */
  readonly hold: ProtectHands['hold'];
}

export interface CopyOptions {
  /** `again`: all tables are to be copied once more; `anew`: the log is begun anew behind a gap, and they all with it. */
  readonly round: 'again' | 'anew' | null;
  /** People see how far copies are by other means than the log. */
  readonly isShown: boolean;
}

/** The source of one life of a connector, with the copies of its tables in its stream if it offers any. */
export function openSource(
  { name, source: { plugin, config } }: ConnectorDefinition,
  stored: Loaded,
  context: SourceContext,
  { round, isShown }: CopyOptions,
): OpenSource {
  let copying: CopyingSource | null = null;
  const renew = (): void => (copying === null ? context.renew() : copying.renew());
  const source = plugin.create(config, { ...context, renew });
  const snapshot = plugin.snapshot?.(config);
  if (snapshot === undefined || source.snapshot === undefined) return { source, snapshots: null, hold: () => undefined };
  const { runtime, tables, log } = context;
  const copies = new Copies(snapshot.mode, stored.progress, stored.offset !== null);
  if (round === 'again') copies.restart();
  if (round === 'anew') copies.beginAnew();
  const snapshots = new SnapshotCommands(name, copies, runtime);
  const events = new CopyLog(copies, runtime, log, { isShown, once: context.once });
  const signals = snapshot.signalTable === undefined ? null : new SignalReader(snapshot.signalTable, snapshots, log);
  const pace = new Pace(snapshot, runtime, log);
  const ports = { runtime, tables, events, limits: CHUNK_LIMITS, pace, signals, renew: context.renew };
  copying = new CopyingSource(source, snapshot, copies, snapshots, ports);
  return { source: copying, snapshots, hold: (why) => pace.hold(why) };
}

/** The table versions of a connector, with what its format needs of them. */
export function openTables({ format, schemaChanges, compatibility }: ConnectorDefinition, stored: Loaded): TableRegistry {
  const described = format.plugin.describes?.(format.config) === true || schemaChanges.topic !== undefined || judgesShapes(compatibility);
  const tables = new TableRegistry({ described });
  for (const table of stored.tables) tables.restore(table);
  return tables;
}

/** What readers get of the tables, and what of that may go; null: they get them as they are, and every shape. Each is loaded only where it is asked for. */
export async function openShapes(
  definition: ConnectorDefinition,
  stored: Loaded,
  store: StateStore,
  log: Logger,
): Promise<{ readonly mapping: Mapping | null; readonly policy: SchemaPolicy | null }> {
  const mapping = mapsTables(definition.mapping) ? (await import('./mapping.ts')).openMapping(definition) : null;
  if (judgesShapes(definition.compatibility)) {
    const { openPolicy } = await import('./schema-policy.ts');
    return { mapping, policy: await openPolicy(definition, stored, mapping, store, log) };
  }
  if (stored.accepted !== null) await store.setJudged(definition.name, null);
  return { mapping, policy: null };
}

/** Null: changes of a table's shape are not announced. */
export function openAnnouncements(definition: ConnectorDefinition, { shapes, tables }: Loaded, mapping: Mapping | null): SchemaAnnouncements | null {
  const destination = schemaChangesDestination(definition);
  return destination === null
    ? null
    : new SchemaAnnouncements(
        { connector: definition.name, capture: 'log', destination },
        shapes,
        tables.map((table) => mappedVersion(table, mapping)),
      );
}

export function openFormat(
  { name, source: { plugin, config }, format, sink }: ConnectorDefinition,
  context: PluginContext,
  metrics: Metrics,
): Format {
  const { cloudEvents } = sink.plugin;
  const ports: FormatPorts = {
    ...context,
    circuit: (state) => metrics.circuit(name, state),
    asked: (outcome) => metrics.registryAsked(name, outcome),
  };
  const about = { connector: name, capture: 'log', catalog: plugin.catalog(config), origin: plugin.origin, cloudEvents };
  return format.plugin.create(format.config, about, ports);
}
