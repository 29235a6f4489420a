/**
 * A sink alone: NATS' windowed publisher or Kafka's lanes, fed with the same bytes. Encodes the first rows of a slot as the pipeline would, then publishes them
 * again and again under new ids until there are as many messages as rows. Only the publishing is measured. Argument: one JSON object. Prints one JSON line.
 */
import * as connectors from '../../connectors/index.ts';
import { loadConfiguration, requireConfiguration } from '../../src/config/load.ts';
import { nodeRuntime } from '../../src/daemon/node-runtime.ts';
import { formats } from '../../src/formats/index.ts';
import { BatchEncoder } from '../../src/pipeline/encode.ts';
import type { SinkContext, SourceContext } from '../../src/plugin/context.ts';
import { type MessageWriter, SPAN, SPAN_SIZE } from '../../src/record/messages.ts';
import { TableRegistry } from '../../src/record/table.ts';
import { unboundedMemory } from '../support/memory.ts';

const { file, messages: wanted, sample } = JSON.parse(process.argv[2] ?? '{}') as { file: string; messages: number; sample: number };
const definition = requireConfiguration(
  await loadConfiguration({ paths: [file], env: process.env, registry: { ...connectors, formats }, secrets: 'resolve' }),
).connectors[0];
if (definition === undefined) throw new Error('no connector');
const runtime = nodeRuntime();
const log = { debug: () => undefined, info: () => undefined, warn: console.error, error: console.error };
const context: SinkContext = {
  connector: definition.name,
  runtime,
  log,
  instance: 'bench',
  retried: () => undefined,
  savePlace: () => Promise.resolve(),
  previousShutdown: 'clean',
  undeliverable: (_batch, _index, error) => Promise.reject(error),
  extraDestinations: [],
};
const never = new AbortController().signal;
const sink = definition.sink.plugin.create(definition.sink.config, context);
await sink.preflight([], never);
await sink.open(null, never);
const batches = await encodeSample();
const count = batches.reduce((sum, batch) => sum + batch.count, 0);

const started = performance.now();
const cpu = process.cpuUsage();
let sent = 0;
let pending: Promise<unknown>[] = [];
let bytesInFlight = 0;
for (let round = 1; sent < wanted; round++) {
  for (const batch of batches) {
    if (sent >= wanted) break;
    // What is in flight is still being sent: its bytes may only change when its round is over.
    renumber(batch, round);
    bytesInFlight += batch.bytesLength;
    pending.push(
      sink.write(batch, never).then(() => {
        bytesInFlight -= batch.bytesLength;
      }),
    );
    sent += batch.count;
    while (bytesInFlight > 48 * 1024 * 1024) await Promise.race(pending.slice(0, 1)).then(() => pending.shift());
  }
  await Promise.all(pending);
  pending = [];
}
const seconds = (performance.now() - started) / 1000;
const { user, system } = process.cpuUsage(cpu);
await sink.close();
process.stdout.write(
  `${JSON.stringify({ rows: sent, sample: count, seconds, cpuMicros: user + system, peakBytes: process.resourceUsage().maxRSS * 1024 })}\n`,
);
process.exit(0);

async function encodeSample(): Promise<MessageWriter[]> {
  const { source, format } = definition as NonNullable<typeof definition>;
  const sourceContext: SourceContext = {
    ...context,
    tables: new TableRegistry(),
    batch: { maxRecords: 2000, maxBytes: 1024 * 1024 },
    maxBufferedBytes: 16 * 1024 * 1024,
    tellsDefinitions: false,
    once: true,
    intent: { get: () => Promise.resolve(null), set: () => Promise.resolve() },
    renew: () => undefined,
    refusalOf: () => Promise.resolve(null),
  };
  const reader = source.plugin.create(source.config, sourceContext);
  await reader.preflight(never);
  const encoder = new BatchEncoder(
    format.plugin.create(
      format.config,
      { connector: 'bench', capture: 'log', catalog: source.plugin.catalog(source.config), origin: source.plugin.origin },
      { ...context, circuit: () => undefined, asked: () => undefined },
    ),
    (table) => sink.destination(table),
    unboundedMemory(),
  );
  const encoded: MessageWriter[] = [];
  let rows = 0;
  for await (const batch of reader.read({ from: null, published: [], sinkHoldsOutput: false }, never)) {
    if (batch.count > 0) encoded.push(encoder.encode(batch, runtime.nowMicros()));
    rows += batch.count;
    batch.release();
    if (rows >= sample) break;
  }
  await reader.close();
  return encoded;
}

/** Other transactions, the same number of bytes: the first hex digits of the commit LSN become the round. */
function renumber(batch: MessageWriter, round: number): void {
  for (let message = 0; message < batch.count; message++) {
    const start = batch.spans[message * SPAN_SIZE + SPAN.idStart] as number;
    const lsn = batch.bytes.indexOf('/', batch.bytes.indexOf('/', start) + 1) + 1;
    batch.bytes.write(round.toString(16).padStart(4, '0'), lsn, 'latin1');
  }
}
