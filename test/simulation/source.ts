import type { SourceContext } from '../../src/plugin/context.ts';
import { defineError, SluiceError } from '../../src/plugin/error.ts';
import type { ReadOptions, Source, SourceHealth, SourcePlugin, SourcePreflight } from '../../src/plugin/source.ts';
import { ABSENT, type BatchWriter, OP, type RecordBatch } from '../../src/record/batch.ts';
import type { Position } from '../../src/record/position.ts';
import type { TableShape, TableVersion } from '../../src/record/table.ts';
import type { Change, Committed } from './log.ts';
import type { Server } from './server.ts';
import { cellsOf, TABLES } from './tables.ts';
import type { Owner, World } from './world.ts';

const LOST = defineError({ code: 'SLUICE_SIM_LOST', retry: 'auto', exit: 1, cause: 'The connection to the source was lost.', remedy: 'Wait.' });
const IN_USE = defineError({ code: 'SLUICE_SIM_SLOT_IN_USE', retry: 'auto', exit: 1, cause: 'The slot is in use.', remedy: 'Wait.' });
const AHEAD = defineError({
  code: 'SLUICE_SIM_SLOT_AHEAD',
  retry: 'manual',
  exit: 3,
  cause: 'The slot is at {confirmed}, ahead of the offset {from}.',
  remedy: 'Recover.',
});
const HOLDS = defineError({ code: 'SLUICE_SIM_SINK_HOLDS', retry: 'manual', exit: 3, cause: 'The sink holds output.', remedy: 'Recover.' });

/** How long a silent connection is waited for. */
const SILENCE_MS = 1200;

/** A source on the simulated server's slot. */
class SimulatedSource implements Source {
  readonly #world: World;
  readonly #owner: Owner;
  readonly #server: Server;
  readonly #context: SourceContext;
  readonly #versions = new Map<TableShape, TableVersion>();
  #connected = false;
  #closed = false;

  constructor(world: World, owner: Owner, server: Server, context: SourceContext) {
    this.#world = world;
    this.#owner = owner;
    this.#server = server;
    this.#context = context;
  }

  async preflight(): Promise<SourcePreflight> {
    await this.#answer('preflight');
    return { findings: [], tables: TABLES.map(([first]) => first as TableShape) };
  }

  async *read({ from, published, sinkHoldsOutput }: ReadOptions): AsyncGenerator<RecordBatch> {
    const server = this.#server;
    await this.#answer('start replication');
    if (this.#world.now < server.inUseUntil) throw new SluiceError(IN_USE);
    this.#connected = true;
    for (const id of published) {
      if (!server.log.transactions.some(({ transaction }) => transaction.id === id)) this.#world.violated('I2', `${id} was published`);
    }
    if (from === null && sinkHoldsOutput) throw new SluiceError(HOLDS);
    let lsn = from === null ? server.confirmed : Number(from['lsn']);
    if (lsn < server.confirmed) throw new SluiceError(AHEAD, { confirmed: server.confirmed, from: lsn });
    // A session tells the server first of all from where it reads: all before it is saved.
    server.acknowledge(lsn);
    if (from === null) yield this.#empty(lsn);
    let next = server.log.before(lsn);
    let row = 0;
    for (;;) {
      await this.#answer('rows');
      if (next >= server.log.committed && server.log.head <= lsn) {
        await server.grown(this.#owner);
        continue;
      }
      const batch = this.#server.writer(this.#context.tables);
      ({ next, row, lsn } = this.#fill(batch, next, row, lsn));
      yield batch;
    }
  }

  acknowledge(checkpoint: Position): void {
    const lsn = Number(checkpoint['lsn']);
    this.#server.checks.acknowledge(lsn);
    if (this.#connected) this.#server.acknowledge(lsn);
  }

  async observe(): Promise<SourceHealth> {
    return { lagBytes: this.#server.log.head - this.#server.confirmed, retainedBytes: null, slotState: 'reserved', connected: this.#connected };
  }

  async recover(): Promise<Position> {
    await this.#answer('recover');
    return { lsn: String(this.#server.confirmed) };
  }

  async close(): Promise<void> {
    this.#connected = false;
    this.#closed = true;
  }

  /** As many rows as a batch takes, or as the seed likes; it may end within a transaction. */
  #fill(batch: BatchWriter, next: number, row: number, lsn: number): { next: number; row: number; lsn: number } {
    const { log } = this.#server;
    const { maxRecords, maxBytes } = this.#context.batch;
    const most = this.#world.random.chance(0.3) ? this.#world.random.between(1, maxRecords) : maxRecords;
    while (next < log.committed && batch.count < most && batch.byteLength < maxBytes) {
      const committed = log.transactions[next] as Committed;
      while (row < committed.changes.length && batch.count < most && batch.byteLength < maxBytes) {
        this.#writeChange(batch, committed, committed.changes[row++] as Change);
      }
      if (row < committed.changes.length) break;
      row = 0;
      next++;
      lsn = committed.end;
      batch.setCheckpoint({ lsn: String(lsn) });
    }
    if (batch.count === 0 || (next === log.committed && row === 0 && this.#world.random.chance(0.3))) {
      // The log has moved on without captured changes.
      lsn = log.head;
      batch.setCheckpoint({ lsn: String(lsn) });
    }
    return { next, row, lsn };
  }

  #writeChange(batch: BatchWriter, { transaction }: Committed, { op, table, ordinal, key, oldKey, value }: Change): void {
    batch.record(OP[op], this.#versionOf(batch, table), transaction, ordinal);
    const cells = (image: 'before' | 'after', of: number, whole: boolean): void => {
      batch.image(image);
      for (const [index, text] of cellsOf(table, of, value).entries()) {
        if (whole || table.key.length === 0 || table.key.includes(index)) batch.cell(batch.append(Buffer.from(text)), batch.arenaLength);
        else batch.mark(ABSENT);
      }
    };
    if (op === 'delete' || (op === 'update' && oldKey !== key)) cells('before', oldKey, false);
    if (op === 'create' || op === 'update') cells('after', key, true);
  }

  #versionOf(batch: BatchWriter, shape: TableShape): TableVersion {
    let version = this.#versions.get(shape);
    if (version === undefined) {
      version = batch.table(shape);
      this.#versions.set(shape, version);
    }
    return version;
  }

  #empty(lsn: number): BatchWriter {
    const batch = this.#server.writer(this.#context.tables);
    batch.setCheckpoint({ lsn: String(lsn) });
    return batch;
  }

  /** The server's answer takes a while, and may never come. */
  #answer(what: string): Promise<void> {
    const world = this.#world;
    return new Promise((resolve, reject) => {
      world.after(this.#owner, this.#server.latency(), what, () => {
        if (this.#closed || this.#server.isLost()) {
          this.#connected = false;
          return reject(new SluiceError(LOST));
        }
        if (world.now >= this.#server.cutUntil) return resolve();
        const silent = Math.min(SILENCE_MS, this.#server.cutUntil - world.now);
        world.after(this.#owner, silent, 'silence of the source', () => {
          if (world.now >= this.#server.cutUntil && world.random.chance(0.5)) return resolve();
          this.#connected = false;
          reject(new SluiceError(LOST));
        });
      });
    });
  }
}

const PLUGIN: Omit<SourcePlugin, 'create'> = {
  role: 'source',
  type: 'simulated',
  fields: {},
  errors: [LOST, IN_USE, AHEAD, HOLDS],
  origin: { system: 'simulated', columns: [], transaction: [] },
  catalog: () => 'shop',
  parsePosition: (text) => ({ lsn: text }),
};

export function slotSource(world: World, owner: Owner, server: Server): SourcePlugin {
  return { ...PLUGIN, create: (_, context) => new SimulatedSource(world, owner, server, context) };
}
