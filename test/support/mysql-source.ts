/** The MySQL and MariaDB source without the engine, for tests. */
import type { MysqlConfig } from '../../connectors/mysql/config.ts';
import { mariadb, mysql } from '../../connectors/mysql/index.ts';
import { debezium } from '../../src/formats/debezium/index.ts';
import type { DebeziumConfig } from '../../src/formats/debezium/options.ts';
import type { Format } from '../../src/plugin/format.ts';
import type { Source } from '../../src/plugin/source.ts';
import type { Position } from '../../src/record/position.ts';
import { TableRegistry } from '../../src/record/table.ts';
import type { MysqlServer } from '../servers/index.ts';
import { DEBEZIUM_DEFAULTS, type EncodedMessage, encodeBatch, textsOf } from './encoded.ts';
import { sourceContext, type TestContext } from './postgres-source.ts';

const SNAPSHOT = { include: [], exclude: [], where: {}, order: 'listed', parallelism: 1, maxRowsPerSecond: 0, maxLag: 1024 ** 3 } as const;

/** As validation fills it in. */
export function mysqlConfig(url: string, overrides: Partial<MysqlConfig> = {}): MysqlConfig {
  return {
    url,
    tls: {},
    tables: ['*.*'],
    snapshot: { ...SNAPSHOT, mode: 'no_data' },
    acceptUnloggedCascades: false,
    includeQuery: false,
    heartbeat: { interval: 1000 },
    connectTimeout: 10_000,
    ...overrides,
  };
}

export interface Reading {
  readonly source: Source;
  readonly context: TestContext;
  readonly format: Format;
}

let connectors = 0;

export function openMysql(
  server: MysqlServer,
  config: Partial<MysqlConfig> = {},
  options: Partial<DebeziumConfig> = {},
  context: Partial<TestContext> = {},
): Reading {
  const plugin = server.system === 'mysql' ? mysql : mariadb;
  const chosen = { ...DEBEZIUM_DEFAULTS, ...options };
  const described = debezium.describes(chosen);
  const own = { ...sourceContext(`g${++connectors}`), tables: new TableRegistry({ described }), ...context };
  const format = debezium.create(chosen, { connector: 'g', capture: 'log', catalog: '', origin: plugin.origin });
  return { source: plugin.create(mysqlConfig(server.url(), config), own), context: own, format };
}

/** Reads messages until `isLast` says so (null: none, only where it begins), and where the log can be gone on with behind them. `begun` is called once the source has told where it begins. */
export async function readMessages(
  { source, format }: Reading,
  from: Position | null,
  isLast: ((message: EncodedMessage) => boolean) | null,
  begun: () => Promise<void> = () => Promise.resolve(),
  timeoutMs = 20_000,
): Promise<{ readonly messages: readonly EncodedMessage[]; readonly position: Position | null }> {
  const messages: EncodedMessage[] = [];
  let position = from;
  let beginning: Promise<void> | null = from === null ? null : begun();
  try {
    for await (const batch of source.read({ from, published: [], sinkHoldsOutput: false }, AbortSignal.timeout(timeoutMs))) {
      messages.push(...textsOf(encodeBatch(format, batch)));
      position = batch.checkpoint ?? position;
      const isWhole = batch.checkpoint !== null && batch.checkpointRecords === batch.count;
      batch.release();
      beginning ??= begun();
      if (isWhole && (isLast === null || messages.some(isLast))) break;
    }
  } finally {
    await source.close();
    await beginning;
  }
  return { messages, position };
}

/** Resolves once the log is read up to its end. */
export async function caughtUp({ source }: Reading): Promise<void> {
  while ((await source.observe(AbortSignal.timeout(5000))).lagBytes !== 0) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** Resolves once the stream is connected. */
export async function connected({ source }: Reading): Promise<void> {
  while (!(await source.observe(AbortSignal.timeout(5000))).connected) await new Promise((resolve) => setTimeout(resolve, 10));
}
