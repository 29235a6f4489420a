import type { ConnectorDefinition } from '../../src/config/load.ts';
import { Connector } from '../../src/daemon/connector.ts';
import type { ConnectorPorts } from '../../src/daemon/connector-ports.ts';
import type { SinkContext } from '../../src/plugin/context.ts';
import { defineError } from '../../src/plugin/error.ts';
import type { Finding } from '../../src/plugin/finding.ts';
import { NOTHING_WRITTEN, type Sink } from '../../src/plugin/sink.ts';
import type { Source } from '../../src/plugin/source.ts';
import type { RecordBatch } from '../../src/record/batch.ts';
import type { StateStore } from '../../src/state/state-store.ts';
import { TailPoint } from '../../src/tail/tail.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { FakeRuntime, settle } from './fake-runtime.ts';
import { unboundedMemory } from './memory.ts';

export const DOWN = defineError({ code: 'SLUICE_TEST_DOWN', retry: 'auto', exit: 3, cause: 'The server is down.', remedy: 'Start it.' });
export const REFUSED = defineError({
  code: 'SLUICE_TEST_REFUSED',
  refusesCredentials: true,
  retry: 'manual',
  exit: 3,
  cause: 'The password is wrong.',
  remedy: 'Mend it.',
});
export const WRONG = defineError({ code: 'SLUICE_TEST_WRONG', retry: 'manual', exit: 3, cause: 'The slot is lost.', remedy: 'Make another.' });

export interface Logged {
  readonly level: string;
  readonly message: string;
  readonly code: string | undefined;
}

/** A connector whose source does what `lives` says: one entry per run. */
export function connectorWith(
  lives: (() => AsyncIterable<RecordBatch>)[],
  findings: readonly Finding[] = [],
  name = 'shop',
  changes: {
    readonly sink?: Partial<Sink>;
    readonly source?: Partial<Source>;
    readonly store?: Partial<StateStore>;
    readonly isPaused?: boolean;
    readonly protect?: Partial<ConnectorDefinition['protect']>;
  } = {},
): { connector: Connector; runtime: FakeRuntime; log: Logged[]; closed: () => number; contexts: SinkContext[]; ports: ConnectorPorts } {
  const runtime = new FakeRuntime();
  const log: Logged[] = [];
  const note = (level: string) => (message: string, fields?: { code?: string }) => void log.push({ level, message, code: fields?.code });
  let runs = 0;
  let closed = 0;
  const source = {
    preflight: () => Promise.resolve({ findings, progress: {}, shapes: {}, accepted: null, tables: [] }),
    read: () => (lives[runs++] ?? endless)(),
    acknowledge: () => undefined,
    observe: () => Promise.resolve({ lagBytes: 0, retainedBytes: 0, slotState: 'reserved', connected: true }),
    recover: () => Promise.reject(new Error('not used')),
    close: () => {
      closed++;
      return Promise.resolve();
    },
    ...changes.source,
  };
  const sink = {
    preflight: () => Promise.resolve([]),
    open: () => Promise.resolve(NOTHING_WRITTEN),
    destination: () => 'x',
    write: () => Promise.resolve({}),
    recover: () => Promise.reject(new Error('not used')),
    close: () => Promise.resolve(),
    ...changes.sink,
  };
  const contexts: SinkContext[] = [];
  const definition = {
    name,
    file: `${name}.json`,
    source: {
      config: {},
      plugin: {
        role: 'source',
        type: 'fake',
        fields: {},
        errors: [WRONG],
        origin: { system: 'fake', columns: [], transaction: [] },
        catalog: () => 'db',
        create: () => source,
      },
    },
    sink: {
      config: {},
      plugin: {
        role: 'sink',
        type: 'fake',
        fields: {},
        errors: [],
        create: (_: unknown, context: SinkContext) => {
          contexts.push(context);
          return sink;
        },
      },
    },
    format: {
      config: {},
      plugin: { role: 'format', type: 'fake', fields: {}, create: () => ({ begin: () => undefined, prepare: () => ({ encode: () => undefined }) }) },
    },
    batch: { maxRecords: 10, maxBytes: 1000, maxDelay: 5 },
    checkpoint: { maxDelay: 200 },
    retry: { initialDelay: 1000, maxDelay: 2000, exponentialBase: 2, jitter: false },
    maxInFlightBytes: 1000,
    onError: 'stop',
    deadLetter: { routes: {}, maxPercent: 5, window: 60_000, maxBytes: 1_000_000 },
    spool: { maxBytes: 1_000_000 },
    schemaChanges: {},
    compatibility: { level: 'none', levels: {}, actions: {}, deprecated: [] },
    mapping: { rename: {}, cast: {}, defaults: {}, fixed: {} },
    protect: { warn: { retained: 0, freePercent: 0 }, pauseSnapshot: { freePercent: 0 }, patience: 60_000, ...changes.protect },
  } as unknown as ConnectorDefinition;
  const store = {
    instance: 'i',
    previousShutdown: 'unclean',
    load: () => Promise.resolve({ offset: null, place: null, progress: {}, shapes: {}, accepted: null, tables: [] }),
    save: () => Promise.resolve(),
    getTableStates: () => Promise.resolve(new Map()),
    ...changes.store,
  } as unknown as StateStore;
  const ports = {
    store,
    runtime,
    metrics: new Metrics(),
    memory: unboundedMemory(),
    tap: new TailPoint(),
    once: false,
    isPaused: changes.isPaused === true,
    dataDir: '/data',
    showsCopies: false,
    log: { debug: note('debug'), info: note('info'), warn: note('warn'), error: note('error') },
  };
  return { connector: new Connector(definition, ports), ports, runtime, log, closed: () => closed, contexts };
}

export async function* failing(error: unknown): AsyncGenerator<RecordBatch> {
  await settle();
  yield* [];
  throw error;
}

export async function* endless(): AsyncGenerator<RecordBatch> {
  yield* [];
  await new Promise(() => undefined);
}

/** `run --once` on a log without changes. */
export async function* ending(): AsyncGenerator<RecordBatch> {
  yield* [];
}
