import { type JsMsg, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';

/** One message as it stands in the stream. */
export interface StoredMessage {
  readonly sequence: number;
  readonly subject: string;
  readonly id: string;
  readonly key: string | null;
  /** Null = tombstone. */
  readonly value: DebeziumValue | null;
  /** Left out where nobody asks for them. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface DebeziumValue {
  readonly op: string;
  readonly before: Readonly<Record<string, unknown>> | null;
  readonly after: Readonly<Record<string, unknown>> | null;
  readonly source: Readonly<Record<string, unknown>>;
}

/** The server ends a connection that is further behind (`max_pending`, its default). */
const MAX_PENDING_BYTES = 64 * 1024 * 1024;

/** Reads a whole stream in order. `headers`: whether they are asked for; a stream of millions is read faster without. */
export async function readStream(
  servers: string,
  stream: string,
  onMessage: (message: StoredMessage) => void,
  { headers = true } = {},
): Promise<number> {
  const connection = await connect({ servers });
  try {
    const info = await (await jetstreamManager(connection)).streams.info(stream);
    const last = info.state.last_seq;
    if (info.state.messages === 0) return 0;
    const consumer = await jetstream(connection).consumers.get(stream);
    let count = 0;
    // A request that has no room left for the next message ends when it expires.
    const isLarge = info.state.bytes > MAX_PENDING_BYTES * 0.8;
    for await (const message of await consumer.consume(isLarge ? { max_bytes: MAX_PENDING_BYTES / 2, expires: 1000 } : { max_messages: 2000 })) {
      count++;
      const body = message.string();
      onMessage({
        sequence: message.seq,
        subject: message.subject,
        id: message.headers?.get('Nats-Msg-Id') ?? '',
        key: message.headers?.has('sluice.key') === true ? message.headers.get('sluice.key') : null,
        value: body === '' ? null : (JSON.parse(body) as DebeziumValue),
        ...(headers ? { headers: headersOf(message) } : {}),
      });
      if (message.seq >= last) break;
    }
    return count;
  } finally {
    await connection.close();
  }
}

function headersOf({ headers }: JsMsg): Record<string, string> {
  return Object.fromEntries((headers?.keys() ?? []).map((name) => [name, headers?.get(name) ?? '']));
}

export interface LedgerOptions {
  /** Each change has the whole row as it was: the change before it must have left it so. */
  readonly wholeRows?: boolean;
}

/** So many are kept of what does not fit. */
const MISFITS = 20;

/**
 * Independent check of what arrived: rebuilds keyed tables and collects keyless ones, and counts what must not be: ids that stand twice (I4),
 * messages of one key that stand before an earlier change of it (I3), and, where rows are whole, changes of a row that was otherwise (I1).
 */
export class StreamLedger {
  readonly tables = new Map<string, Map<string, Readonly<Record<string, unknown>>>>();
  readonly keyless = new Map<string, Map<string, number>>();
  duplicates = 0;
  disordered = 0;
  messages = 0;
  /** With `wholeRows`: changes that do not follow from the one before, in words. */
  readonly misfits: string[] = [];
  readonly #options: LedgerOptions;
  readonly #ids = new Set<string>();
  readonly #truncates = new Set<string>();
  readonly #newest = new Map<string, string>();

  constructor(options: LedgerOptions = {}) {
    this.#options = options;
  }

  take(message: StoredMessage): void {
    this.messages++;
    if (this.#ids.has(message.id)) this.duplicates++;
    this.#ids.add(message.id);
    const order = orderOf(message.id);
    const perKey = `${message.subject}\n${message.key ?? ''}`;
    if ((this.#newest.get(perKey) ?? '') > order) this.disordered++;
    this.#newest.set(perKey, order);
    const { value } = message;
    if (value === null) return;
    const table = String(value.source['table']);
    if (value.op === 't') {
      this.#truncates.add(message.id);
      this.tables.delete(table);
      this.keyless.delete(table);
    } else if (message.key === null) this.#count(table, JSON.stringify(value.after));
    else this.#apply(table, message.key, value, message.id);
  }

  /**
   * Takes over what another partition of the same topic holds: keys are in one partition only, so that the rows go together. An id that stands in two is a
   * duplicate, but for a TRUNCATE, which goes to all.
   */
  absorb(other: StreamLedger): void {
    this.messages += other.messages;
    this.duplicates += other.duplicates;
    this.disordered += other.disordered;
    this.#misfit(...other.misfits);
    for (const id of other.#ids) {
      if (this.#ids.has(id) && !other.#truncates.has(id)) this.duplicates++;
      this.#ids.add(id);
    }
    for (const [table, rows] of other.tables) for (const [key, row] of rows) entry(this.tables, table).set(key, row);
    for (const [table, rows] of other.keyless) for (const [row, count] of rows) this.#count(table, row, count);
  }

  rows(table: string): Map<string, Readonly<Record<string, unknown>>> {
    return this.tables.get(table) ?? new Map();
  }

  #apply(table: string, key: string, value: DebeziumValue, id: string): void {
    const rows = entry(this.tables, table);
    if (this.#options.wholeRows === true) {
      const [now, before] = [rows.get(key) ?? null, value.before].map((row) => JSON.stringify(row));
      if (now !== before) this.#misfit(`${id} ${table} ${key}: ${value.op} of ${before}, where ${now} was left`);
    }
    if (value.op === 'd') rows.delete(key);
    else if (value.after !== null) rows.set(key, value.after);
  }

  #misfit(...texts: readonly string[]): void {
    this.misfits.push(...texts.slice(0, MISFITS - this.misfits.length));
  }

  #count(table: string, row: string, count = 1): void {
    const rows = entry(this.keyless, table);
    rows.set(row, (rows.get(row) ?? 0) + count);
  }
}

/** Commit LSN or number of the GTID, ordinal and part of a message id as text that sorts as they do. */
function orderOf(id: string): string {
  const [part, ordinal, transaction] = id.split('/').reverse() as [string, string, string];
  const number = /[:-](\d+)$/.exec(transaction)?.[1];
  const place = number === undefined ? transaction.split('.')[0] : number.padStart(20, '0');
  return `${place}/${ordinal.padStart(12, '0')}/${part}`;
}

function entry<V>(tables: Map<string, Map<string, V>>, table: string): Map<string, V> {
  const rows = tables.get(table) ?? new Map<string, V>();
  tables.set(table, rows);
  return rows;
}
