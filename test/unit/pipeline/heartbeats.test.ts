import { describe, expect, it } from 'vitest';
import { debezium } from '../../../src/formats/debezium/index.ts';
import { type PipelineOptions, runPipeline } from '../../../src/pipeline/pipeline.ts';
import { NOTHING_WRITTEN, type Sink } from '../../../src/plugin/sink.ts';
import type { Source } from '../../../src/plugin/source.ts';
import { BatchWriter, OP, type RecordBatch } from '../../../src/record/batch.ts';
import { destinationAt, type MessageBatch, MessageWriter } from '../../../src/record/messages.ts';
import type { Place } from '../../../src/record/position.ts';
import { TableRegistry, tableLabel } from '../../../src/record/table.ts';
import { CONTEXT, column, DEBEZIUM_DEFAULTS, tableShape, textsOf } from '../../support/encoded.ts';
import { FakeRuntime, settle } from '../../support/fake-runtime.ts';
import { unboundedMemory } from '../../support/memory.ts';

const TABLE = tableShape([column('id', 'int32')], []);
const TOPIC = '__debezium-heartbeat.g';

/** A pipeline with Debezium's format and heartbeats every second. Batches come when they are offered. */
function rig(from: { readonly lsn: string } | null) {
  const runtime = new FakeRuntime();
  const registry = new TableRegistry();
  const happened: string[] = [];
  const drain = new AbortController();
  const waiting: RecordBatch[] = [];
  const writes: { readonly topics: readonly string[]; readonly confirm: () => void }[] = [];
  let want: (() => void) | null = null;
  const source = {
    async *read(): AsyncGenerator<RecordBatch> {
      for (;;) {
        const batch = waiting.shift();
        if (batch === undefined) await new Promise<void>((resolve) => (want = resolve));
        else yield batch;
      }
    },
    acknowledge: ({ lsn }: { readonly lsn: string }) => happened.push(`acknowledged ${lsn}`),
  } as unknown as Source;
  const sink = {
    open: () => Promise.resolve(NOTHING_WRITTEN),
    destination: tableLabel,
    write: (batch: MessageBatch) =>
      new Promise<Place>((resolve) => {
        const topics = textsOf(batch as Parameters<typeof textsOf>[0]).map((_, index) => destinationAt(batch, index));
        writes.push({ topics, confirm: () => resolve({ n: String(writes.length) }) });
      }),
  } as unknown as Sink;
  const options: PipelineOptions = {
    source,
    sink,
    runtime,
    format: debezium.create({ ...DEBEZIUM_DEFAULTS, heartbeatInterval: 1000 }, CONTEXT),
    read: { from, published: [], sinkHoldsOutput: false },
    maxInFlightBytes: 100,
    memory: unboundedMemory(),
    maxDelayMs: 5,
    checkpointMaxDelayMs: 20,
    save: ({ position, place }) => Promise.resolve(void happened.push(`saved ${position['lsn']} ${place?.['n'] ?? '-'}`)),
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
  };
  const offer = (lsn: string, isOpen = false): void => {
    const batch = new BatchWriter(registry, () => undefined, 64);
    if (lsn !== '0') {
      batch.record(OP.create, batch.table(TABLE), { id: lsn, commitMicros: 1 }, 0);
      batch.image('after');
      batch.mark(-1);
    }
    if (!isOpen) batch.setCheckpoint({ lsn });
    waiting.push(batch);
    want?.();
  };
  const ended = runPipeline(options, drain.signal, new AbortController().signal);
  const end = async (): Promise<void> => {
    drain.abort();
    for (let round = 0; round < 5; round++) {
      for (const { confirm } of writes) confirm();
      await settle();
    }
    await ended;
  };
  return { runtime, happened, writes, offer, end };
}

describe('heartbeats', () => {
  it('come at their interval while nothing changes, and save where the log is with the place behind them', async () => {
    const { runtime, happened, writes, end } = rig({ lsn: '7' });
    for (let beat = 1; beat <= 3; beat++) {
      await runtime.advance(999);
      expect(writes).toHaveLength(beat - 1);
      await runtime.advance(1);
      writes[beat - 1]?.confirm();
      await settle();
    }
    await runtime.advance(20);
    expect(writes.map(({ topics }) => topics)).toEqual(Array(3).fill([TOPIC]));
    expect(happened).toEqual(['saved 7 1', 'acknowledged 7', 'saved 7 2', 'acknowledged 7', 'saved 7 3', 'acknowledged 7']);
    await end();
  });

  it('save nothing inside a transaction: the place they moved is saved with the next checkpoint (I6)', async () => {
    const { runtime, happened, writes, offer, end } = rig({ lsn: '7' });
    offer('9', true);
    await runtime.advance(1);
    writes[0]?.confirm();
    await runtime.advance(1000);
    expect(writes.map(({ topics }) => topics)).toEqual([['public.t'], [TOPIC]]);
    writes[1]?.confirm();
    await runtime.advance(900);
    expect(happened).toEqual([]);
    offer('9');
    await runtime.advance(1);
    writes[2]?.confirm();
    await runtime.advance(50);
    expect(happened).toEqual(['saved 9 3', 'acknowledged 9']);
    await end();
  });

  it('wait for the first position to be saved, and for a sink that is behind', async () => {
    const { runtime, happened, writes, offer, end } = rig(null);
    await runtime.advance(5000);
    expect(writes).toEqual([]);
    offer('0');
    await runtime.advance(1);
    expect(happened[0]).toBe('saved 0 -');
    expect(writes).toHaveLength(1);
    // More than may be in flight: the next one is not added.
    offer('9');
    await runtime.advance(5000);
    expect(writes.map(({ topics }) => topics)).toEqual([[TOPIC], ['public.t']]);
    await end();
  });

  it('have their schemas inline, as Connect writes them', () => {
    const format = debezium.create({ ...DEBEZIUM_DEFAULTS, schemasEnable: true, heartbeatInterval: 1000 }, CONTEXT);
    const { heartbeats } = format;
    expect(heartbeats?.destination).toBe(TOPIC);
    const out = new MessageWriter(16);
    heartbeats?.write(1_795_467_559_702_894, out);
    expect(textsOf(out)[0]).toMatchObject({
      id: 'g/heartbeat/1795467559702894/0/0',
      key: '{"schema":{"type":"struct","fields":[{"type":"string","optional":false,"field":"serverName"}],"optional":false,"name":"io.debezium.connector.common.ServerNameKey","version":1},"payload":{"serverName":"g"}}',
      value:
        '{"schema":{"type":"struct","fields":[{"type":"int64","optional":false,"field":"ts_ms"}],"optional":false,"name":"io.debezium.connector.common.Heartbeat","version":1},"payload":{"ts_ms":1795467559702}}',
    });
  });
});
