/** What the source offers for copies of tables: views of the database, on connections of their own that are kept for the next one. */
import {
  type ComingTable,
  type KeyText,
  type RecordBatch,
  SluiceError,
  type SnapshotSource,
  type SnapshotView,
  type SourceContext,
  sleep,
  type TableVersion,
  type WantedTable,
} from '#plugin';
import type { Charsets } from '../charset-tables.ts';
import { Client } from '../client.ts';
import { addressOf, addressText, type MysqlConfig } from '../config.ts';
import { asSluiceError } from '../connection-error.ts';
import type { LogPosition } from '../log/position.ts';
import type { ServerFacts } from '../server.ts';
import type { TableName } from './catalogue.ts';
import { otherServer } from './errors.ts';
import { beginMoment, committedOf, type Nameless } from './moment.ts';
import { textsOfRow } from './rows-sql.ts';
import { MysqlView, type ViewOptions } from './view.ts';

const SETTLE_POLL_MS = 20;
/** The driver's reader may be held for as long as the sink takes: the server must not take that for a dead connection. Seconds; the most that servers take. */
const PATIENCE_S = 31_536_000;
/** Longer than this nobody waits for the lock of a table that is being altered: it is looked at again. */
const LOCK_WAIT_S = 1;
/** GIPK columns are in the log as any other. */
const HIDES_KEYS_SINCE = 80_030;

export interface SnapshotsOptions {
  readonly server: ServerFacts;
  readonly charsets: Charsets;
  /** Where reading began. */
  readonly from: LogPosition;
  /** How many transactions without a GTID were read since. */
  readonly nameless: () => number;
  readonly wanted: readonly WantedTable[];
  readonly names: readonly TableName[];
  readonly come: () => readonly ComingTable[];
  readonly ask: () => void;
  /** No copy is under way. */
  readonly rested: () => void;
}

export class MysqlSnapshots implements SnapshotSource {
  readonly #config: MysqlConfig;
  readonly #context: SourceContext;
  readonly #options: SnapshotsOptions;
  readonly #idle: Client[] = [];
  readonly #open = new Set<Client>();
  readonly #names: Map<string, TableName>;
  #closed = false;

  constructor(config: MysqlConfig, context: SourceContext, options: SnapshotsOptions) {
    this.#config = config;
    this.#context = context;
    this.#options = options;
    this.#names = new Map(options.names.map((name) => [name.label, name]));
  }

  tables(): readonly WantedTable[] {
    return this.#options.wanted;
  }

  come(): readonly ComingTable[] {
    return this.#options.come();
  }

  /** A captured table that was not there when reading began. */
  know(name: TableName): void {
    this.#names.set(name.label, name);
  }

  keyOf(table: TableVersion, batch: RecordBatch, image: number): KeyText {
    return textsOfRow(table, table.key, batch, image);
  }

  /** Views of the very moment where the log begins would take a lock that stops all writing: everything is copied beside the log. */
  held(): Promise<null> {
    return Promise.resolve(null);
  }

  /** A commit is sent before it is to be seen. What was read of the log before this life began is asked of no view: so it is waited for here. */
  async settle(signal: AbortSignal): Promise<void> {
    const client = await this.#take(signal);
    try {
      while (!(await this.#showsAll(client))) await sleep(this.#context.runtime, SETTLE_POLL_MS, signal);
      this.#idle.push(client);
    } catch (error) {
      this.#drop(client);
      signal.throwIfAborted();
      throw this.#toError(error, 'a snapshot');
    }
  }

  async #showsAll(client: Client): Promise<boolean> {
    const { server } = this.#options;
    const { gtid } = this.#options.from;
    if (server.system === 'mysql') {
      const committed = this.#nameless === null ? 0 : await committedOf(client, this.#nameless);
      const [row] = await client.ask<{ missing: string }>('SELECT GTID_SUBTRACT(?, @@GLOBAL.gtid_executed) AS missing', [gtid]);
      return row?.missing === '' && committed >= 0;
    }
    await client.ask('START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY');
    // The set of what stands before a place.
    const [row] = await client.ask<{ gtid: string | null }>(
      "SELECT BINLOG_GTID_POS((SELECT VARIABLE_VALUE FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME = 'BINLOG_SNAPSHOT_FILE'), (SELECT CAST(VARIABLE_VALUE AS UNSIGNED) FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME = 'BINLOG_SNAPSHOT_POSITION')) AS gtid",
    );
    await client.ask('ROLLBACK');
    return row?.gtid != null && covers(row.gtid, gtid);
  }

  get #nameless(): Nameless | null {
    return this.#options.from.by === 'gtid' ? null : this.#options.nameless;
  }

  async rest(): Promise<void> {
    for (const client of this.#idle.splice(0)) this.#drop(client);
    this.#options.rested();
  }

  async view(signal: AbortSignal): Promise<SnapshotView> {
    const client = await this.#take(signal);
    try {
      return new MysqlView(client, await beginMoment(client, this.#options.server, this.#nameless), this.#viewOptions());
    } catch (error) {
      this.#drop(client);
      signal.throwIfAborted();
      throw this.#toError(error, 'a snapshot');
    }
  }

  ask(): void {
    this.#options.ask();
  }

  /** Ends every connection, whatever happens on it. */
  close(): void {
    this.#closed = true;
    for (const client of this.#open) client.close();
    this.#open.clear();
  }

  #viewOptions(): ViewOptions {
    const { tables, batch, connector } = this.#context;
    const { server, charsets } = this.#options;
    return {
      connector,
      user: addressOf(this.#config).user,
      system: server.system,
      registry: tables,
      charsets,
      limits: { tables, maxRecords: batch.maxRecords, maxBytes: batch.maxBytes },
      tableName: (label) => this.#names.get(label),
      release: (client, usable) => this.#release(client, usable),
      toError: (error, doing) => this.#toError(error, doing),
    };
  }

  async #take(signal: AbortSignal): Promise<Client> {
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    const client = await Client.connect(this.#config, this.#context.runtime, signal);
    if (this.#closed) {
      client.close();
      throw new Error('closed');
    }
    this.#open.add(client);
    try {
      await this.#prepare(client);
    } catch (error) {
      this.#drop(client);
      signal.throwIfAborted();
      throw this.#toError(error, 'the settings of a connection for copies');
    }
    return client;
  }

  async #prepare(client: Client): Promise<void> {
    const { server } = this.#options;
    const expression = server.system === 'mysql' ? '@@GLOBAL.server_uuid' : '@@GLOBAL.server_id';
    const [row] = await client.ask<{ identity: string }>(`SELECT CAST(${expression} AS CHAR) AS identity`);
    const actual = row?.identity ?? '';
    if (actual !== server.identity) throw new SluiceError(otherServer, { address: addressText(this.#config), actual, expected: server.identity });
    await client.ask('SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ');
    await client.ask(`SET SESSION ${settingsOf(server).join(', ')}`);
  }

  async #release(client: Client, usable: boolean): Promise<void> {
    if (!this.#open.has(client)) return;
    try {
      if (!usable) throw new Error('it is not usable');
      await client.ask('ROLLBACK');
      this.#idle.push(client);
    } catch {
      this.#drop(client);
    }
  }

  #drop(client: Client): void {
    this.#open.delete(client);
    client.close();
  }

  #toError(error: unknown, doing: string): SluiceError {
    return error instanceof SluiceError ? error : asSluiceError(error, { config: this.#config, doing });
  }
}

/** What may be set otherwise for the server or the account, and changes what a query gives or how long it may take. */
function settingsOf({ system, versionNumber }: ServerFacts): string[] {
  const settings = [
    "sql_mode = ''",
    "time_zone = '+00:00'",
    // Each text as it is stored: it becomes UTF-8 as that of the log does.
    'character_set_results = NULL',
    `net_write_timeout = ${PATIENCE_S}`,
    `net_read_timeout = ${PATIENCE_S}`,
    `wait_timeout = ${PATIENCE_S}`,
    `lock_wait_timeout = ${LOCK_WAIT_S}`,
    'sql_select_limit = 18446744073709551615',
    'sql_safe_updates = 0',
    'sql_big_selects = 1',
    'sql_auto_is_null = 0',
  ];
  if (system === 'mariadb') return [...settings, 'max_statement_time = 0'];
  if (versionNumber >= HIDES_KEYS_SINCE) settings.push('show_gipk_in_create_table_and_information_schema = ON');
  return [...settings, 'max_execution_time = 0'];
}

/** Whether what a server has done, domain by domain, is at least as far. */
function covers(done: string, wanted: string): boolean {
  const sequences = (text: string): Map<string, bigint> =>
    new Map(
      text
        .split(',')
        .filter((part) => part !== '')
        .map((part) => [part.split('-')[0] as string, BigInt(part.split('-')[2] ?? '0')]),
    );
  const have = sequences(done);
  return [...sequences(wanted)].every(([domain, sequence]) => (have.get(domain) ?? -1n) >= sequence);
}
