import type { ConnectorDefinition } from '../config/load.ts';
import type { SourceContext } from '../plugin/context.ts';
import type { Format } from '../plugin/format.ts';
import type { Source } from '../plugin/source.ts';
import { CHUNK_LIMITS } from '../snapshot/beside-log.ts';
import { Copies } from '../snapshot/copies.ts';
import { CopyLog } from '../snapshot/copy-log.ts';
import { CopyingSource } from '../snapshot/copying-source.ts';
import type { Loaded } from '../state/state-store.ts';

/** The source of one life of a connector, with the copies of its tables in its stream if it offers any. */
export function openSource(
  { source: { plugin, config } }: ConnectorDefinition,
  stored: Loaded,
  context: SourceContext,
  life: { readonly isFirstLife: boolean },
): Source {
  const source = plugin.create(config, context);
  const snapshot = plugin.snapshot?.(config);
  if (snapshot === undefined || source.snapshot === undefined) return source;
  const { runtime, tables, log } = context;
  const copies = new Copies(snapshot.mode, stored.progress, stored.offset !== null);
  if (snapshot.mode === 'always' && life.isFirstLife) copies.restart();
  return new CopyingSource(source, snapshot, copies, { runtime, tables, events: new CopyLog(copies, runtime, log), limits: CHUNK_LIMITS });
}

export function openFormat({ name, source: { plugin, config }, format }: ConnectorDefinition): Format {
  return format.plugin.create(format.config, { connector: name, capture: 'log', catalog: plugin.catalog(config), origin: plugin.origin });
}
