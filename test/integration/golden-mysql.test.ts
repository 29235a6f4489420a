/**
 * The SQL of the golden cases on a real MySQL, through the source and the format, compared message by message with what Debezium 3.6.1 streamed: equal as
 * text, but for the volatile fields of `stable` and the deviations that each case names (docs/debezium.md); schema changes (topic `g`) among them, where they stand in the
 * stream. Rows that were there before are compared by themselves.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DebeziumConfig } from '../../src/formats/debezium/options.ts';
import type { SnapshotSource } from '../../src/plugin/snapshot.ts';
import { SNAPSHOT_MARK } from '../../src/record/batch.ts';
import { type MysqlServer, startMysql } from '../servers/index.ts';
import { availableMysqls } from '../support/available-servers.ts';
import { type EncodedMessage, encodeBatch, textsOf } from '../support/encoded.ts';
import { goldenCase, goldenMessages, lineOf } from '../support/golden.ts';
import { caughtUp, openMysql, readMessages } from '../support/mysql-source.ts';

const signal = new AbortController().signal;

/** Debezium's properties as options of the format. */
const OPTIONS: Readonly<Record<string, (value: string) => Partial<DebeziumConfig>>> = {
  'schemas.enable': (value) => ({ schemasEnable: value === 'true' }),
  'decimal.handling.mode': (value) => ({ decimalHandlingMode: value as DebeziumConfig['decimalHandlingMode'] }),
  'bigint.unsigned.handling.mode': (value) => ({ bigintUnsignedHandlingMode: value as DebeziumConfig['bigintUnsignedHandlingMode'] }),
  'time.precision.mode': (value) => ({ timePrecisionMode: value as DebeziumConfig['timePrecisionMode'] }),
  'binary.handling.mode': (value) => ({ binaryHandlingMode: value as DebeziumConfig['binaryHandlingMode'] }),
  'tombstones.on.delete': (value) => ({ tombstones: value === 'true' }),
  'skipped.operations': (value) => ({ skippedOperations: value.split(',') }),
};

function formatOptions(properties: Readonly<Record<string, string>>): Partial<DebeziumConfig> {
  const options = Object.entries(properties).map(([property, value]) => OPTIONS[property]?.(value) ?? {});
  // Debezium leaves truncations out by default.
  return Object.assign({ skippedOperations: ['t'] }, ...options) as Partial<DebeziumConfig>;
}

/** Makes of Debezium's line what is ours; by case, each explained in docs/debezium.md. Those that are not here are equal. */
const DEVIATIONS: Readonly<Record<string, (text: string) => string>> = {
  '02_decimal_precise': floats,
  '03_decimal_string': floats,
  '04_decimal_double': floats,
  // A null becomes the column's default.
  '05_bits': (text) => text.replace(/("id":103,.*?"b64":)"BQAAAAAAAAA="/, '$1null'),
  '06_datetime_adaptive': years,
  '07_datetime_adaptive_time_microseconds': years,
  '07_datetime_connect': years,
  '07_datetime_isostring': years,
  '08_zero_dates': (text) => text.replace('"y":1900', '"y":0'),
  // The backslash of MySQL's sjis is another character in Java's.
  '09_strings_charsets': (text) => text.replace('"sjt":"＼0"', String.raw`"sjt":"\\0"`),
  // A null becomes the column's default; commas in labels get a backslash.
  '13_enum_set': (text) => text.replace(/("id":103,"e":)"b"(,"e2":"x","s":)"r,w"/, '$1null$2null').replace(String.raw`"e":"e\\,f"`, '"e":"e,f"'),
  // A default in the statement's words, where the server's are what the catalogue has.
  '18_ddl_stream': (text) => text.replaceAll('"2020-01-01 00:00:00.5"', '"2020-01-01 00:00:00.500"'),
  // Floats in JSON are written with all digits of their binary value.
  '14_json': (text) =>
    text
      .replace('"12345678901234567168"', '"12345678901234567000.0"')
      .replace('10000000000000000303786028427003666890752', '1e+40')
      .replace('0.000000999999999999999954748111825886258685613938723690807819366455078125', '0.000001'),
};

/**
 * Columns that are passed over in rows that are copied: Debezium's copy of them is not what it streams, or a null becomes the default. Here both are the same
 * (mysql-snapshot-rows.test.ts), and what is streamed is compared above.
 */
const COPY_DEVIATIONS: Readonly<Record<string, readonly string[]>> = {
  // By the server's text, which is rounded.
  '02_decimal_precise': ['f', 'dd'],
  '03_decimal_string': ['f', 'dd'],
  '04_decimal_double': ['f', 'dd'],
  '05_bits': ['b64'],
  // Without the declared digits; dates before 1582 in another calendar.
  '06_datetime_adaptive': ['ts3', 'ts6', 'dt', 'y'],
  '07_datetime_adaptive_time_microseconds': ['ts3', 'ts6', 'dt', 'y'],
  '07_datetime_connect': ['ts3', 'ts6', 'dt', 'y'],
  '07_datetime_isostring': ['ts3', 'ts6', 'dt', 'y'],
  '08_zero_dates': ['d', 'dt', 'dt6', 'y'],
  // MariaDB takes a label that is none for a number.
  '13_enum_set': ['e', 's', 's2'],
  // The server's text.
  '14_json': ['j', 'nn'],
};

function withoutColumns(text: string, columns: readonly string[]): string {
  return columns.reduce((line, name) => line.replace(new RegExp(`("after":.*?"${name}"):(?:"(?:[^"\\\\]|\\\\.)*"|[^,}]+)`), '$1:_'), text);
}

/** FLOAT(7,3), which the log does not tell from FLOAT, is widened; Java before 19 has one digit more than needed. */
function floats(text: string): string {
  return text
    .replace(/"fu":(-?[\d.E-]+)/g, (_, value: string) => `"fu":${Number(Math.fround(Number(value)).toPrecision(7))}`)
    .replaceAll('"fu":0,', '"fu":0.0,')
    .replaceAll('"fu":1,', '"fu":1.0,')
    .replaceAll('1.17549435E-38', '1.1754944E-38');
}

/** YEAR 0 becomes 1900, and years below 100 are taken for short ones. */
function years(text: string): string {
  return text.replace('"y":1900', '"y":0').replace('"dt3":978307200000', '"dt3":-62135596800000').replace('"dt3":"2001-01-01T', '"dt3":"0001-01-01T');
}

/**
 * Cases that are not run: 20 needs the columns' defaults, which the log does not tell (its schema change is compared); 21 is about transforms and masks; 22 and 23 hold what stops the
 * reading, each with a test of its own (mysql-refusals.test.ts).
 */
const CASES = [
  '01_ints',
  '02_decimal_precise',
  '03_decimal_string',
  '04_decimal_double',
  '05_bits',
  '06_datetime_adaptive',
  '07_datetime_adaptive_time_microseconds',
  '07_datetime_connect',
  '07_datetime_isostring',
  '08_zero_dates',
  '09_strings_charsets',
  '10_binary',
  '11_binary_base64',
  '12_binary_hex',
  '13_enum_set',
  '14_json',
  '15_geometry',
  '16_keys_tx',
  '17_no_tombstones_skip_updates',
  '18_ddl_stream',
  '19_defaults_generated',
];

/** Their SQL is not MariaDB's; and its newer versions leave generated columns out of updates, which stops the reading (19). */
const MYSQL_ONLY: ReadonlySet<string> = new Set(['14_json', '15_geometry', '18_ddl_stream', '19_defaults_generated']);

describe.each(availableMysqls)('golden cases of MySQL on %s', (version) => {
  let server: MysqlServer;

  beforeAll(async () => {
    server = await startMysql({ version });
  });

  afterAll(() => server.dispose());

  /** What Sluice makes of a case. */
  async function run(name: string): Promise<readonly EncodedMessage[]> {
    const { config: properties, pre, stream } = goldenCase(name, 'mysql');
    const database = `g_${name}`;
    await server.query(`DROP DATABASE IF EXISTS ${database}; CREATE DATABASE ${database} CHARACTER SET utf8mb4`);
    await server.query(pre, database);
    const reading = openMysql(server, { tables: [`${database}.*`] }, formatOptions(properties), { tellsDefinitions: true });
    const isEnd = ({ key }: EncodedMessage): boolean => key?.includes('golden end') === true;
    const { messages } = await readMessages(reading, null, isEnd, async () => {
      const client = await server.connect(database);
      for (const statement of stream) {
        await client.query(statement);
        // What a table is by a statement is asked when the log shows it: before the next one makes something else of it.
        if (/^(?:\/\*.*?\*\/)?\s*(?:alter|create|drop|rename)\b/i.test(statement)) await caughtUp(reading);
      }
      await client.query("CREATE TABLE the_end (id varchar(20) PRIMARY KEY); INSERT INTO the_end VALUES ('golden end')");
      await client.end();
    });
    const ended = messages.slice(0, messages.findIndex(isEnd));
    return ended.filter(({ value }) => value?.includes('CREATE TABLE the_end') !== true);
  }

  /** What Sluice makes of the rows that are there before a case streams. */
  async function copy(name: string): Promise<readonly EncodedMessage[]> {
    const { config: properties, pre } = goldenCase(name, 'mysql');
    const database = `g_${name}`;
    await server.query(`DROP DATABASE IF EXISTS ${database}; CREATE DATABASE ${database} CHARACTER SET utf8mb4`);
    await server.query(pre, database);
    const { source, format } = openMysql(server, { tables: [`${database}.*`] }, formatOptions(properties));
    const log = source.read({ from: null, published: [], sinkHoldsOutput: false }, signal)[Symbol.asyncIterator]();
    await log.next();
    const messages: EncodedMessage[] = [];
    const snapshots = await (source.snapshot as () => Promise<SnapshotSource>)();
    const view = await snapshots.view(signal);
    for (const { label } of snapshots.tables()) {
      for await (const { batch } of view.rows(await view.open(label), { range: null, where: null, mark: SNAPSHOT_MARK.row })) {
        messages.push(...textsOf(encodeBatch(format, batch)));
        batch.release();
      }
    }
    await view.close();
    await log.return?.();
    await source.close();
    return messages;
  }

  const keyHeaders = (headers: readonly (readonly [string, string])[]) => headers.filter(([name]) => name.startsWith('__debezium.'));

  it.each(CASES.filter((name) => version === 'mysql-9' || !MYSQL_ONLY.has(name)))('%s', async (name) => {
    const { system } = server;
    const changed = DEVIATIONS[name] ?? ((text: string) => text);
    const lines = goldenMessages(name, 'mysql')
      .filter(({ op, table, text }) => op !== 'r' && table !== 'transaction' && !(table === 'g' && text.includes('"snapshot":"true"')))
      .map((line) => ({
        ...line,
        text: changed(line.text.replace(/"transaction":\{[^}]*\}/, '"transaction":null').replace('"connector":"mysql"', `"connector":"${system}"`)),
      }));
    const ours = await run(name);
    expect(ours.map(lineOf)).toEqual(lines.map(({ text }) => text));
    expect(ours.map(({ headers }) => keyHeaders(headers))).toEqual(
      lines.map(({ headers }) => headers.filter(({ key }) => /key$/.test(key)).map(({ key, value }) => [key, JSON.stringify(value)])),
    );
  });

  it.runIf(version === 'mysql-9')('schemas of a schema change: 20_schemas_on', async () => {
    const expected = goldenMessages('20_schemas_on', 'mysql').filter(({ table, text }) => table === 'g' && text.includes('"snapshot":"false"'));
    const ours = (await run('20_schemas_on')).filter(({ key }) => key?.includes('databaseName') === true);
    expect(expected).toHaveLength(1);
    expect(ours.map(lineOf)).toEqual(expected.map(({ text }) => text));
  });

  it.each(CASES.filter((name) => version === 'mysql-9' || !MYSQL_ONLY.has(name)))('rows that are there before %s', async (name) => {
    const { system } = server;
    const compared = (text: string): string => withoutColumns(text.replace(/"snapshot":"[a-z_]+"/, '"snapshot":_'), COPY_DEVIATIONS[name] ?? []);
    const changed = DEVIATIONS[name] ?? ((text: string) => text);
    const lines = goldenMessages(name, 'mysql')
      .filter(({ op }) => op === 'r')
      .map(({ text }) => compared(changed(text.replace('"connector":"mysql"', `"connector":"${system}"`))));
    expect(lines.length).toBeGreaterThan(0);
    const ours = await copy(name);
    expect(ours.map((message) => compared(lineOf(message))).sort()).toEqual(lines.sort());
  });
});
