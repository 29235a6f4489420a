import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { RowCounts } from '../pipeline/encode.ts';
import type { PipelineEvents } from '../pipeline/pipeline.ts';
import type { SourceHealth } from '../plugin/source.ts';
import { OP_NAMES } from '../record/batch.ts';

/** The process's metrics: prefix `sluice_`, base units, `_total`; labels connector, table, op. */
export class Metrics {
  readonly registry = new Registry();
  readonly #rows = this.#counter('sluice_rows_total', 'Row changes that are durable in the sink', ['connector', 'table', 'op']);
  readonly #messages = this.#counter('sluice_messages_total', 'Messages that are durable in the sink', ['connector']);
  readonly #bytes = this.#counter('sluice_message_bytes_total', 'Encoded bytes of the durable messages', ['connector']);
  readonly #retries = this.#counter('sluice_retries_total', 'Things that were tried again, by what', ['connector', 'what']);
  readonly #checkpoints = this.#counter('sluice_checkpoints_total', 'Checkpoints that were stored', ['connector']);
  readonly #deadLetters = this.#counter('sluice_dead_letters_total', 'Messages that became dead letters, by error code', ['connector', 'code']);
  readonly #deadLettersOpen = this.#gauge('sluice_dead_letters_open', 'Dead letters that nobody has dealt with yet', ['connector']);
  readonly #stoppedTables = this.#gauge('sluice_stopped_tables', 'Tables that are stopped, or being resumed', ['connector']);
  readonly #spoolBytes = this.#gauge('sluice_spool_bytes', 'Changes of stopped tables on the local disk', ['connector']);
  readonly #lagSeconds = this.#gauge(
    'sluice_lag_seconds',
    'Age of the oldest change that is not durable in the sink; when all are, how long the newest took',
    ['connector'],
  );
  readonly #lagBytes = this.#gauge('sluice_lag_bytes', 'Log between what is acknowledged and the newest position of the server', ['connector']);
  readonly #retained = this.#gauge('sluice_retained_log_bytes', 'Log that the server keeps for this connector', ['connector']);
  readonly #slot = this.#gauge('sluice_slot_state', 'State of the replication slot: 1 for the state it is in', ['connector', 'state']);
  readonly #connected = this.#gauge('sluice_source_connected', '1 while the change stream is connected', ['connector']);
  readonly #inFlightBytes = this.#gauge('sluice_in_flight_bytes', 'Encoded bytes that are not durable yet', ['connector']);
  readonly #inFlightBatches = this.#gauge('sluice_in_flight_batches', 'Batches that are not durable yet', ['connector']);
  readonly #buffers = this.#gauge('sluice_buffer_bytes', 'Memory that is reserved for encoded batches that are not durable yet', ['connector']);
  readonly #maxMemory = this.#gauge('sluice_max_memory_bytes', 'The bound of all buffers, `maxMemory`; 0: there is none', []);
  readonly #circuit = this.#gauge(
    'sluice_registry_circuit_state',
    'Circuit breaker before the schema registry, closed, open or half-open: 1 for the state it is in',
    ['connector', 'state'],
  );
  readonly #registryCalls = this.#counter(
    'sluice_registry_calls_total',
    'Calls to the schema registry: answered, failed, or withheld because the circuit is open',
    ['connector', 'outcome'],
  );
  readonly #state = this.#gauge('sluice_connector_state', 'State of the connector: 1 for the state it is in', ['connector', 'state']);

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }

  /** Counts what a connector's pipeline tells. */
  events(connector: string, nowMicros: () => number): PipelineEvents & { saved(): void } {
    let oldest: number | null = null;
    let lastDelay = 0;
    this.#lagSeconds.labels(connector).set(0);
    this.#lag.set(connector, () => (oldest === null ? lastDelay : Math.max(lastDelay, (nowMicros() - oldest) / 1e6)));
    return {
      durable: (rows, messages, bytes, commitMicros) => {
        this.#countRows(connector, rows);
        this.#messages.labels(connector).inc(messages);
        this.#bytes.labels(connector).inc(bytes);
        lastDelay = Math.max(0, (nowMicros() - commitMicros) / 1e6);
      },
      idle: () => {
        lastDelay = 0;
      },
      inFlight: (bytes, batches, oldestCommitMicros) => {
        oldest = oldestCommitMicros;
        this.#inFlightBytes.labels(connector).set(bytes);
        this.#inFlightBatches.labels(connector).set(batches);
      },
      saved: () => this.#checkpoints.labels(connector).inc(),
    };
  }

  /** `maxMemory`, null: there is none, and what each connector holds. */
  memory(maxBytes: number | null, held: ReadonlyMap<string, { readonly held: number }>): void {
    this.#maxMemory.set(maxBytes ?? 0);
    this.#held = held;
  }

  retried(connector: string, what: string): void {
    this.#retries.labels(connector, what).inc();
  }

  deadLetter(connector: string, code: string): void {
    this.#deadLetters.labels(connector, code).inc();
  }

  openDeadLetters(connector: string, open: number): void {
    this.#deadLettersOpen.labels(connector).set(open);
  }

  stoppedTables(connector: string, tables: number, bytes: number): void {
    this.#stoppedTables.labels(connector).set(tables);
    this.#spoolBytes.labels(connector).set(bytes);
  }

  health(connector: string, health: SourceHealth): void {
    if (health.lagBytes !== null) this.#lagBytes.labels(connector).set(health.lagBytes);
    if (health.retainedBytes !== null) this.#retained.labels(connector).set(health.retainedBytes);
    this.#connected.labels(connector).set(health.connected ? 1 : 0);
    this.#only(this.#slot, connector, health.slotState ?? 'none');
  }

  /** Between two lives nothing is connected. */
  disconnected(connector: string): void {
    this.#connected.labels(connector).set(0);
  }

  state(connector: string, state: string): void {
    this.#only(this.#state, connector, state);
  }

  circuit(connector: string, state: string): void {
    this.#only(this.#circuit, connector, state);
  }

  registryAsked(connector: string, outcome: string): void {
    this.#registryCalls.labels(connector, outcome).inc();
  }

  /** Prometheus' text format. */
  async text(): Promise<string> {
    for (const [connector, lag] of this.#lag) this.#lagSeconds.labels(connector).set(lag());
    for (const [connector, { held }] of this.#held) this.#buffers.labels(connector).set(held);
    return this.registry.metrics();
  }

  #held: ReadonlyMap<string, { readonly held: number }> = new Map();
  readonly #lag = new Map<string, () => number>();
  readonly #states = new Map<string, string>();

  /** Of the states of one thing exactly one is 1. */
  #only(gauge: Gauge, connector: string, state: string): void {
    const key = `${connector}\n${[this.#slot, this.#circuit].indexOf(gauge)}`;
    const before = this.#states.get(key);
    if (before !== undefined && before !== state) gauge.labels(connector, before).set(0);
    gauge.labels(connector, state).set(1);
    this.#states.set(key, state);
  }

  #countRows(connector: string, { tables, rows }: RowCounts): void {
    for (let table = 0; table < tables.length; table++) {
      for (let op = 0; op < OP_NAMES.length; op++) {
        const count = rows[table * OP_NAMES.length + op] as number;
        if (count > 0) this.#rows.labels(connector, tables[table]?.label ?? '', OP_NAMES[op] as string).inc(count);
      }
    }
  }

  #counter(name: string, help: string, labelNames: string[]): Counter {
    return new Counter({ name, help, labelNames, registers: [this.registry] });
  }

  #gauge(name: string, help: string, labelNames: string[]): Gauge {
    return new Gauge({ name, help, labelNames, registers: [this.registry] });
  }
}
