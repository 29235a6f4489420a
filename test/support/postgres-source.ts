/** A configuration and a context for the parts of the Postgres source that are tested without the engine. */
import { addressOf, type PostgresConfig } from '../../connectors/postgres/config.ts';
import { nodeRuntime } from '../../src/daemon/node-runtime.ts';
import type { LogFields, Logger, SourceContext } from '../../src/plugin/context.ts';
import { SluiceError } from '../../src/plugin/error.ts';
import { TableRegistry } from '../../src/record/table.ts';

/** As validation fills it in. */
export function postgresConfig(url: string, overrides: Partial<PostgresConfig> = {}): PostgresConfig {
  const config: PostgresConfig = {
    url,
    tls: {},
    tables: ['public.*'],
    insertOnly: [],
    snapshot: { mode: 'no_data', include: [], exclude: [], where: {}, order: 'listed', parallelism: 1, maxRowsPerSecond: 0, maxLag: 1024 ** 3 },
    newTables: 'capture',
    newTablesInterval: 10_000,
    heartbeat: { enabled: true, interval: 10_000 },
    messages: [],
    connectTimeout: 10_000,
    ...overrides,
  };
  addressOf(config);
  return config;
}

export interface Line {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly fields: LogFields;
}

export interface TestContext extends SourceContext {
  readonly lines: Line[];
  intentStored: unknown;
}

/** A context whose log lines are kept and whose intent lives in memory. */
export function sourceContext(connector: string, instance = '5f0c1a2b3c4d'): TestContext {
  const lines: Line[] = [];
  const write =
    (level: Line['level']): Logger['info'] =>
    (message, fields = {}) =>
      void lines.push({ level, message, fields });
  const context: TestContext = {
    connector,
    instance,
    lines,
    intentStored: null,
    runtime: nodeRuntime(),
    log: { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') },
    retried: () => undefined,
    tables: new TableRegistry(),
    batch: { maxRecords: 2000, maxBytes: 1024 * 1024 },
    maxBufferedBytes: 16 * 1024 * 1024,
    tellsDefinitions: false,
    once: false,
    renew: () => undefined,
    refusalOf: () => Promise.resolve(null),
    intent: {
      get: () => Promise.resolve(context.intentStored),
      set: (intent) => {
        context.intentStored = intent;
        return Promise.resolve();
      },
    },
  };
  return context;
}

/** The typed error that a promise is rejected with; fails if it resolves or throws anything else. */
export async function rejection(promise: Promise<unknown>): Promise<SluiceError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof SluiceError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}
