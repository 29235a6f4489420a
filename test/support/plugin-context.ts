import { nodeRuntime } from '../../src/daemon/node-runtime.ts';
import type { LogFields, Logger, PluginContext } from '../../src/plugin/context.ts';

export interface LogLine extends LogFields {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
}

/** A context on the real runtime that keeps what is logged. */
export function pluginContext(connector = 'shop'): PluginContext & { readonly lines: LogLine[]; readonly retries: string[] } {
  const lines: LogLine[] = [];
  const retries: string[] = [];
  const at =
    (level: LogLine['level']) =>
    (message: string, fields?: LogFields): void =>
      void lines.push({ ...fields, level, message });
  const log: Logger = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  return { connector, runtime: nodeRuntime(), log, instance: 'test', retried: (what) => void retries.push(what), lines, retries };
}
