import type { ConnectorDefinition } from '../config/load.ts';
import type { SourceContext } from '../plugin/context.ts';
import type { Format } from '../plugin/format.ts';
import type { Source } from '../plugin/source.ts';
import { CHUNK_LIMITS } from '../snapshot/beside-log.ts';
import { SnapshotCommands } from '../snapshot/commands.ts';
import { Copies } from '../snapshot/copies.ts';
import { CopyLog } from '../snapshot/copy-log.ts';
import { CopyingSource } from '../snapshot/copying-source.ts';
import type { Loaded } from '../state/state-store.ts';

export interface OpenSource {
  readonly source: Source;
  /** What may be asked of its copies; null: it offers none. */
  readonly snapshots: SnapshotCommands | null;
}

/** The source of one life of a connector, with the copies of its tables in its stream if it offers any. */
export function openSource(
  { name, source: { plugin, config } }: ConnectorDefinition,
  stored: Loaded,
  context: SourceContext,
  life: { readonly isFirstLife: boolean },
): OpenSource {
  let copying: CopyingSource | null = null;
  const renew = (): void => (copying === null ? context.renew() : copying.renew());
  const source = plugin.create(config, { ...context, renew });
  const snapshot = plugin.snapshot?.(config);
  if (snapshot === undefined || source.snapshot === undefined) return { source, snapshots: null };
  const { runtime, tables, log } = context;
  const copies = new Copies(snapshot.mode, stored.progress, stored.offset !== null);
  if (snapshot.mode === 'always' && life.isFirstLife) copies.restart();
  const snapshots = new SnapshotCommands(name, copies);
  const ports = { runtime, tables, events: new CopyLog(copies, runtime, log), limits: CHUNK_LIMITS, renew: context.renew };
  copying = new CopyingSource(source, snapshot, copies, snapshots, ports);
  return { source: copying, snapshots };
}

export function openFormat({ name, source: { plugin, config }, format }: ConnectorDefinition): Format {
  return format.plugin.create(format.config, { connector: name, capture: 'log', catalog: plugin.catalog(config), origin: plugin.origin });
}
