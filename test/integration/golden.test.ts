/**
 * The SQL of the golden cases on a real server, through the source and the format, compared message by message with what Debezium 3.6.1 emitted: equal
 * as text, but for the volatile fields of `stable` and the deviations that each case names (docs/debezium.md).
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { postgres } from '../../connectors/postgres/index.ts';
import type { ConnectorDefinition } from '../../src/config/load.ts';
import { openSource } from '../../src/daemon/open.ts';
import { debezium } from '../../src/formats/debezium/index.ts';
import type { DebeziumConfig } from '../../src/formats/debezium/options.ts';
import { BatchEncoder } from '../../src/pipeline/encode.ts';
import { TableRegistry, tableLabel } from '../../src/record/table.ts';
import type { Loaded } from '../../src/state/state-store.ts';
import { type PostgresServer, startPostgres } from '../servers/index.ts';
import { AvroTwin, losslessJson } from '../support/avro.ts';
import { DEBEZIUM_DEFAULTS, type EncodedMessage, NOW_MICROS, textsOf } from '../support/encoded.ts';
import { goldenCase, goldenMessages, goldenPrelude, lineOf } from '../support/golden.ts';
import { unboundedMemory } from '../support/memory.ts';
import { type Line, postgresConfig, sourceContext } from '../support/postgres-source.ts';

/** Prefixes of the corpus' messages, and of the one that ends a case here. */
const END = 'golden.end';
const PREFIXES = ['pfx', 'nontx', 'outbox', 'bin', 'rb', 'rb2', END];

const NOTHING_STORED: Loaded = { offset: null, place: null, progress: {}, shapes: {}, accepted: null, tables: [] };

/** Debezium's properties as options of the format. */
const OPTIONS: Readonly<Record<string, (value: string) => Partial<DebeziumConfig>>> = {
  'schemas.enable': (value) => ({ schemasEnable: value === 'true' }),
  'decimal.handling.mode': (value) => ({ decimalHandlingMode: value as DebeziumConfig['decimalHandlingMode'] }),
  'time.precision.mode': (value) => ({ timePrecisionMode: value as DebeziumConfig['timePrecisionMode'] }),
  'binary.handling.mode': (value) => ({ binaryHandlingMode: value as DebeziumConfig['binaryHandlingMode'] }),
  'interval.handling.mode': (value) => ({ intervalHandlingMode: value as DebeziumConfig['intervalHandlingMode'] }),
  'hstore.handling.mode': (value) => ({ hstoreHandlingMode: value as DebeziumConfig['hstoreHandlingMode'] }),
  'tombstones.on.delete': (value) => ({ tombstones: value === 'true' }),
  'include.unknown.datatypes': (value) => ({ includeUnknownDatatypes: value === 'true' ? 'bytes' : 'none' }),
  'message.key.columns': (value) => ({ messageKeyColumns: value.split(';') }),
  'provide.transaction.metadata': (value) => ({ provideTransactionMetadata: value === 'true' }),
  'skipped.operations': (value) => ({ skippedOperations: value === 'none' ? [] : value.split(',') }),
};

interface Told {
  readonly status?: string;
  readonly id: string;
  readonly transaction: { readonly id: string; readonly total_order: number } | null;
  readonly source?: { readonly txId: number; readonly lsn: number; readonly sequence: string };
}

interface Deviation {
  /** Makes of Debezium's line what is ours; null: there is none. */
  readonly golden?: (text: string) => string | null;
  /** Columns that are compared in neither. */
  readonly without?: readonly string[];
  /** A table that is left out, its statements too. */
  readonly table?: string;
  /** Another publication than the corpus' own, made by Sluice. */
  readonly publication?: string;
}

/** By case, each explained in docs/debezium.md; those that are not here are equal. */
const DEVIATIONS: Readonly<Record<string, Deviation>> = {
  // numeric(5,-2): Debezium reads the scale −2 as 2046.
  '02_numeric_precise': { without: ['n_neg'] },
  '03_numeric_string': { without: ['n_neg'] },
  // Java before 19 has one digit more than needed.
  '05_floats': { golden: (text) => text.replace('1.17549435E-38', '1.1754944E-38') },
  // Type name is null in Debezium's stream.
  '07_text': { without: ['n'] },
  // Copied dates before 1582-10-15 go by the Julian calendar, and infinite ones wrap otherwise than in the stream.
  '11_datetime_adaptive': { golden: gregorian },
  '12_datetime_adaptive_time_microseconds': { golden: gregorian },
  '12_datetime_connect': { golden: gregorian },
  '12_datetime_isostring': { golden: gregorian },
  '13_datetime_infinity_bc': {
    golden: (text) =>
      text
        .replace(/"d":(-2147472692|-622191234)/, '"d":2147483647')
        .replace(/"d":(-2147472691|-625821272)/, '"d":-2147483648')
        .replace('"d":-703383', '"d":-735160'),
  },
  '14_datetime_far': { golden: (text) => text.replace('"d":1001860', '"d":-2440550') },
  '15_datetime_max': { golden: (text) => text.replace('"ts":-9223372036853775810', '"ts":9224318015999999999') },
  '21_arrays_2d': {
    golden: (text) => text.replace('"ia":[null,null]', '"ia":[[1,2],[3,4]]').replace(/"ta":\["\[L[^\]]*\]/, '"ta":[["a","b"],["c","d"]]'),
  },
  // An array of an enum that holds a null is null there.
  '22_enum_domain_composite': {
    golden: (text) => text.replace('"m":"happy face","ma":null', '"m":"happy face","ma":["happy face","with,comma",null]'),
  },
  // The text of lines and paths is that of the JDBC driver: {1.0,2.0,3.0} and [(1.0,2.0),(3.0,4.0)]; that of a regclass is without its schema.
  '27_unknown_types': {
    golden: (text) =>
      text
        .replace('ezEuMCwyLjAsMy4wfQ==', 'ezEsMiwzfQ==')
        .replace('WygxLjAsMi4wKSwoMy4wLDQuMCld', 'WygxLDIpLCgzLDQpXQ==')
        .replace('YW5jaG9yX3NlbnRpbmVs', 'cHVibGljLmFuY2hvcl9zZW50aW5lbA=='),
  },
  // Debezium's key is the primary key, filled with zeros.
  '30_replica_identity': { table: 'ri_index' },
  // Debezium takes the key from a catalogue that is ahead of the log, and a default for null.
  '37_ddl_stream': {
    golden: (text) =>
      text
        .replace(/^"key":\{"id":([4-9]|10),"n":[^}]*\}/, '"key":{"id":$1}')
        .replace(/^"key":null(,"value":\{"before":null,"after":\{"id":1,"v":"n1")/, '"key":{"id":1}$1')
        .replace('"id":4,"a":"w","b":4,"c":"dflt"', '"id":4,"a":"w","b":4,"c":null')
        .replace('"before":{"id":1,"a_renamed":null,"c":"dflt"', '"before":{"id":1,"a_renamed":null,"c":null'),
  },
  // Behind the case another transaction begins in both, and only the corpus' own ends.
  '32_tx_metadata_no_tombstones': { golden: (text) => (text.includes('anchor_sentinel') ? null : text) },
  // Rows of partitions come under the name of the whole table, and are copied once; generated columns are copied no more than streamed.
  '39_generated_partition_identity': {
    golden: (text) =>
      /"table":"part",.*"op":"r"/.test(text) ? null : text.replace(/"table":"part_\d+"/, '"table":"part"').replace('"a":1,"b":2', '"a":1'),
    publication: 'own',
  },
  // Masks and column filters are transforms: this is about the keys.
  '41_column_filters_masks': { without: ['secret', 'card', 'long', 'email'], table: 'hidden' },
  // An array that holds NaN is null in Debezium.
  '42_numeric_nan_precise': { golden: (text) => text.replace('"n2":"AMg=","na":null', '"n2":"AMg=","na":[null]') },
};

/** Avro has no arrays of several dimensions where the schema says one, no time beyond 64 bits, other names of columns, and (here) no transactions. */
const NOT_IN_AVRO: ReadonlySet<string> = new Set(['15_datetime_max', '21_arrays_2d', '32_tx_metadata_no_tombstones', '35_identifiers_composite_key']);
/** Columns of 32 bits, whose shortest text is another number in 64. */
const FLOATS: ReadonlySet<string> = new Set(['f24', 'r']);

function payloadOf(text: string | null): unknown {
  if (text === null) return null;
  const parsed = losslessJson(text) as { readonly schema?: unknown; readonly payload?: unknown };
  return floats(parsed.schema === undefined ? parsed : parsed.payload);
}

function floats(value: unknown, name = ''): unknown {
  if (typeof value === 'number' && FLOATS.has(name)) return Math.fround(value);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([member, each]) => [member, floats(each, member)]));
}

/** A date that the JDBC driver takes for one of the Julian calendar. */
function gregorian(text: string): string {
  return text.replace('"d":-141422', '"d":-141432').replace('"d":"1582-10-20Z"', '"d":"1582-10-10Z"');
}

/** The text without these columns, wherever they stand in a row. */
function without(names: readonly string[], text: string): string {
  if (names.length === 0) return text;
  return text.replace(new RegExp(`,"(?:${names.join('|')})":(?:"(?:[^"\\\\]|\\\\.)*"|null)(?=[,}])`, 'g'), '');
}

/** Copied rows come in another order, and so each has another mark: Debezium reads a table as it lies on the disk. */
function copiesSorted(texts: readonly string[]): string[] {
  const isCopy = (text: string): boolean => text.includes('"op":"r"');
  const copies = texts.filter(isCopy).map((text) => text.replace(/("snapshot":)"\w+"(,"db":_)/, '$1_$2'));
  return [...copies.sort(), ...texts.filter((text) => !isCopy(text))];
}

const CASES = [
  '01_ints_bool',
  '02_numeric_precise',
  '03_numeric_string',
  '04_numeric_double',
  '05_floats',
  '06_money',
  '07_text',
  '08_bytea',
  '09_bytea_hex',
  '10_bytea_base64_url_safe',
  '11_datetime_adaptive',
  '12_datetime_adaptive_time_microseconds',
  '12_datetime_connect',
  '12_datetime_isostring',
  '13_datetime_infinity_bc',
  '14_datetime_far',
  '15_datetime_max',
  '16_interval',
  '17_interval_string',
  '18_uuid_json_xml',
  '19_net_bit',
  '20_arrays',
  '21_arrays_2d',
  '22_enum_domain_composite',
  '23_hstore_ltree_citext',
  '24_hstore_map',
  '25_ranges',
  '26_geometric',
  '27_unknown_types',
  '28_unknown_types_default',
  '29_toast',
  '30_replica_identity',
  '31_pk_delete_tx',
  '32_tx_metadata_no_tombstones',
  '33_truncate',
  '34_truncate_default_skipped',
  '35_identifiers_composite_key',
  '36_logical_message',
  '37_ddl_stream',
  '38_schemas_on',
  '39_generated_partition_identity',
  '41_column_filters_masks',
  '42_numeric_nan_precise',
];

describe('golden cases of PostgreSQL', () => {
  let server: PostgresServer;

  beforeAll(async () => {
    // A slot for each case: one that was left is not free at once.
    server = await startPostgres({ major: 17, settings: { max_replication_slots: 64, max_wal_senders: 64 } });
  });

  afterAll(() => server.dispose());

  /** What Sluice makes of a case. */
  async function run(name: string): Promise<EncodedMessage[]> {
    const { config: properties, pre, stream } = goldenCase(name);
    const database = await server.createDatabase('golden');
    await server.query(goldenPrelude(), database);
    await server.query(pre, database);
    const options = Object.entries(properties).map(([property, value]) => OPTIONS[property]?.(value) ?? {});
    const chosen: DebeziumConfig = Object.assign(
      {},
      DEBEZIUM_DEFAULTS,
      // Debezium's default.
      { includeUnknownDatatypes: 'none' },
      ...(name === '34_truncate_default_skipped' ? [{ skippedOperations: ['t'] }] : options),
    );
    const about = { connector: 'g', capture: 'log', catalog: database, origin: postgres.origin };
    const format = debezium.create(chosen, about);
    const context = { ...sourceContext('g'), tables: new TableRegistry({ described: debezium.describes(chosen) }) };
    const config = postgresConfig(server.url(database), {
      tables: ['*.*'],
      insertOnly: ['*.*'],
      messages: PREFIXES,
      publication: DEVIATIONS[name]?.publication ?? 'p',
      slot: database,
      heartbeat: { enabled: false, interval: 10_000 },
    });
    const definition = { name: 'g', source: { plugin: postgres, config: { ...config, snapshot: { ...config.snapshot, mode: 'initial' } } } };
    const { source, snapshots } = openSource(definition as unknown as ConnectorDefinition, NOTHING_STORED, context, { round: null, isShown: true });
    const messages: EncodedMessage[] = [];
    const encoder = new BatchEncoder(format, tableLabel, unboundedMemory());
    const twin = NOT_IN_AVRO.has(name) ? null : new AvroTwin(about, chosen, context.tables);
    const over = new AbortController();
    const changes = changeOnceCopied(name, stream, database, context.lines, over.signal);
    try {
      for await (const batch of source.read({ from: null, published: [], sinkHoldsOutput: false }, AbortSignal.timeout(30_000))) {
        const encoded = encoder.encode(batch, NOW_MICROS);
        const texts = textsOf(encoded);
        messages.push(...texts);
        if (twin !== null)
          expect(twin.decoded(batch, NOW_MICROS)).toEqual(texts.map(({ key, value }) => ({ key: payloadOf(key), value: payloadOf(value) })));
        encoder.recycle(encoded);
        snapshots?.saved(batch.progress);
        batch.release();
        const last = messages.findIndex(({ key }) => key?.includes(END) === true);
        if (last >= 0) return messages.slice(0, last);
      }
    } finally {
      over.abort();
      await source.close();
      await changes;
    }
    throw new Error('the log ended early');
  }

  /** The statements of a case, once what it begins with is copied. */
  async function changeOnceCopied(
    name: string,
    stream: readonly string[],
    database: string,
    lines: readonly Line[],
    over: AbortSignal,
  ): Promise<void> {
    const isCopied = (): boolean => lines.some(({ message }) => message === 'All tables are copied.');
    while (!isCopied() && !over.aborted) await new Promise((resolve) => setTimeout(resolve, 10));
    if (over.aborted) return;
    const client = await server.connect(database);
    const table = DEVIATIONS[name]?.table;
    for (const statement of stream) if (table === undefined || !statement.includes(table)) await client.query(statement);
    await client.query(`SELECT pg_logical_emit_message(true, '${END}', '')`);
    await client.end();
  }

  const keyHeaders = (headers: readonly (readonly [string, string])[]) => headers.filter(([name]) => name.startsWith('__debezium.'));

  it.each(CASES)('%s', async (name) => {
    const { golden: changed = (text: string): string => text, without: columns = [], table } = DEVIATIONS[name] ?? {};
    const lines = goldenMessages(name)
      .filter((line) => line.table !== table)
      .flatMap((line) => {
        const text = changed(line.text);
        return text === null ? [] : [{ ...line, text: without(columns, text) }];
      });
    const ours = await run(name);
    expect(copiesSorted(ours.map((message) => without(columns, lineOf(message))))).toEqual(copiesSorted(lines.map(({ text }) => text)));
    expect(ours.map(({ headers }) => keyHeaders(headers))).toEqual(
      lines.map(({ headers }) => headers.filter(({ key }) => /key$/.test(key)).map(({ key, value }) => [key, JSON.stringify(value)])),
    );
  });

  it('transactions have the ids that Debezium gives them', async () => {
    const messages = await run('32_tx_metadata_no_tombstones');
    const values = messages.flatMap(({ value }) => (value === null ? [] : [JSON.parse(value) as Told]));
    let begun = '';
    let ended = '';
    for (const { status, id, transaction, source } of values) {
      if (status === 'BEGIN') begun = id;
      else if (status === 'END') ended = id;
      else if (transaction !== null && source !== undefined) {
        expect(transaction.id).toBe(`${source.txId}:${source.lsn}`);
        // Its first change begins it, and the commit before it was the end of the transaction before it.
        if (transaction.total_order === 1) expect(begun).toBe(transaction.id);
        if (transaction.total_order === 1 && ended !== '') expect(JSON.parse(source.sequence)[0]).toBe(ended.split(':')[1]);
      }
    }
    expect(ended).not.toBe('');
  });
});
