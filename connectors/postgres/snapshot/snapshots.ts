/** What the source offers for copies of tables: views of the database, on connections of their own that are kept for the next one. */
import type pg from 'pg';
import {
  type KeyText,
  type RecordBatch,
  SluiceError,
  type SnapshotSource,
  type SnapshotView,
  type SourceContext,
  sleep,
  type TableVersion,
  type Transaction,
  type WantedTable,
} from '#plugin';
import { applicationName, type ConnectOptions, connectClient, destroyClient, endClient, quoteLiteral } from '../client.ts';
import { addressOf, type PostgresConfig } from '../config.ts';
import { asSluiceError } from '../connection-error.ts';
import { commitLsnOf, parseLsn } from '../log/position.ts';
import type { PreparedLog } from '../log/prepare.ts';
import { haveEnded, isVisible, SNAPSHOT } from '../log/visibility.ts';
import { moneyProblem } from '../money.ts';
import { keyOfRow } from './copy-text.ts';
import type { TableName } from './readable-table.ts';
import { type Moment, PostgresView, type ViewOptions } from './view.ts';

/** A page of the log and its header; the first page of a segment has a longer one (`xlog_internal.h`). */
const PAGE = 8192n;
const PAGE_HEADER = 24n;
const LONG_PAGE_HEADER = 40n;

/** A copy may take hours; nothing else on these connections waits. */
const BEGIN = 'SET statement_timeout = 0; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY';
const BEGIN_TIMEOUT_MS = 60_000;
const SETTLE_POLL_MS = 20;
const SETTLE_SLOW_MS = 5_000;

// The insert position, not that of the flush: with synchronous_commit=off a transaction is seen before its commit is on disk (algorithms §6).
const NOW = `SELECT pg_current_snapshot()::text AS snapshot, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint::text AS micros,
    CASE WHEN pg_is_in_recovery() THEN GREATEST(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) ELSE pg_current_wal_insert_lsn() END::text AS lsn`;
const REPLAYED = 'SELECT pg_last_wal_replay_lsn()::text AS lsn';

export class PostgresSnapshots implements SnapshotSource {
  readonly #config: PostgresConfig;
  readonly #context: SourceContext;
  readonly #prepared: PreparedLog;
  readonly #ask: () => void;
  readonly #idle: pg.Client[] = [];
  readonly #open = new Set<pg.Client>();
  readonly #names: ReadonlyMap<string, TableName>;
  #closed = false;

  constructor(config: PostgresConfig, context: SourceContext, prepared: PreparedLog, ask: () => void) {
    this.#config = config;
    this.#context = context;
    this.#prepared = prepared;
    this.#ask = ask;
    const { signalTable } = config.snapshot;
    const copied = prepared.tables.filter(({ label }) => label !== signalTable);
    this.#names = new Map(copied.map(({ schema, name, label }) => [label, { schema, name, label }]));
  }

  tables(): readonly WantedTable[] {
    return this.#prepared.wanted;
  }

  keyOf(table: TableVersion, batch: RecordBatch, image: number): KeyText {
    return keyOfRow(table, batch, image);
  }

  async held(count: number): Promise<readonly SnapshotView[] | null> {
    const { exported, from } = this.#prepared;
    if (exported === null) return null;
    const views: SnapshotView[] = [];
    try {
      for (let n = 0; n < count; n++) {
        const client = await this.#connect();
        const { micros } = await this.#begin(client, `${BEGIN}; SET TRANSACTION SNAPSHOT ${quoteLiteral(exported.name)}`);
        const lsn = parseLsn(from.lsn) as bigint;
        views.push(this.#view(client, { shows: () => null, end: lsn, micros, lsn }));
      }
    } catch (error) {
      await Promise.all(views.map((view) => view.close()));
      throw this.#toError(error, 'the first snapshot');
    } finally {
      // It is theirs now.
      await exported.release();
    }
    return views;
  }

  async settle(signal: AbortSignal): Promise<void> {
    const client = this.#idle.pop() ?? (await this.#connect(signal));
    const now = async (): Promise<string> => (await client.query<{ snapshot: string }>(SNAPSHOT)).rows[0]?.snapshot ?? '';
    const { standby } = this.#prepared.server;
    try {
      const then = await now();
      const asked = this.#context.runtime.monotonicMs();
      for (let isSaid = false; !haveEnded(then, await now(), standby); ) {
        await sleep(this.#context.runtime, SETTLE_POLL_MS, signal);
        if (isSaid || this.#context.runtime.monotonicMs() - asked < SETTLE_SLOW_MS) continue;
        isSaid = true;
        this.#context.log.info(`Copying waits for transactions that are open on the ${standby ? 'primary' : 'server'}.`, {
          remedy:
            'SELECT pid, xact_start, query FROM pg_stat_activity WHERE backend_xid IS NOT NULL shows them; SELECT pg_terminate_backend(pid) ends one.',
        });
      }
      this.#idle.push(client);
    } catch (error) {
      this.#open.delete(client);
      destroyClient(client);
      signal.throwIfAborted();
      throw this.#toError(error, 'a snapshot');
    }
  }

  async rest(): Promise<void> {
    const clients = this.#idle.splice(0);
    for (const client of clients) this.#open.delete(client);
    await Promise.all(clients.map((client) => endClient(client)));
  }

  async view(signal: AbortSignal): Promise<SnapshotView> {
    const client = this.#idle.pop() ?? (await this.#connect(signal));
    try {
      const { standby } = this.#prepared.server;
      const replayed = standby ? await client.query<{ lsn: string }>(REPLAYED) : null;
      const { snapshot, micros, end } = await this.#begin(client, BEGIN);
      const shows = replayed === null ? bySnapshot(snapshot) : byReplay(parseLsn(replayed.rows[0]?.lsn ?? '') ?? 0n, end);
      return this.#view(client, { shows, end, micros, lsn: null });
    } catch (error) {
      this.#open.delete(client);
      destroyClient(client);
      signal.throwIfAborted();
      throw this.#toError(error, 'a snapshot');
    }
  }

  ask(): void {
    this.#ask();
  }

  /** Ends every connection, whatever happens on it. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const client of this.#open) destroyClient(client);
    this.#open.clear();
    await this.#prepared.exported?.release();
  }

  async #begin(client: pg.Client, sql: string): Promise<{ snapshot: string; micros: number; end: bigint }> {
    await client.query({ text: sql, query_timeout: BEGIN_TIMEOUT_MS } as pg.QueryConfig);
    const { rows } = await client.query<{ snapshot: string; micros: string; lsn: string }>(NOW);
    const row = rows[0] as { snapshot: string; micros: string; lsn: string };
    return { snapshot: row.snapshot, micros: Number(row.micros), end: this.#beforeHeader(parseLsn(row.lsn) ?? 0n) };
  }

  /** Where the next record would begin is behind the header of a page that nothing stands on yet; the log itself ends before the header. */
  #beforeHeader(lsn: bigint): bigint {
    const { walSegmentBytes } = this.#prepared.server;
    if (lsn % BigInt(walSegmentBytes) === LONG_PAGE_HEADER) return lsn - LONG_PAGE_HEADER;
    return lsn % PAGE === PAGE_HEADER ? lsn - PAGE_HEADER : lsn;
  }

  async #connect(signal?: AbortSignal): Promise<pg.Client> {
    const { connector, instance, runtime } = this.#context;
    const options: ConnectOptions = {
      applicationName: applicationName(connector, instance),
      runtime,
      ...(signal === undefined ? {} : { signal }),
    };
    const client = await connectClient(this.#config, options);
    if (this.#closed) {
      destroyClient(client);
      throw new Error('closed');
    }
    this.#open.add(client);
    return client;
  }

  #view(client: pg.Client, moment: Moment): SnapshotView {
    const { tables, batch, connector } = this.#context;
    const { server, publications } = this.#prepared;
    const options: ViewOptions = {
      connector,
      user: addressOf(this.#config).user,
      registry: tables,
      catalog: addressOf(this.#config).database,
      publications,
      version: server.version,
      copy: { tables, maxRecords: batch.maxRecords, maxBytes: batch.maxBytes },
      tableName: (label) => this.#names.get(label),
      refuses: (relation, catalog) => moneyProblem(relation, server.money, (oid) => catalog.types.get(oid)),
      release: (used, usable) => this.#release(used, usable),
      toError: (error, doing) => this.#toError(error, doing),
    };
    return new PostgresView(client, moment, options);
  }

  async #release(client: pg.Client, usable: boolean): Promise<void> {
    if (!this.#open.has(client)) return;
    try {
      if (!usable) throw new Error('it is not usable');
      await client.query('ROLLBACK');
      this.#idle.push(client);
    } catch {
      this.#open.delete(client);
      destroyClient(client);
    }
  }

  #toError(error: unknown, doing: string): SluiceError {
    return error instanceof SluiceError ? error : asSluiceError(error, { config: this.#config, doing });
  }
}

/** The xid of a transaction stands in its id. */
function xidOf({ id }: Transaction): number {
  return Number(id.slice(id.lastIndexOf('.') + 1));
}

function bySnapshot(snapshot: string): Moment['shows'] {
  return (transaction) => isVisible(snapshot, xidOf(transaction));
}

/**
 * A standby's snapshot has no list of what is running: what is committed is seen once it was replayed (algorithms §6). `before` was replayed when the snapshot was
 * taken, `end` was not even received.
 */
function byReplay(before: bigint, end: bigint): Moment['shows'] {
  return ({ id }) => {
    const commit = commitLsnOf(id);
    if (commit === null || (commit >= before && commit < end)) return null;
    return commit < before;
  };
}
