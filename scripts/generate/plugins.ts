import type { FormatPlugin } from '../../src/plugin/format.ts';
import type { Registry } from '../../src/plugin/registry.ts';
import type { SinkPlugin } from '../../src/plugin/sink.ts';
import type { SourcePlugin } from '../../src/plugin/source.ts';

/** All plug-ins of a registry, in its order. */
export interface LoadedPlugins {
  readonly source: readonly SourcePlugin[];
  readonly format: readonly FormatPlugin[];
  readonly sink: readonly SinkPlugin[];
}

export async function loadPlugins({ sources, formats, sinks }: Registry): Promise<LoadedPlugins> {
  const all = <P>(loaders: Readonly<Record<string, () => Promise<P>>>): Promise<P[]> => Promise.all(Object.values(loaders).map((load) => load()));
  return { source: await all(sources), format: await all(formats), sink: await all(sinks) };
}
