import { beforeEach, describe, expect, it } from 'vitest';
import { type MemoryShare, shareMemory } from '../../../src/pipeline/memory.ts';
import { type PipelineOptions, runPipeline } from '../../../src/pipeline/pipeline.ts';
import type { Format } from '../../../src/plugin/format.ts';
import { NOTHING_WRITTEN, type Sink } from '../../../src/plugin/sink.ts';
import type { Source } from '../../../src/plugin/source.ts';
import { BatchWriter, OP, type RecordBatch } from '../../../src/record/batch.ts';
import type { MessageBatch } from '../../../src/record/messages.ts';
import type { Place, Position } from '../../../src/record/position.ts';
import { TableRegistry, type TableShape, tableLabel } from '../../../src/record/table.ts';
import { FakeRuntime, settle } from '../../support/fake-runtime.ts';
import { unboundedMemory } from '../../support/memory.ts';

const SHAPE: TableShape = { kind: 'table', catalog: 'db', schema: 'public', name: 't', columns: [], key: [] };

/** The parts of a pipeline, each of which notes what happens to it in one list. */
class Rig {
  readonly happened: string[] = [];
  readonly runtime = new FakeRuntime();
  readonly registry = new TableRegistry();
  readonly drain = new AbortController();
  readonly abort = new AbortController();
  readonly writes: { resolve: (place: Place) => void; reject: (error: unknown) => void; messages: number }[] = [];
  readonly #batches: RecordBatch[] = [];
  #want: (() => void) | null = null;
  #ended = false;
  saveFails: Error | null = null;
  bytesPerMessage = 10;

  /** One batch of `rows` rows that ends with a checkpoint, unless it is open. */
  offer(lsn: number, rows: number, open = false): void {
    const batch = new BatchWriter(this.registry, () => this.happened.push(`released ${lsn}`), 64);
    const table = batch.table(SHAPE);
    for (let row = 0; row < rows; row++) batch.record(OP.create, table, { id: String(lsn), commitMicros: lsn }, row);
    if (!open) batch.setCheckpoint({ lsn: String(lsn) });
    this.#batches.push(batch);
    this.#want?.();
  }

  end(): void {
    this.#ended = true;
    this.#want?.();
  }

  source(): Source {
    return {
      preflight: () => Promise.resolve({ findings: [], tables: [] }),
      read: () => this.#read(),
      acknowledge: (at: Position) => void this.happened.push(`acknowledged ${at['lsn']}`),
      observe: () => Promise.reject(new Error('not used')),
      recover: () => Promise.reject(new Error('not used')),
      close: () => Promise.resolve(),
    };
  }

  async *#read(): AsyncGenerator<RecordBatch> {
    for (;;) {
      const batch = this.#batches.shift();
      if (batch !== undefined) {
        this.happened.push(`read ${batch.checkpoint?.['lsn'] ?? 'open'}`);
        yield batch;
      } else if (this.#ended) return;
      else await new Promise<void>((resolve) => (this.#want = resolve));
    }
  }

  sink(): Sink {
    return {
      preflight: () => Promise.resolve([]),
      open: () => Promise.resolve(NOTHING_WRITTEN),
      destination: tableLabel,
      stands: () => false,
      write: (batch: MessageBatch) =>
        new Promise<Place>((resolve, reject) => {
          this.writes.push({ resolve, reject, messages: batch.count });
        }),
      recover: () => Promise.reject(new Error('not used')),
      close: () => Promise.resolve(),
    };
  }

  format(): Format {
    return {
      begin: () => undefined,
      prepare: () => ({
        encode: (_record, out) => {
          out.reserve(this.bytesPerMessage);
          const start = out.bytesLength;
          out.bytesLength += this.bytesPerMessage;
          out.message(-1, -1, start, out.bytesLength, -1, -1, start, start);
        },
      }),
    };
  }

  run(changes: Partial<PipelineOptions> = {}): Promise<void> {
    const options: PipelineOptions = {
      source: this.source(),
      sink: this.sink(),
      format: this.format(),
      read: { from: { lsn: '0' }, published: [], sinkHoldsOutput: false },
      runtime: this.runtime,
      maxInFlightBytes: 100,
      memory: unboundedMemory(),
      maxDelayMs: 5,
      checkpointMaxDelayMs: 200,
      save: async ({ position }) => {
        await settle();
        if (this.saveFails !== null) throw this.saveFails;
        this.happened.push(`saved ${position['lsn']}`);
      },
      undelivered: { divert: () => null, passing: () => undefined, isAside: () => false, settled: () => null },
      policy: null,
      mapping: null,
      saveHistory: () => null,
      announcements: null,
      events: {
        durable: () => undefined,
        idle: () => undefined,
        inFlight: () => undefined,
        saved: () => undefined,
        spent: () => undefined,
        waited: () => undefined,
      },
      ...changes,
    };
    return runPipeline(options, this.drain.signal, this.abort.signal);
  }

  notes(kind: string): string[] {
    return this.happened.filter((note) => note.startsWith(kind));
  }
}

describe('runPipeline', () => {
  let rig: Rig;
  beforeEach(() => {
    rig = new Rig();
  });

  it('acknowledges only what is saved and saves only what is durable without a gap (I5)', async () => {
    const run = rig.run();
    rig.offer(1, 1);
    rig.offer(2, 1);
    await settle();
    expect(rig.writes).toHaveLength(2);
    rig.writes[1]?.resolve({ n: '2' });
    await rig.runtime.advance(1000);
    expect(rig.notes('saved')).toEqual([]);
    rig.writes[0]?.resolve({ n: '1' });
    await rig.runtime.advance(1000);
    expect(rig.happened.slice(-2)).toEqual(['saved 2', 'acknowledged 2']);
    rig.end();
    await run;
  });

  it('stops pulling when the bound of bytes in flight is reached, and goes on when something is durable (I9)', async () => {
    const run = rig.run();
    for (let lsn = 1; lsn <= 5; lsn++) rig.offer(lsn, 6);
    await settle();
    expect(rig.writes).toHaveLength(2);
    rig.writes[0]?.resolve({});
    await settle();
    await settle();
    expect(rig.writes).toHaveLength(3);
    rig.end();
    for (let index = 1; index < 5; index++) {
      rig.writes[index]?.resolve({});
      await rig.runtime.advance(10);
    }
    await rig.runtime.advance(10);
    await run;
    expect(rig.notes('acknowledged').at(-1)).toBe('acknowledged 5');
  });

  it('lets one batch pass that is larger than the whole bound (I9)', async () => {
    const run = rig.run({ maxInFlightBytes: 5 });
    rig.offer(1, 3);
    rig.offer(2, 3);
    await settle();
    expect(rig.writes).toHaveLength(1);
    rig.writes[0]?.resolve({});
    await settle();
    await settle();
    expect(rig.writes).toHaveLength(2);
    rig.writes[1]?.resolve({});
    rig.end();
    await run;
  });

  it('waits when the bound of the process is reached, and goes on when another connector gives back; a part is its own (I9)', async () => {
    const need = { batchBytes: 1000, inFlightBytes: 1e8 };
    const [mine, others] = shareMemory(4 * 2 ** 20, [need, need]) as [MemoryShare, MemoryShare];
    const other = new Rig();
    const runs = [rig.run({ memory: mine, maxInFlightBytes: 1e8 }), other.run({ memory: others, maxInFlightBytes: 1e8 })];
    const pass = async (): Promise<void> => {
      for (let turn = 0; turn < 60; turn++) for (const { runtime } of [rig, other]) await runtime.advance(10);
    };
    for (let lsn = 1; lsn <= 30; lsn++) rig.offer(lsn, 1);
    await pass();
    // Each batch has a buffer of 256 KiB and its spans; there are 3.5 MiB beside the queues, of which a quarter is kept for the other connector.
    expect(rig.writes).toHaveLength(11);
    for (let lsn = 1; lsn <= 30; lsn++) other.offer(lsn, 1);
    await pass();
    expect(other.writes).toHaveLength(4);
    for (let index = 0; index < 3; index++) rig.writes[index]?.resolve({});
    await pass();
    // What the first gives back makes up for the batches that went beyond the bound; then who waits has its turn, too.
    expect([rig.writes.length, other.writes.length]).toEqual([13, 5]);
    rig.end();
    other.end();
    for (let index = 0; index < 30; index++) {
      for (const { writes } of [rig, other]) writes[index]?.resolve({});
      await pass();
    }
    await Promise.all(runs);
    expect([rig.notes('acknowledged').at(-1), other.notes('acknowledged').at(-1)]).toEqual(['acknowledged 30', 'acknowledged 30']);
    expect([mine.held, others.held]).toEqual([0, 0]);
  });

  it('drains: takes nothing new, waits for what is in flight, saves and acknowledges it', async () => {
    const run = rig.run();
    rig.offer(1, 1);
    await settle();
    rig.drain.abort();
    rig.offer(2, 1);
    await settle();
    expect(rig.writes).toHaveLength(1);
    rig.writes[0]?.resolve({});
    await run;
    expect(rig.happened).toEqual(['read 1', 'released 1', 'read 2', 'saved 1', 'acknowledged 1']);
  });

  it('a failed write stops it with that error, after the others settled; what is durable is saved, nothing behind the gap is (I3, I5)', async () => {
    const run = rig.run();
    for (let lsn = 1; lsn <= 3; lsn++) rig.offer(lsn, 1);
    await settle();
    const failure = new Error('sink');
    rig.writes[1]?.reject(failure);
    await settle();
    rig.writes[0]?.resolve({});
    rig.writes[2]?.resolve({});
    await expect(run).rejects.toBe(failure);
    expect(rig.notes('saved')).toEqual(['saved 1']);
    expect(rig.notes('acknowledged')).toEqual(['acknowledged 1']);
  });

  it('a failed save stops it and nothing is acknowledged (I5)', async () => {
    rig.saveFails = new Error('disk full');
    const run = rig.run();
    rig.offer(1, 1);
    await settle();
    rig.writes[0]?.resolve({});
    const failed = expect(run).rejects.toBe(rig.saveFails);
    await rig.runtime.advance(1000);
    await failed;
    expect(rig.notes('acknowledged')).toEqual([]);
  });

  it('an empty batch moves the checkpoint without a write, but never past what is in flight (I5, I10)', async () => {
    const run = rig.run();
    rig.offer(1, 1);
    rig.offer(2, 0);
    await settle();
    await rig.runtime.advance(1000);
    expect(rig.notes('saved')).toEqual([]);
    rig.writes[0]?.resolve({});
    await rig.runtime.advance(1000);
    expect(rig.notes('saved')).toEqual(['saved 2']);
    rig.end();
    await run;
  });

  it('stops at once when aborted, even with a sink that never answers', async () => {
    const run = rig.run();
    rig.offer(1, 1);
    await settle();
    rig.drain.abort();
    rig.abort.abort(new Error('second signal'));
    await expect(run).rejects.toThrow('second signal');
    expect(rig.notes('saved')).toEqual([]);
  });

  it('at the first start saves where it begins before anything is written, so that a crash in between is no lost state (I5)', async () => {
    const run = rig.run({ read: { from: null, published: [], sinkHoldsOutput: false } });
    rig.offer(1, 0);
    rig.offer(2, 1);
    await settle();
    expect(rig.writes).toHaveLength(0);
    await rig.runtime.advance(0);
    expect(rig.happened).toEqual(['read 1', 'released 1', 'saved 1', 'acknowledged 1', 'read 2', 'released 2']);
    expect(rig.writes).toHaveLength(1);
    rig.writes[0]?.resolve({});
    rig.end();
    await run;
    const rows = new Rig();
    rows.offer(1, 1);
    await expect(rows.run({ read: { from: null, published: [], sinkHoldsOutput: false } })).rejects.toMatchObject({ code: 'SLUICE_INTERNAL' });
  });

  it('refuses two tables that would get one name', async () => {
    const batch = new BatchWriter(rig.registry, () => undefined, 64);
    for (const name of ['a.b', 'a_b']) batch.record(OP.create, batch.table({ ...SHAPE, name }), { id: '1', commitMicros: 1 }, 0);
    const source = {
      ...rig.source(),
      read: async function* (): AsyncGenerator<RecordBatch> {
        yield batch;
      },
    };
    const sanitising = { ...rig.sink(), destination: (table: { name: string }) => table.name.replaceAll('.', '_') };
    await expect(rig.run({ source, sink: sanitising })).rejects.toMatchObject({ code: 'SLUICE_NAME_COLLISION' });
    const merging = { ...rig.sink(), destination: () => 'all' };
    const run = rig.run({ source, sink: merging });
    await settle();
    rig.writes[0]?.resolve({});
    await run;
  });
});
