import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { RowCounts } from '../pipeline/encode.ts';
import type { PipelineEvents, Stage } from '../pipeline/pipeline.ts';
import type { SourceHealth } from '../plugin/source.ts';
import { OP, OP_NAMES } from '../record/batch.ts';
import { Freshness, type Objective, type TableFreshness } from './freshness.ts';
import { ReadLag } from './read-lag.ts';

/** What a connector has done since the process began. */
export interface ConnectorFigures {
  /** Row changes, messages and encoded bytes that are durable in the sink. */
  readonly rows: number;
  readonly messages: number;
  readonly bytes: number;
  /** As `sluice_lag_seconds`. */
  readonly lagSeconds: number;
  readonly inFlightBytes: number;
}

/** What prom-client's metrics have in common and its types do not say. */
interface Labelled {
  readonly name: string;
  get(): Promise<{ readonly values: readonly { readonly labels: Readonly<Record<string, string>> }[] }>;
  remove(labels: Readonly<Record<string, string>>): void;
}

/** How far a copy of a table is. */
export interface CopyProgress {
  readonly connector: string;
  readonly table: string;
  readonly state: string;
  readonly rows: number;
}

/** The process's metrics: prefix `sluice_`, base units, `_total`; labels connector, table, op. */
export class Metrics {
  readonly registry = new Registry();
  readonly #nowMs: () => number;
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
    'Age of the oldest change that was read and is not durable in the sink; when all are, how long the newest took. Where the place that is acknowledged has stayed behind an end of the log that was seen 15 s ago or earlier, or how the source stands has not been known for as long: the time since then, if that is more',
    ['connector'],
  );
  readonly #acknowledged = this.#histogram(
    'sluice_commit_to_acknowledged_seconds',
    'From the commit of the newest change of a batch until it was durable, saved and acknowledged',
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
  );
  readonly #stateSeconds = this.#counter('sluice_connector_state_seconds_total', 'Time spent in each state', ['connector', 'state']);
  readonly #recovery = this.#histogram(
    'sluice_recovery_seconds',
    'From the end of a stream by a failure until the next one ran',
    [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800],
  );
  readonly #stages = this.#counter(
    'sluice_stage_seconds_total',
    'Time spent on decode (of the log, as it comes off the socket), encode (mapping too), send (until durable; batches overlap, so it may exceed the time that has passed), save and acknowledge',
    ['connector', 'stage'],
  );
  readonly #waiting = this.#counter(
    'sluice_waiting_seconds_total',
    'Time in which no batch was handed on: the source had none, maxInFlightBytes was used up (sink), or the bound of the process (memory)',
    ['connector', 'what'],
  );
  readonly #freshSeconds = this.#counter(
    'sluice_freshness_seconds_total',
    'With an objective: time in which the changes of the table came within it (fresh yes) or not; the lag of the connector counts for all tables of which changes came since the start',
    ['connector', 'table', 'fresh'],
  );
  readonly #burnRate = this.#gauge(
    'sluice_freshness_burn_rate',
    'With an objective: late part of the window by the part that may be late; 1 uses up just all of it',
    ['connector', 'table', 'window'],
  );
  readonly #snapshotRows = this.#gauge('sluice_snapshot_rows', 'Rows that were copied, of copies that are under way', ['connector', 'table']);
  readonly #snapshotTables = this.#gauge('sluice_snapshot_tables', 'Copies of tables of this process, by state', ['connector', 'state']);
  readonly #lagBytes = this.#gauge('sluice_lag_bytes', 'Log between what is acknowledged and the newest position of the server', ['connector']);
  readonly #retained = this.#gauge('sluice_retained_log_bytes', 'Log that the server keeps for this connector', ['connector']);
  readonly #safe = this.#gauge(
    'sluice_safe_log_bytes',
    'Log that the server will still keep for this connector before it gives it up; +Inf: no bound is set',
    ['connector'],
  );
  readonly #secondsLeft = this.#gauge('sluice_safe_log_seconds', 'Time until sluice_safe_log_bytes is used up at the rate of the last minutes', [
    'connector',
  ]);
  readonly #headroomBytes = this.#gauge(
    'sluice_log_headroom_bytes',
    'Older log that the server (MySQL, MariaDB) still has in front of what is not confirmed yet',
    ['connector'],
  );
  readonly #headroomSeconds = this.#gauge(
    'sluice_log_headroom_seconds',
    'Time until the server (MySQL, MariaDB) may delete, by the age of its log, what is not confirmed yet; +Inf: it deletes none by its age',
    ['connector'],
  );
  readonly #pressure = this.#gauge(
    'sluice_source_pressure',
    'What `protect` has come to: 0 nothing, 1 warn, 2 copies are paused, 3 bound of stop passed, 4 bound of dropSlot passed',
    ['connector'],
  );
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

  /** @param nowMs monotonic, for the time that is spent in a state until it is looked at */
  constructor(nowMs: () => number = () => 0) {
    this.#nowMs = nowMs;
    collectDefaultMetrics({ register: this.registry });
  }

  /** Counts what a connector's pipeline tells. */
  events(connector: string, nowMicros: () => number): PipelineEvents & { saved(): void } {
    let oldest: number | null = null;
    let lastDelay = 0;
    /** Commit times of batches that are durable and not saved yet. */
    const unsaved: number[] = [];
    const figures = this.#figuresOf(connector);
    this.#lagSeconds.labels(connector).set(0);
    const readLag = this.#readLagOf(connector);
    const sent = (): number => (oldest === null ? lastDelay : Math.max(lastDelay, (nowMicros() - oldest) / 1e6));
    this.#lag.set(connector, () => Math.max(sent(), readLag.seconds(this.#nowMs())));
    return {
      spent: (stage, ms) => this.spent(connector, stage, ms),
      waited: (what, ms) => this.#waiting.labels(connector, what).inc(ms / 1000),
      durable: (rows, messages, bytes, commitMicros, oldestMicros) => {
        this.#arrived(connector, rows, (nowMicros() - oldestMicros) / 1000);
        figures.rows += this.#countRows(connector, rows);
        figures.messages += messages;
        figures.bytes += bytes;
        this.#messages.labels(connector).inc(messages);
        this.#bytes.labels(connector).inc(bytes);
        lastDelay = Math.max(0, (nowMicros() - commitMicros) / 1e6);
        unsaved.push(commitMicros);
      },
      idle: () => {
        lastDelay = 0;
      },
      inFlight: (bytes, batches, oldestCommitMicros) => {
        oldest = oldestCommitMicros;
        figures.inFlightBytes = bytes;
        this.#inFlightBytes.labels(connector).set(bytes);
        this.#inFlightBatches.labels(connector).set(batches);
      },
      saved: () => {
        this.#checkpoints.labels(connector).inc();
        const now = nowMicros();
        for (const micros of unsaved.splice(0)) this.#acknowledged.labels(connector).observe(Math.max(0, (now - micros) / 1e6));
      },
    };
  }

  figures(connector: string): ConnectorFigures {
    return { ...this.#figuresOf(connector), lagSeconds: this.#lagOf(connector) };
  }

  spent(connector: string, stage: Stage | 'decode', ms: number): void {
    this.#stages.labels(connector, stage).inc(ms / 1000);
  }

  /** What the tables of a connector are held to. */
  objective(connector: string, objective: Objective): void {
    this.#freshness.set(connector, new Freshness(objective));
  }

  /** Null: it has no objective. */
  freshness(connector: string): readonly TableFreshness[] | null {
    const known = this.#freshness.get(connector);
    known?.look(this.#lagOf(connector) * 1000, this.#nowMs());
    return known?.views() ?? null;
  }

  #lagOf(connector: string): number {
    return this.#lag.get(connector)?.() ?? 0;
  }

  #readLagOf(connector: string): ReadLag {
    const known = this.#readLags.get(connector) ?? new ReadLag(this.#nowMs());
    this.#readLags.set(connector, known);
    return known;
  }

  /** Once for each table of a batch. Rows of copies have no time of their own. */
  #arrived(connector: string, { tables, rows }: RowCounts, ageMs: number): void {
    const known = this.#freshness.get(connector);
    if (known === undefined) return;
    for (const [index, table] of tables.entries()) {
      const at = index * OP_NAMES.length;
      if (rows.subarray(at, at + OP_NAMES.length).some((count, op) => count > 0 && op !== OP.read)) known.arrived(table, ageMs, this.#nowMs());
    }
  }

  #showFreshness(connector: string): void {
    for (const { table, burnRate } of this.freshness(connector) ?? [])
      for (const [window, rate] of Object.entries(burnRate)) this.#burnRate.labels(connector, table, window).set(rate);
    for (const { table, freshMs, lateMs } of this.#freshness.get(connector)?.take() ?? []) {
      this.#freshSeconds.labels(connector, table, 'yes').inc(freshMs / 1000);
      this.#freshSeconds.labels(connector, table, 'no').inc(lateMs / 1000);
    }
  }

  /** `maxMemory`, null: there is none. */
  memory(maxBytes: number | null): void {
    this.#maxMemory.set(maxBytes ?? 0);
  }

  /** What a connector holds of it. */
  memoryOf(connector: string, share: { readonly held: number }): void {
    this.#held.set(connector, share);
  }

  /** There is no such connector any more: nothing of it is shown. */
  async forget(connector: string): Promise<void> {
    for (const known of [this.#held, this.#lag, this.#readLags, this.#freshness, this.#figures, this.#since]) known.delete(connector);
    for (const key of [...this.#states.keys()]) if (key.startsWith(`${connector}\n`)) this.#states.delete(key);
    for (const metric of this.registry.getMetricsAsArray() as unknown as readonly Labelled[]) {
      if (!metric.name.startsWith('sluice_')) continue;
      for (const { labels } of (await metric.get()).values) {
        const { le: _, ...rest } = labels;
        if (rest['connector'] === connector) metric.remove(rest);
      }
    }
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

  /** `secondsLeft`: until the server gives the slot up at the present rate. */
  health(connector: string, health: SourceHealth, secondsLeft: number): void {
    this.#safe.labels(connector).set(health.safeBytes ?? Number.POSITIVE_INFINITY);
    this.#secondsLeft.labels(connector).set(secondsLeft);
    const { endBytes = null } = health;
    const readLag = this.#readLagOf(connector);
    if (endBytes === null || health.lagBytes === null) readLag.unknown(this.#nowMs());
    else readLag.looked(endBytes, health.lagBytes, this.#nowMs());
    if (health.lagBytes !== null) this.#lagBytes.labels(connector).set(health.lagBytes);
    if (health.retainedBytes !== null) this.#retained.labels(connector).set(health.retainedBytes);
    const { headroomBytes = null, headroomSeconds } = health;
    if (headroomBytes !== null) this.#headroomBytes.labels(connector).set(headroomBytes);
    if (headroomBytes !== null) this.#headroomSeconds.labels(connector).set(headroomSeconds ?? Number.POSITIVE_INFINITY);
    this.#connected.labels(connector).set(health.connected ? 1 : 0);
    this.#only(this.#slot, connector, health.slotState ?? 'none');
  }

  /** @param step of `protect`, 0: none */
  pressure(connector: string, step: number): void {
    this.#pressure.labels(connector).set(step);
  }

  /** Between two lives nothing is connected. */
  disconnected(connector: string): void {
    this.#connected.labels(connector).set(0);
  }

  /** @param nowMs monotonic */
  state(connector: string, state: string, nowMs: number): void {
    this.#spend(connector, state, nowMs);
    this.#only(this.#state, connector, state);
  }

  circuit(connector: string, state: string): void {
    this.#only(this.#circuit, connector, state);
  }

  registryAsked(connector: string, outcome: string): void {
    this.#registryCalls.labels(connector, outcome).inc();
  }

  /** Who tells, at each look, how far the copies of the connectors are. */
  copies(views: () => readonly CopyProgress[]): void {
    this.#copies = views;
  }

  /** Prometheus' text format. */
  async text(): Promise<string> {
    for (const [connector, { state, atMs }] of this.#since) this.#spend(connector, state, Math.max(atMs, this.#nowMs()));
    this.#showCopies();
    for (const [connector, lag] of this.#lag) this.#lagSeconds.labels(connector).set(lag());
    for (const connector of this.#freshness.keys()) this.#showFreshness(connector);
    for (const [connector, { held }] of this.#held) this.#buffers.labels(connector).set(held);
    return this.registry.metrics();
  }

  #showCopies(): void {
    this.#snapshotRows.reset();
    this.#snapshotTables.reset();
    for (const { connector, table, state, rows } of this.#copies()) {
      this.#snapshotTables.labels(connector, state).inc();
      if (state !== 'done') this.#snapshotRows.labels(connector, table).set(rows);
    }
  }

  /** Counts the time since the last look to the state that it was spent in. */
  #spend(connector: string, state: string, nowMs: number): void {
    const since = this.#since.get(connector);
    if (since !== undefined) this.#stateSeconds.labels(connector, since.state).inc((nowMs - since.atMs) / 1000);
    const downAtMs = state === 'running' ? null : state === 'retrying' && since?.state === 'running' ? nowMs : (since?.downAtMs ?? null);
    if (state === 'running' && since !== undefined && since.downAtMs !== null)
      this.#recovery.labels(connector).observe((nowMs - since.downAtMs) / 1000);
    this.#since.set(connector, { state, atMs: nowMs, downAtMs });
  }

  readonly #since = new Map<string, { readonly state: string; readonly atMs: number; readonly downAtMs: number | null }>();
  #copies: () => readonly CopyProgress[] = () => [];
  readonly #held = new Map<string, { readonly held: number }>();
  readonly #figures = new Map<string, { rows: number; messages: number; bytes: number; inFlightBytes: number }>();
  readonly #lag = new Map<string, () => number>();
  readonly #readLags = new Map<string, ReadLag>();
  readonly #freshness = new Map<string, Freshness>();
  readonly #states = new Map<string, string>();

  /** Of the states of one thing exactly one is 1. */
  #only(gauge: Gauge, connector: string, state: string): void {
    const key = `${connector}\n${[this.#slot, this.#circuit].indexOf(gauge)}`;
    const before = this.#states.get(key);
    if (before !== undefined && before !== state) gauge.labels(connector, before).set(0);
    gauge.labels(connector, state).set(1);
    this.#states.set(key, state);
  }

  #figuresOf(connector: string): { rows: number; messages: number; bytes: number; inFlightBytes: number } {
    const figures = this.#figures.get(connector) ?? { rows: 0, messages: 0, bytes: 0, inFlightBytes: 0 };
    this.#figures.set(connector, figures);
    return figures;
  }

  /** Returns how many. */
  #countRows(connector: string, { tables, rows }: RowCounts): number {
    let all = 0;
    for (let table = 0; table < tables.length; table++) {
      for (let op = 0; op < OP_NAMES.length; op++) {
        const count = rows[table * OP_NAMES.length + op] as number;
        if (count > 0) this.#rows.labels(connector, tables[table]?.label ?? '', OP_NAMES[op] as string).inc(count);
        all += count;
      }
    }
    return all;
  }

  #counter(name: string, help: string, labelNames: string[]): Counter {
    return new Counter({ name, help, labelNames, registers: [this.registry] });
  }

  /** By connector. */
  #histogram(name: string, help: string, buckets: number[]): Histogram {
    return new Histogram({ name, help, labelNames: ['connector'], buckets, registers: [this.registry] });
  }

  #gauge(name: string, help: string, labelNames: string[]): Gauge {
    return new Gauge({ name, help, labelNames, registers: [this.registry] });
  }
}
