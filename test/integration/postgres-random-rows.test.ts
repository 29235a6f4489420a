/**
 * Random tables and rows of all types, on every version of the server: a row is the same bytes from a copy and from the log in each format (I11), and what is decoded
 * from these bytes is what the server prints.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { postgres } from '../../connectors/postgres/index.ts';
import { debezium } from '../../src/formats/debezium/index.ts';
import { native } from '../../src/formats/native/index.ts';
import { type RecordBatch, SNAPSHOT_MARK } from '../../src/record/batch.ts';
import { type PostgresServer, startPostgres } from '../servers/index.ts';
import { availableMajors } from '../support/available-servers.ts';
import { CONTEXT, DEBEZIUM_DEFAULTS, encodeBatch, textsOf } from '../support/encoded.ts';
import { LogReader } from '../support/log-reader.ts';
import { LONG } from '../support/long-form.ts';
import { type Exact, parseExact, RANDOM_TYPES, RANDOM_TYPES_SQL, type RandomType } from '../support/random-values.ts';
import { NativeValidator } from '../support/valid-native.ts';

const signal = new AbortController().signal;
/** 10,000 rows in the long form. */
const [TABLES, ROWS] = LONG ? [50, 200] : [8, 25];
const SEED = Number(process.env['SLUICE_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

interface Table {
  readonly name: string;
  readonly types: readonly RandomType[];
  readonly rows: readonly (readonly (string | null)[])[];
}

function randomTables(): readonly Table[] {
  const types = fc.array(fc.constantFrom(...RANDOM_TYPES), { minLength: 4, maxLength: 14 });
  return fc.sample(types, { seed: SEED, numRuns: TABLES }).map((chosen, number) => ({
    name: `r${number}`,
    types: chosen,
    rows: fc.sample(fc.tuple(...chosen.map(({ value }) => fc.option(value, { nil: null, freq: 8 }))), { seed: SEED + number, numRuns: ROWS }),
  }));
}

const FORMATS = {
  // Numbers of microseconds do not tell the parts of an interval.
  debezium: debezium.create({ ...DEBEZIUM_DEFAULTS, intervalHandlingMode: 'string' }, CONTEXT),
  native: native.create({ tombstones: true }, CONTEXT),
};
type FormatName = keyof typeof FORMATS;
const END: Readonly<Record<FormatName, string>> = { debezium: ',"source":', native: ',"ts":' };

/** By table and id, the bytes of the row in each format. */
type Rows = Map<string, string>;

const validator = new NativeValidator(postgres.origin);
/** What a native message says that the schema of its table does not allow. */
const invalid: string[] = [];
let validated = 0;

/** Each native message is valid by the schema that is published of its table's version. */
function validate(batch: RecordBatch): void {
  for (const table of batch.tables) {
    const messages = textsOf(encodeBatch(FORMATS.native, batch)).filter(({ value }) => value?.includes(`"table":"${table.name}"`));
    for (const message of messages) invalid.push(...validator.problems(table, message));
    validated += messages.length;
  }
}

function collect(batch: RecordBatch, into: Rows): void {
  validate(batch);
  for (const name of ['debezium', 'native'] as const) {
    for (const { value } of textsOf(encodeBatch(FORMATS[name], batch))) {
      if (value === null) continue;
      const table = /"table":"(r\d+)"/.exec(name === 'native' ? value : value.slice(value.lastIndexOf(END.debezium)))?.[1];
      const after = value.slice(value.indexOf('"after":') + 8, value.lastIndexOf(END[name]));
      into.set(`${name} ${table} ${/"id":(\d+)/.exec(after)?.[1]}`, after);
    }
  }
}

const asText = (expression: string): string => `(${expression})::text`;
const quoted = (value: string | null): string => (value === null ? 'NULL' : `'${value.replaceAll("'", "''")}'`);

describe.each(availableMajors)(`PostgreSQL %i (SLUICE_SEED=${SEED})`, (major) => {
  const tables = randomTables();
  const streamed: Rows = new Map();
  let server: PostgresServer;
  let database: string;
  let reader: LogReader;

  beforeAll(async () => {
    server = await startPostgres({ major });
    database = await server.createDatabase('random');
    await server.query(RANDOM_TYPES_SQL, database);
    for (const { name, types } of tables) {
      await server.query(`CREATE TABLE ${name} (id int PRIMARY KEY, ${types.map(({ sql }, at) => `c${at} ${sql}`).join(', ')})`, database);
    }
    reader = new LogReader({
      url: server.url(database),
      config: { tables: ['public.*'], slot: `random_${major}`, publication: 'random' },
      onBatch: (batch) => collect(batch, streamed),
    });
    await reader.until(async () => (await reader.source.observe(signal)).connected, 'the stream');
    for (const { name, rows } of tables) {
      const values = rows.map((row, id) => `(${id}, ${row.map(quoted).join(', ')})`);
      await server.query(`INSERT INTO ${name} VALUES ${values.join(', ')}`, database);
    }
    await reader.until(() => streamed.size >= 2 * TABLES * ROWS, 'all rows', 120_000);
  }, 240_000);

  afterAll(async () => {
    await reader?.close();
    await server?.dispose();
  });

  test('a row that is copied is the same bytes as the one that was streamed', async () => {
    const copied: Rows = new Map();
    const view = await (await reader.source.snapshot()).view(signal);
    for (const { name } of tables) {
      const table = await view.open(`public.${name}`);
      for await (const { batch } of view.rows(table, { range: { after: null, upTo: null }, where: null, mark: SNAPSHOT_MARK.row })) {
        collect(batch, copied);
        batch.release();
      }
    }
    await view.close();
    expect(copied.size).toBe(2 * TABLES * ROWS);
    expect([...copied].filter(([row, text]) => streamed.get(row) !== text)).toEqual([]);
  });

  test('every native message is valid by the JSON Schema of its table', () => {
    expect(invalid.slice(0, 5)).toEqual([]);
    // Streamed and copied.
    expect(validated).toBeGreaterThanOrEqual(2 * TABLES * ROWS);
  });

  test.each(['debezium', 'native'] as const)(
    'what %s says is what the server prints',
    async (format) => {
      const wrong: unknown[] = [];
      for (const { name, types } of tables) {
        const checks = Array.from({ length: ROWS }, (_, id) => {
          const row = parseExact(streamed.get(`${format} ${name} ${id}`) ?? '') as Readonly<Record<string, Exact>>;
          const columns = types.map((type, at) => {
            const value = row[`c${at}`] as Exact;
            const said = `(${quoted(value === null ? null : type[format](value))})::${type.sql}`;
            const [here, there] = [`c${at}`, said].map((expression) => (type.compare ?? asText)(expression, format));
            return `CASE WHEN ${here} IS DISTINCT FROM ${there} THEN ${quoted(`c${at} ${type.sql}`)} || ': ' || coalesce(${here}, 'NULL') || ' was ' || coalesce(${there}, 'NULL') END`;
          });
          return `SELECT id, ARRAY_REMOVE(ARRAY[${columns.join(', ')}], NULL) AS wrong FROM ${name} WHERE id = ${id}`;
        });
        for (let at = 0; at < checks.length; at += 25) {
          const answer = await server.query(`SELECT * FROM (${checks.slice(at, at + 25).join(' UNION ALL ')}) c WHERE wrong <> '{}'`, database);
          wrong.push(...answer.map((each) => [name, each]));
        }
      }
      expect(wrong).toEqual([]);
    },
    600_000,
  );
});
