/** The Postgres log as a source: composes preparation, replication session, decoder and batch queue. */
import {
  BatchWriter,
  type Position,
  type ReadOptions,
  type RecordBatch,
  type RecoverOptions,
  SluiceError,
  type Source,
  type SourceContext,
  type SourceHealth,
  type SourcePreflight,
  type StoredPosition,
  sleep,
} from '#plugin';
import { type Catalog, loadCatalog } from '../catalog.ts';
import { applicationName, ControlConnection, replicationClientConfig } from '../client.ts';
import { addressOf, insertsPublicationName, type PostgresConfig, publicationName, slotName } from '../config.ts';
import { asSluiceError } from '../connection-error.ts';
import { publicationAfterSlot } from '../errors.ts';
import { Heartbeat } from '../heartbeat.ts';
import { moneyProblem } from '../money.ts';
import { preflightPostgres } from '../preflight.ts';
import { withinLimit } from '../server.ts';
import { PostgresSnapshots } from '../snapshot/snapshots.ts';
import type { CustomType } from '../types.ts';
import { type Memberships, publicationSql, readMemberships, unpublishedTable } from './membership.ts';
import { NewTables } from './new-tables.ts';
import { PgoutputDecoder } from './pgoutput.ts';
import { formatHalves, type LogPosition, parseLsn } from './position.ts';
import { type PreparedLog, prepareLog } from './prepare.ts';
import { LogQueue, type Mark } from './queue.ts';
import { recoverPosition } from './recover.ts';
import type { CatalogFacts, CatalogTable, Relation } from './relation.ts';
import { ReplicationSession } from './session.ts';
import { observeSlot, observeStandbys, releaseSlot } from './slot.ts';
import { isVisible, SNAPSHOT } from './visibility.ts';

/** A commit becomes visible right after it was sent, unless a synchronous standby keeps it waiting. */
const VISIBILITY_POLL_MS = 5;
const SLOW_COMMIT_MS = 10_000;

/**
 * Reads one slot. A lost connection ends the iterator of `read` with an error that is tried again (`retry: 'auto'`): the engine reads anew from the
 * saved offset, so that it knows of every record that comes again (I4). An unfinished transaction is dropped with the connection.
 */
export class PostgresLogSource implements Source {
  readonly #config: PostgresConfig;
  readonly #context: SourceContext;
  /** For what runs beside the stream: the catalogue, heartbeats, the look at the slot. */
  readonly #control: ControlConnection;
  readonly #facts = new LoadedFacts();
  #queue: LogQueue | null = null;
  #session: ReplicationSession | null = null;
  #heartbeat: Heartbeat | null = null;
  #newTables: NewTables | null = null;
  #prepared: PreparedLog | null = null;
  #snapshots: PostgresSnapshots | null = null;
  #offer: (snapshots: PostgresSnapshots) => void = () => undefined;
  readonly #offered = new Promise<PostgresSnapshots>((resolve) => {
    this.#offer = resolve;
  });
  readonly #closing = new AbortController();

  constructor(config: PostgresConfig, context: SourceContext) {
    this.#config = config;
    this.#context = context;
    this.#control = new ControlConnection(config, { applicationName: this.#applicationName, runtime: context.runtime });
  }

  preflight(signal: AbortSignal, stored?: StoredPosition): Promise<SourcePreflight> {
    return preflightPostgres(this.#config, this.#context, signal, stored);
  }

  async *read(options: ReadOptions, signal: AbortSignal): AsyncGenerator<RecordBatch, void, undefined> {
    const either = AbortSignal.any([signal, this.#closing.signal]);
    const prepared = await prepareLog(this.#config, this.#context, options, either);
    const queue = this.#makeQueue(prepared);
    const newTables = new NewTables(this.#config, this.#context, this.#control, prepared);
    this.#newTables = newTables;
    const session = await this.#makeSession(prepared, queue, newTables, options.mayEnd ?? (() => true));
    this.#queue = queue;
    this.#session = session;
    this.#prepared = prepared;
    const snapshots = new PostgresSnapshots(this.#config, this.#context, prepared, () => session.ask());
    this.#snapshots = snapshots;
    this.#offer(snapshots);
    const abort = (): void => queue.fail(either.reason);
    either.addEventListener('abort', abort, { once: true });
    try {
      either.throwIfAborted();
      // At the first start the place where it begins is saved before anything is written, or a crash in between would look like lost state.
      if (options.from === null) yield this.#beginning(prepared);
      await session.start();
      this.#context.log.info(`Streaming from ${prepared.from.lsn}.`, { slot: prepared.slot, publications: prepared.publications.join(', ') });
      this.#startHeartbeat(prepared);
      if (!this.#context.once) newTables.start();
      for (;;) {
        const batch = await queue.next();
        if (batch === null) return;
        yield batch;
      }
    } catch (error) {
      // Closed by ourselves: whatever broke by it is no error.
      if (this.#closing.signal.aborted) return;
      signal.throwIfAborted();
      throw error;
    } finally {
      either.removeEventListener('abort', abort);
      this.#heartbeat?.stop();
      queue.close();
      await Promise.all([session.stop(), snapshots.close(), newTables.close()]);
    }
  }

  snapshot(): Promise<PostgresSnapshots> {
    return this.#offered;
  }

  acknowledge(checkpoint: Position): void {
    const lsn = parseLsn(checkpoint['lsn'] ?? '');
    if (lsn !== null) this.#session?.acknowledge(lsn);
  }

  async observe(signal: AbortSignal): Promise<SourceHealth> {
    signal.throwIfAborted();
    const slot = slotName(this.#config, this.#context.connector);
    const looksAtStandbys = this.#config.snapshot.maxStandbyLag !== undefined;
    const health = await this.#control.run('the state of the slot', async (client) => ({
      ...(await observeSlot(client, slot)),
      ...(looksAtStandbys ? { standbyLagBytes: await observeStandbys(client) } : {}),
    }));
    if (this.#prepared !== null) await this.#checkPublications(this.#prepared);
    const session = this.#session;
    return { ...health, overdueMs: session?.overdueMs ?? 0, connected: session?.streaming ?? false };
  }

  /** What is taken out of a publication is no longer sent, and the log does not say so: reading stops (I8). */
  async #checkPublications({ members, publications, captures }: PreparedLog): Promise<void> {
    const error = await this.#control.run('the publications', async (client) => {
      const now = await readMemberships(client, publications, captures);
      const gone = publications.find((name) => now[name] === undefined);
      return gone === undefined ? unpublishedTable(client, members, now, captures, this.#context.connector) : this.#publicationGone(gone, members);
    });
    if (error !== null) this.#queue?.fail(error);
  }

  #publicationGone(publication: string, members: Memberships): SluiceError {
    const { connector } = this.#context;
    const inserts = insertsPublicationName(publicationName(this.#config, connector));
    const sql = publicationSql(publication, members, publication === inserts ? 'insert, truncate' : 'insert, update, delete, truncate');
    return new SluiceError(publicationAfterSlot, { slot: slotName(this.#config, connector), publication, sql, connector });
  }

  recover(options: RecoverOptions, signal: AbortSignal): Promise<Position> {
    return recoverPosition(this.#config, this.#context, options, signal);
  }

  async giveUp(): Promise<void> {
    this.#heartbeat?.stop();
    this.#queue?.close();
    await this.#session?.stop();
    const slot = slotName(this.#config, this.#context.connector);
    await this.#control.run('the drop of the slot', (client) => releaseSlot({ ...this.#context, client, name: slot }));
    this.#context.log.warn(`Slot "${slot}" was dropped, as "protect.dropSlot" says.`);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#heartbeat?.stop();
    this.#queue?.close();
    await Promise.all([this.#session?.stop(), this.#control.close(), this.#snapshots?.close(), this.#newTables?.close()]);
  }

  #beginning({ from }: PreparedLog): RecordBatch {
    const batch = new BatchWriter(this.#context.tables, () => undefined, 0);
    batch.setCheckpoint(from);
    return batch;
  }

  get #applicationName(): string {
    return applicationName(this.#context.connector, this.#context.instance);
  }

  #makeQueue({ from }: PreparedLog): LogQueue {
    const { runtime, tables, batch, maxBufferedBytes } = this.#context;
    const position = (mark: Mark): LogPosition => ({
      lsn: formatHalves(mark.hi, mark.lo),
      lastCommit: mark.commitHi < 0 ? null : formatHalves(mark.commitHi, mark.commitLo),
      lastCommitMicros: mark.commitHi < 0 ? null : String(mark.commitMicros),
      timeline: from.timeline,
      systemId: from.systemId,
    });
    return new LogQueue({
      runtime,
      tables,
      maxBufferedBytes,
      position,
      start: parseLsn(from.lsn) as bigint,
      maxRecords: batch.maxRecords,
      maxBytes: batch.maxBytes,
      pause: () => this.#session?.setFull(true),
      resume: () => this.#session?.setFull(false),
    });
  }

  async #makeSession(prepared: PreparedLog, queue: LogQueue, newTables: NewTables, mayEnd: () => boolean): Promise<ReplicationSession> {
    const { from, slot } = prepared;
    const commit = from.lastCommit === null ? null : (parseLsn(from.lastCommit) as bigint);
    const decoder = new PgoutputDecoder({
      systemId: from.systemId,
      catalog: addressOf(this.#config).database,
      captures: (schema, name) => prepared.captures(schema, name),
      leaves: (relation) => newTables.leaves(relation),
      prefixes: new Set(this.#config.messages),
      facts: this.#facts,
      described: this.#context.tables.described,
      refuses: (relation) => moneyProblem(relation, prepared.server.money, (oid) => this.#facts.type(oid)),
      target: queue,
      lastCommit:
        commit === null ? null : { hi: Number(commit >> 32n), lo: Number(commit & 0xffffffffn), micros: Number(from.lastCommitMicros ?? 0) },
    });
    return new ReplicationSession({
      runtime: this.#context.runtime,
      decoded: this.#context.decoded,
      clientConfig: await replicationClientConfig(this.#config, { applicationName: this.#applicationName, runtime: this.#context.runtime }),
      slot,
      publications: prepared.publications,
      start: parseLsn(from.lsn) as bigint,
      until: this.#context.once ? prepared.logEnd : null,
      mayEnd,
      decoder,
      queue,
      learn: (relation, xid) => (prepared.captures(relation.schema, relation.name) ? this.#learn(relation, xid) : newTables.noteLeft(relation)),
      toError: (error) => {
        const typed = asSluiceError(error, { config: this.#config, doing: 'START_REPLICATION', replication: true, slot });
        const publication =
          typed.kind === publicationAfterSlot ? prepared.publications.find((name) => typed.message.includes(`"${name}"`)) : undefined;
        return publication === undefined ? typed : this.#publicationGone(publication, prepared.members);
      },
    });
  }

  async #learn(relation: Relation, xid: number): Promise<void> {
    const { runtime, log } = this.#context;
    const asked = runtime.monotonicMs();
    let isSaid = false;
    while (!this.#closing.signal.aborted) {
      const catalog = await this.#control.run('the catalog', async (client) => {
        const { rows } = await client.query<{ snapshot: string }>(withinLimit(SNAPSHOT));
        return isVisible(rows[0]?.snapshot ?? '', xid) ? loadCatalog(client, [relation.oid]) : null;
      });
      if (catalog !== null) return this.#facts.add(catalog);
      if (!isSaid && runtime.monotonicMs() - asked > SLOW_COMMIT_MS) {
        isSaid = true;
        log.warn(
          'A transaction that changed a table is in the log but not yet visible: the server waits for a synchronous standby, and Sluice with it.',
          {
            table: `${relation.schema}.${relation.name}`,
          },
        );
      }
      await sleep(runtime, VISIBILITY_POLL_MS, this.#closing.signal);
    }
  }

  #startHeartbeat({ server }: PreparedLog): void {
    const { enabled, interval } = this.#config.heartbeat;
    if (!enabled || server.standby || this.#context.once) return;
    this.#heartbeat = new Heartbeat(this.#control, interval, this.#context.runtime, this.#context.log);
    this.#heartbeat.start();
  }
}

/** What was learned of the catalogue, for the decoder. */
class LoadedFacts implements CatalogFacts {
  readonly #tables = new Map<number, CatalogTable>();
  readonly #types = new Map<number, CustomType>();

  add(catalog: Catalog): void {
    for (const [oid, table] of catalog.tables) this.#tables.set(oid, table);
    for (const [oid, type] of catalog.types) this.#types.set(oid, type);
  }

  table(oid: number): CatalogTable | undefined {
    return this.#tables.get(oid);
  }

  type(oid: number): CustomType | undefined {
    return this.#types.get(oid);
  }
}
