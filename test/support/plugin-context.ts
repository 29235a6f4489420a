import { nodeRuntime } from '../../src/daemon/node-runtime.ts';
import type { LogFields, Logger, SinkContext } from '../../src/plugin/context.ts';
import type { Place } from '../../src/record/position.ts';

export interface LogLine extends LogFields {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
}

/** A context on the real runtime that keeps what is logged. */
export function pluginContext(
  connector = 'shop',
): SinkContext & { readonly lines: LogLine[]; readonly retries: string[]; readonly saved: Record<string, string | null> } {
  const lines: LogLine[] = [];
  const retries: string[] = [];
  const saved: Record<string, string | null> = {};
  const at =
    (level: LogLine['level']) =>
    (message: string, fields?: LogFields): void =>
      void lines.push({ ...fields, level, message });
  const log: Logger = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  const savePlace = (entries: Place): Promise<void> => Promise.resolve(void Object.assign(saved, entries));
  const retried = (what: string): void => void retries.push(what);
  return {
    connector,
    runtime: nodeRuntime(),
    log,
    instance: 'test',
    retried,
    lines,
    retries,
    saved,
    savePlace,
    previousShutdown: 'clean',
    undeliverable: (_batch, _index, error) => Promise.reject(error),
    extraDestinations: [],
  };
}
