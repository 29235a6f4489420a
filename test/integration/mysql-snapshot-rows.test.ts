/** A row that is copied and one that is streamed have the same version of their table and the same cells, for every type (I11). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { KeyText, SnapshotSource } from '../../src/plugin/snapshot.ts';
import type { Source } from '../../src/plugin/source.ts';
import { SNAPSHOT_MARK } from '../../src/record/batch.ts';
import { type MysqlServer, startMysql } from '../servers/index.ts';
import { availableMysqls } from '../support/available-servers.ts';
import { LogReader } from '../support/log-reader.ts';
import { openMysql } from '../support/mysql-source.ts';
import { recordsOf } from '../support/pgoutput.ts';

const signal = new AbortController().signal;

/** Columns of every type, and values for them, each as SQL. */
const TYPES: readonly (readonly [type: string, ...values: string[]])[] = [
  ['tinyint', '-128', '127', '0'],
  ['tinyint unsigned', '255', '0'],
  ['tinyint(1)', '1', '-1'],
  ['smallint unsigned zerofill', '7', '65535', '0'],
  ['mediumint', '-8388608', '8388607'],
  ['mediumint unsigned', '16777215'],
  ['int(10) zerofill', '42', '0'],
  ['int unsigned', '4294967295'],
  ['bigint', '-9223372036854775808', '9223372036854775807', '9007199254740993'],
  ['bigint unsigned', '18446744073709551615', '0'],
  ['decimal(10,2)', '-0.5', '12345678.99', '0', '-0.004'],
  ['decimal(65,30)', '-12345678901234567890123456789012345.123456789012345678901234567891', '0.000000000000000000000000000001'],
  ['decimal(8,3) zerofill', '1.5', '0.25', '0'],
  ['decimal(5,0) unsigned', '99999'],
  ['float', '0.1', '16777216', '3.4028234e38', '1.17549435e-38', '-0e0', '123456.79', '1e-45', '8388608.5', '1234567.125'],
  ['float(7,3)', '1.2345', '1234.567'],
  ['float unsigned zerofill', '1.5', '0'],
  [
    'double',
    '0.1',
    '1.7976931348623157e308',
    '2.2250738585072014e-308',
    '-0e0',
    '5e-324',
    '123456789012345680',
    '1e22',
    '1e21',
    '1e-7',
    '0.000001',
    '9007199254740993',
    'pi()',
  ],
  ['double(10,2)', '0.1', '12345678.91', '-0.01'],
  ['double(22,4)', '123456789012345678.1234', '0.3'],
  ['date', "'0000-00-00'", "'2024-02-29'", "'9999-12-31'", "'2024-00-00'", "'0001-01-01'"],
  ['year', '0', '1901', '2155'],
  ['time', "'-838:59:59'", "'838:59:59'", "'00:00:00'", "'-00:00:01'", "'100:00:00'"],
  ['time(6)', "'-838:59:58.999999'", "'00:00:00.000001'", "'-00:00:00.500000'", "'12:00:00.120000'"],
  ['time(1)', "'01:02:03.4'"],
  ['datetime', "'0000-00-00 00:00:00'", "'9999-12-31 23:59:59'", "'2024-01-00 00:00:00'"],
  ['datetime(6)', "'2024-02-29 12:34:56.789012'", "'2024-02-29 12:34:56.700000'", "'2024-02-29 10:00:00.000000'"],
  ['datetime(3)', "'2024-02-29 12:34:56.120'"],
  ['timestamp null', "'0000-00-00 00:00:00'", "'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'", "'2024-03-31 01:30:00'"],
  [
    'timestamp(6) null',
    "'2024-02-29 12:34:56.789012'",
    "'2024-02-29 12:34:56.700000'",
    "'2024-02-29 10:00:00.000000'",
    "'1970-01-01 00:00:00.000001'",
  ],
  ['bit(1)', "b'1'", "b'0'"],
  ['bit(10)', "b'1000000001'", '3'],
  ['bit(64)', '0xFFFFFFFFFFFFFFFF', '0x8000000000000001', '0'],
  ['char(20)', "'trailing   '", "''", "'é😀'"],
  ['varchar(300)', "'trailing   '", "''", "repeat('ü', 300)", "'tab\\tnew\\nline\\0 zero \\\\ quote '''"],
  ['char(10) character set latin1', "'Ã¼€'", "''"],
  ['varchar(20) character set cp1251', "'Привет'"],
  ['varchar(20) character set utf16', "'😀é'", "''"],
  ['varchar(20) character set utf32', "'😀é'"],
  ['varchar(20) character set ucs2', "'é'"],
  ['varchar(20) character set utf8mb3', "'é'"],
  ['varchar(20) character set ascii', "'a~'"],
  ['varchar(20) character set sjis', "'日本ｱ'"],
  ['varchar(20) character set gbk', "'中文'"],
  ['text character set koi8r', "'Привет'"],
  ['tinytext', "repeat('t', 255)", "''"],
  ['mediumtext', "repeat('é', 70000)"],
  ['longtext', "repeat('z', 300000)"],
  ['binary(5)', "'ab'", "x'00ff00'", "''"],
  ['binary(16)', "x'000102030405060708090a0b0c0d0e0f'"],
  ['varbinary(300)', "x'00ff'", "''", "repeat(x'fb', 251)"],
  ['tinyblob', "x'fbfcfdfeff'"],
  ['blob', "repeat(x'ff', 66)"],
  ['mediumblob', "repeat(x'00', 70000)"],
  ['longblob', "''"],
  ["enum('a','b''c','','e,f','ü')", "'a'", '2', "''", "'e,f'", "'ü'", '0'],
  ["enum('x','ÿ') character set latin1", "'ÿ'"],
  ["set('r','w','ü')", "'r,w'", "''", "'ü,r'"],
  ['geometry', 'point(1, 2)', "ST_GeomFromText('MULTIPOLYGON(((0 0,1 0,1 1,0 0)))', 4326)", "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 2))')"],
  ['point', 'point(-1.5, 1e300)'],
  ['multilinestring', "ST_GeomFromText('MULTILINESTRING((0 0,1 1),(2 2,3 3))')"],
  ['geometrycollection', "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1))')"],
];

const MYSQL_TYPES: typeof TYPES = [
  [
    'json',
    `'{"b": 1, "a": [1, 2.0, 1e2, -0.0, true, false, null, "é😀\\\\n\\\\u0001\\\\/"], "": {"__proto__": {}}, "10": [], "9": ""}'`,
    "'null'",
    `'"text"'`,
    "'18446744073709551615'",
    "'-9223372036854775808'",
    'JSON_ARRAY(1e20, 1e21, 1e22, 1e-6, 1e-7, 1.5e-10, 1e-14, 1.25e-15, 1e-16, 1e-20, 1.5e-21, 1e-22, 123456789012345680000, 1234567890123456789012, 0.1, 1e15, 1e16, 1e17, 123456789.125, 1e300, 5e-324, 1e0, 100e0, pi())',
    "JSON_ARRAY(CAST('1.50' AS DECIMAL(10,2)), CAST('0.0000001' AS DECIMAL(20,10)), CAST('100' AS DECIMAL(30,0)), CAST('-0.5' AS DECIMAL(5,1)))",
    "JSON_OBJECT('d', CAST('2024-02-29' AS DATE), 's', '2024-02-29 12:34:56.120000', 't', CAST('-12:34:56.500000' AS TIME(6)), 'ts', CAST('2024-02-29 12:34:56.120000' AS DATETIME(6)), 'dt', CAST('2024-02-29 12:34:56' AS DATETIME))",
    "JSON_OBJECT('a.b', JSON_ARRAY(CAST('01:02:03' AS TIME), '01:02:03.000000', JSON_OBJECT('a\"b c', CAST('01:02:03.1' AS TIME(1)))), 'x', JSON_OBJECT('é', CAST('100:02:03' AS TIME)))",
    "JSON_ARRAY(CAST(x'00ff10' AS BINARY), 'base64:type252:AP8Q', CAST('' AS BINARY), b'101')",
    "JSON_OBJECT('long', repeat('x', 100000), 'many', CAST(repeat('1', 20) AS JSON))",
    "JSON_OBJECT('g', ST_GeomFromText('POINT(1 2)'))",
    // No string at all.
    "JSON_OBJECT('t', CAST('10:00:00.5' AS TIME(3)))",
    "CAST(CAST('2024-01-01 10:00:00' AS DATETIME) AS JSON)",
    "CAST(CAST('ab' AS BINARY) AS JSON)",
  ],
];
const MARIADB_TYPES: typeof TYPES = [['json', `'{"b": 1,   "a": [1, 2.0]}'`, "'null'"]];

const KEYS = `
  CREATE TABLE k_text (a varchar(20) CHARACTER SET latin1 COLLATE latin1_german1_ci, b binary(3), v int, PRIMARY KEY (a, b));
  CREATE TABLE k_enum (e enum('z','a','m','b'), s set('q','c','a'), v int, PRIMARY KEY (e, s));
  CREATE TABLE k_time (d date, t time(3), dt datetime(6), ts timestamp(2) NOT NULL, PRIMARY KEY (d, t, dt, ts));
  CREATE TABLE k_number (n decimal(20,5), f float, d double, b bit(40), y year, u bigint unsigned, PRIMARY KEY (n, f, d, b, y, u));
  CREATE TABLE k_bytes (k varbinary(300), n int NOT NULL, PRIMARY KEY (k));
  CREATE TABLE k_ci (k varchar(40) COLLATE utf8mb4_unicode_ci, n float NOT NULL, PRIMARY KEY (k));
  CREATE TABLE k_prefix (k text, n enum('y','x') NOT NULL, PRIMARY KEY (k(10)));
  CREATE TABLE no_key (a int, b varchar(10));`;
const KEY_ROWS = `
  INSERT INTO k_text SELECT concat(char(97 + n % 7), 'ü', n % 5), unhex(lpad(hex(n), 6, '0')), n FROM numbers;
  INSERT INTO k_enum SELECT 1 + n % 4, n % 8, n FROM numbers WHERE n < 8;
  INSERT INTO k_time SELECT '2024-01-01' + INTERVAL n % 3 DAY, sec_to_time(-50 + n * 1.25), '2024-01-01' + INTERVAL n * 7 MICROSECOND, '2024-01-01' + INTERVAL n SECOND FROM numbers;
  INSERT INTO k_number SELECT -10 + n % 3 * 0.00001, 0.1 * (n % 4), 0.1 * n, n % 5 + 549755813888, 1901 + n, 18446744073709551615 - n FROM numbers;
  INSERT INTO k_bytes SELECT concat(unhex(hex(n % 256)), repeat(unhex('ff'), n % 3)), n % 5 FROM numbers;
  INSERT INTO k_ci SELECT concat(if(n % 2, 'É', 'e'), lpad(n, 3, '0'), ''''), n * 0.1 FROM numbers;
  INSERT INTO k_prefix SELECT concat(lpad(n, 5, '0'), repeat('x', n)), 1 + n % 2 FROM numbers;
  INSERT INTO no_key VALUES (1, 'x'), (1, 'x'), (NULL, NULL);`;

describe.each(availableMysqls)('%s', (version) => {
  let server: MysqlServer;
  let reader: LogReader<Source>;
  let database: string;

  const types = (): typeof TYPES => [...TYPES, ...(server.system === 'mysql' ? MYSQL_TYPES : MARIADB_TYPES)];

  beforeAll(async () => {
    // Settings that would change what a query gives.
    server = await startMysql({
      version,
      settings: { 'sql-mode': 'PAD_CHAR_TO_FULL_LENGTH,ANSI_QUOTES', 'default-time-zone': '+05:30', 'lock-wait-timeout': 3 },
    });
    database = await server.createDatabase('copies');
    const client = await server.connect(database);
    await client.query("SET sql_mode = '', time_zone = '+00:00'");
    await client.query('CREATE TABLE numbers (n int PRIMARY KEY)');
    for (const [index, [type]] of types().entries()) await client.query(`CREATE TABLE t${index} (id int PRIMARY KEY, v ${type})`);
    await client.query(KEYS);
    await client.query(
      `CREATE TABLE \`odd \`\` name?\` (\`__proto__\` int, \`sel"ect\` int PRIMARY KEY, \`g?\` int GENERATED ALWAYS AS (\`__proto__\` + 1) ${server.system === 'mysql' ? '' : 'STORED'}, hidden int ${server.system === 'mysql' ? 'INVISIBLE DEFAULT 3' : 'DEFAULT 3'})`.replace(
        server.system === 'mysql' || version === 'mariadb-10.11' ? /^$/ : /, `g\?`[^)]*\)[^,]*/,
        '',
      ),
    );
    const tables = [`${database}.*`];
    reader = new LogReader({ url: '' }, openMysql(server, { tables }).source);
    await reader.until(async () => (await reader.source.observe(signal)).connected, 'the stream');
    await client.query(`INSERT INTO numbers VALUES ${Array.from({ length: 60 }, (_, n) => `(${n})`).join(',')}`);
    for (const [index, [, ...values]] of types().entries())
      await client.query(`INSERT INTO t${index} VALUES ${['NULL', ...values].map((value, id) => `(${id}, ${value})`).join(', ')}`);
    await client.query(KEY_ROWS);
    await client.query('INSERT INTO `odd `` name?` (`__proto__`, `sel"ect`) VALUES (1, 2), (NULL, 3)');
    await client.query('CREATE TABLE the_end (id int PRIMARY KEY); INSERT INTO the_end VALUES (1)');
    await client.end();
    await reader.until(() => reader.records.some(({ table }) => table.endsWith('the_end')), 'the last row', 20_000);
  });

  afterAll(async () => {
    await reader?.close();
    await server?.dispose();
  });

  const streamedOf = (label: string): string[] => reader.records.filter(({ table }) => table === label).map(({ after }) => JSON.stringify(after));

  async function* chunks(snapshots: SnapshotSource, label: string, surrogateKey: string | null, limit: number): AsyncGenerator<string[]> {
    for (let after: KeyText | null = null, ends = false; !ends; ) {
      const view = await snapshots.view(signal);
      const table = await view.open(label, surrogateKey);
      ends = true;
      for await (const { batch, lastKey } of view.rows(table, { range: { after, upTo: null }, limit, where: null, mark: SNAPSHOT_MARK.row })) {
        ends = batch.count < limit;
        yield recordsOf(batch).map((row) => JSON.stringify(row.after));
        after = lastKey;
        batch.release();
      }
      await view.close();
    }
  }

  test('every table is copied as it is streamed', async () => {
    const snapshots = await (reader.source.snapshot as () => Promise<SnapshotSource>)();
    const view = await snapshots.view(signal);
    for (const { label } of snapshots.tables()) {
      const table = await view.open(label);
      const about = label.replace(/^.*\.t(\d+)$/, (_, index: string) => types()[Number(index)]?.[0] ?? '');
      expect([about, reader.tables.find((each) => each.label === label)]).toEqual([about, table.version]);
      const request = { range: null, where: null, mark: SNAPSHOT_MARK.row };
      const copied: string[] = [];
      for await (const { batch } of view.rows(table, request)) {
        copied.push(...recordsOf(batch).map(({ after }) => JSON.stringify(after)));
        batch.release();
      }
      expect([about, copied.sort()]).toEqual([about, streamedOf(label).sort()]);
      expect(copied.length).toBeGreaterThan(0);
    }
    await view.close();
  });

  test('chunk after chunk by key every row comes once, whatever the type of the key', async () => {
    const snapshots = await (reader.source.snapshot as () => Promise<SnapshotSource>)();
    const cases = ['k_text', 'k_enum', 'k_time', 'k_number', 'k_bytes', 'k_ci', 'k_prefix'].map((name) => [name, null] as const);
    const surrogates = [
      ['k_bytes', 'n'],
      ['k_ci', 'n'],
      ['k_prefix', 'n'],
      ['k_enum', 's'],
      ['k_number', 'u'],
    ] as const;
    for (const [name, surrogateKey] of [...cases, ...surrogates]) {
      const seen: string[] = [];
      for await (const rows of chunks(snapshots, `${database}.${name}`, surrogateKey, 7)) seen.push(...rows);
      expect([name, surrogateKey, [...seen].sort()]).toEqual([name, surrogateKey, streamedOf(`${database}.${name}`).sort()]);
    }
  });
});
