/**
 * Reads one sink of a soak from its beginning and judges it by the ledger of the source: a process of its own for each sink, so that its memory is its own. Argument: one JSON
 * object ({@link SoakVerification}). Prints a {@link SoakReading}.
 */
import pg from 'pg';
import { KafkaServer } from '../servers/index.ts';
import { eachRecord } from '../support/kafka-topics.ts';
import { SoakLedger, type SoakVerdict } from '../support/soak-ledger.ts';
import { type DebeziumValue, readStream, type StoredMessage } from '../support/stream-ledger.ts';

export interface SoakVerification {
  readonly database: string;
  readonly from: { readonly nats: string; readonly stream: string } | { readonly kafka: readonly string[]; readonly topic: string };
  /** To see the checks fail. */
  readonly spoil: '' | 'drop' | 'double' | 'swap' | 'change';
}

export interface SoakReading extends SoakVerdict {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakMB: number;
}

const PAGE = 20_000;
const SAY_EVERY = 1_000_000;
/** The message from which on one is spoilt, where one is: the first that is no tombstone. */
const SPOILT = 1_000;

const { database, from, spoil } = JSON.parse(process.argv[2] ?? '') as SoakVerification;
const sink = 'nats' in from ? 'nats' : 'kafka';
const started = performance.now();
const client = new pg.Client({ connectionString: database });
await client.connect();
const ledger = await expected();
const take = spoiling((message) => ledger.take(message));
if ('nats' in from) await readStream(from.nats, from.stream, take, { headers: false });
else await readKafka(from.kafka, from.topic);
await pages<{ id: string; v: number; note: string }>('item', 'id', -1, ({ id, v, note }) => ledger.compareRow(Number(id), v, note));
await client.end();
const reading: SoakReading = {
  ...ledger.verdict(),
  seconds: Math.round((performance.now() - started) / 1000),
  cpuSeconds: Math.round(process.cpuUsage().user / 1e5) / 10,
  peakMB: Math.round((process.resourceUsage().maxRSS * 1024) / 1e6),
};
process.stdout.write(JSON.stringify(reading));

async function expected(): Promise<SoakLedger> {
  const { rows } = await client.query<{ first: string; last: string }>('SELECT min(xid) AS first, max(xid) AS last FROM ledger');
  const all = new SoakLedger(Number(rows[0]?.first), Number(rows[0]?.last));
  await pages<{ xid: string; changes: number; hash: string }>('ledger', 'xid', 0, ({ xid, changes, hash }) =>
    all.expect(Number(xid), changes, Number(hash)),
  );
  return all;
}

/** A table in the order of its key, a part at a time. */
async function pages<Row extends Record<string, unknown>>(
  table: string,
  key: keyof Row & string,
  above: number,
  use: (row: Row) => void,
): Promise<void> {
  for (let last: unknown = above; ; ) {
    const { rows } = await client.query<Row>(`SELECT * FROM ${table} WHERE ${key} > $1 ORDER BY ${key} LIMIT ${PAGE}`, [last]);
    for (const row of rows) use(row);
    if (rows.length < PAGE) return;
    last = rows.at(-1)?.[key];
  }
}

async function readKafka(brokers: readonly string[], topic: string): Promise<void> {
  // The reader would take what it throws for a broken connection, and go on.
  let failure: unknown = null;
  await eachRecord(new KafkaServer({ brokers }), topic, ({ offset, key, value, headers }) => {
    if (failure !== null) return;
    try {
      take({
        sequence: Number(offset),
        subject: topic,
        id: String(headers.find(([name]) => name === 'sluice.id')?.[1]),
        key: key === null ? null : key.toString('utf8'),
        value: value === null ? null : (JSON.parse(value.toString('utf8')) as DebeziumValue),
      });
    } catch (error) {
      failure = error;
    }
  });
  if (failure !== null) throw failure;
}

function spoiling(use: (message: StoredMessage) => void): (message: StoredMessage) => void {
  let count = 0;
  let done = spoil === '';
  const held: StoredMessage[] = [];
  return (message) => {
    count++;
    if (count % SAY_EVERY === 0) process.stderr.write(`${sink}: ${count / 1e6} million messages read\n`);
    if (done || count < SPOILT || message.value === null) return use(message);
    if (spoil === 'swap') {
      done = swapped(message, held, use);
      return;
    }
    done = true;
    if (spoil === 'change') return use({ ...message, value: changed(message.value) });
    if (spoil === 'double') use(message);
    if (spoil !== 'drop') use(message);
  };
}

/** Keeps one change back until the next change of its key has gone before it; then true. */
function swapped(message: StoredMessage, held: StoredMessage[], use: (message: StoredMessage) => void): boolean {
  const [first] = held;
  if (first === undefined) return held.push(message) === 0;
  use(message);
  if (first.key !== message.key) return false;
  use(first);
  return true;
}

function changed(value: DebeziumValue): DebeziumValue {
  const { after, before } = value;
  return { ...value, after: after && { ...after, note: 'another' }, before: before && { ...before, note: 'another' } };
}
