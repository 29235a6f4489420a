import type { ConnectorDefinition } from '../config/load.ts';
import type { Logger, PluginContext, PreviousShutdown, SinkContext, SourceContext } from '../plugin/context.ts';
import type { Runtime } from '../plugin/runtime.ts';
import type { Sink } from '../plugin/sink.ts';
import type { Source } from '../plugin/source.ts';
import { TableRegistry } from '../record/table.ts';
import { extraDestinations } from './destinations.ts';
import { refusalOf } from './judge.ts';

export interface DetachedPorts {
  readonly runtime: Runtime;
  readonly log: Logger;
  readonly instance: string;
  readonly previousShutdown: PreviousShutdown;
  readonly savePlace: SinkContext['savePlace'];
  readonly intent: SourceContext['intent'];
}

/** Source and sink of a connector outside of its pipeline: to ask them something. The caller closes both. */
export function detachedPlugins(definition: ConnectorDefinition, ports: DetachedPorts, signal: AbortSignal): { source: Source; sink: Sink } {
  const { runtime, log, instance, previousShutdown, savePlace, intent } = ports;
  const context: PluginContext = { runtime, log, instance, connector: definition.name, retried: () => undefined };
  const sink = definition.sink.plugin.create(definition.sink.config, {
    ...context,
    previousShutdown,
    savePlace,
    undeliverable: (_batch, _index, error) => Promise.reject(error),
    extraDestinations: extraDestinations(definition),
    isExamined: true,
  });
  const source = definition.source.plugin.create(definition.source.config, {
    ...context,
    tables: new TableRegistry(),
    batch: definition.batch,
    maxBufferedBytes: definition.batch.maxBytes,
    tellsDefinitions: false,
    once: true,
    intent,
    renew: () => undefined,
    refusalOf: (table) => refusalOf(definition, sink, table, signal),
  });
  return { source, sink };
}
