import type { ConnectorDefinition } from '../config/load.ts';
import type { Logger } from '../plugin/context.ts';
import type { TableOutline } from '../plugin/outline.ts';
import type { Runtime } from '../plugin/runtime.ts';
import { detachedPlugins } from './detached.ts';

/** The tables that a configuration captures as things stand, before there is any state. Changes nothing on the server. Throws a SluiceError. */
export async function visibleTables(
  definition: ConnectorDefinition,
  { runtime, log }: { readonly runtime: Runtime; readonly log: Logger },
  signal: AbortSignal,
): Promise<readonly TableOutline[]> {
  const nothing = (): Promise<never> => Promise.reject(new Error('nothing is saved here'));
  const intent = { get: () => Promise.resolve(null), set: nothing };
  const { source, sink } = detachedPlugins(definition, { runtime, log, instance: '', previousShutdown: 'clean', savePlace: nothing, intent }, signal);
  try {
    return (await source.preflight(signal)).tables;
  } finally {
    await Promise.allSettled([source.close(), sink.close()]);
  }
}
