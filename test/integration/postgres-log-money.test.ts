/**
 * Type money and `lc_monetary`. The server prints a stored whole number by the session's locale: in a German one `1.234,56 €`, which is no decimal; and
 * with the C locale of our sessions a database of yen (no digits after the point) shows 1235 as 12.35, one of dinars (three) 1234.567 as 12345.67.
 */
import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { preflightPostgres } from '../../connectors/postgres/preflight.ts';
import { type PostgresServer, startPostgres } from '../servers/index.ts';
import { availableMajors } from '../support/available-servers.ts';
import { monetaryLocales } from '../support/locales.ts';
import { LogReader } from '../support/log-reader.ts';
import { postgresConfig, sourceContext } from '../support/postgres-source.ts';

const signal = new AbortController().signal;
const AMOUNTS = `INSERT INTO amounts VALUES (1, 1234.56::numeric::money), (2, (-0.05)::numeric::money), (3, 0::numeric::money)`;
let locales: string;

beforeAll(async () => {
  locales = await monetaryLocales([0, 2, 3]);
});

afterAll(() => rm(locales, { recursive: true, force: true }));

describe.each(availableMajors)('PostgreSQL %i', (major) => {
  let server: PostgresServer;
  let number = 0;

  beforeAll(async () => {
    server = await startPostgres({ major, env: { LOCPATH: locales } });
  });

  afterAll(() => server.dispose());

  async function databaseWith(lcMonetary: string): Promise<string> {
    const database = await server.createDatabase();
    await server.query(`ALTER DATABASE "${database}" SET lc_monetary = '${lcMonetary}'`);
    await server.query(
      `CREATE DOMAIN price AS money; CREATE DOMAIN price_list AS money[];
       CREATE TABLE amounts (id int PRIMARY KEY, amount money); CREATE TABLE lists (id int PRIMARY KEY, amounts money[]);
       CREATE TABLE prices (id int PRIMARY KEY, price price); CREATE TABLE domains (id int PRIMARY KEY, list price_list); CREATE TABLE plain (id int PRIMARY KEY, amount numeric)`,
      database,
    );
    return database;
  }

  const settings = (...tables: string[]) => ({ tables: tables.map((table) => `public.${table}`), slot: `money_${number++}` });

  it('a locale with another point, another order and two digits: exact, because our sessions do not print by it', async () => {
    const database = await databaseWith('xx_T2');
    const reader = new LogReader({ url: server.url(database), config: settings('amounts', 'prices') });
    await reader.until(async () => (await reader.source.observe(signal)).connected, 'the stream');
    await server.query(`${AMOUNTS}; INSERT INTO prices VALUES (1, (-9876543.21)::numeric::money)`, database);
    expect(await server.query(`SELECT amount::text FROM amounts WHERE id = 1`, database)).toEqual([{ amount: '1.234,56 X' }]);
    const records = await reader.take(4);
    expect(records.map(({ after }) => after?.['amount'] ?? after?.['price'])).toEqual(['1234.56', '-0.05', '0.00', '-9876543.21']);
    await reader.close();
  });

  it.each([
    ['xx_T0', 0],
    ['xx_T3', 3],
  ])('%s, money with %i digits after the point: stopped before anything is misread, and only where there is money', async (locale, digits) => {
    const database = await databaseWith(locale);
    for (const [table, column] of [
      ['amounts', 'amount'],
      ['lists', 'amounts'],
      ['prices', 'price'],
      ['domains', 'list'],
    ] as const) {
      const config = postgresConfig(server.url(database), settings(table));
      const error = {
        code: 'SLUICE_PG_MONEY',
        table: `public.${table}`,
        message: expect.stringMatching(new RegExp(`^Column ${column} of table public.${table} .* with ${digits} digits .* = ${locale}\\)`)),
        remedy: expect.stringContaining(`ALTER TABLE "public"."${table}" ALTER COLUMN "${column}" TYPE numeric`),
      };
      const { findings } = await preflightPostgres(config, sourceContext('money'), signal);
      expect(findings.filter(({ severity }) => severity === 'error')).toEqual([expect.objectContaining(error)]);
      const reader = new LogReader({ url: server.url(database), config });
      await expect.poll(() => reader.error, { timeout: 10_000 }).toMatchObject(error);
      await reader.close();
    }
    // No slot was made for what cannot be read: it would keep the log back for nobody.
    expect(await server.query(`SELECT FROM pg_replication_slots WHERE database = '${database}'`)).toEqual([]);
  });

  it('a money column that comes while the log is read stops it too; changes of before are delivered', async () => {
    const database = await databaseWith('xx_T3');
    const reader = new LogReader({ url: server.url(database), config: settings('plain') });
    await reader.until(async () => (await reader.source.observe(signal)).connected, 'the stream');
    await server.query('INSERT INTO plain VALUES (1, 1234.567)', database);
    expect((await reader.take(1)).map(({ after }) => after)).toEqual([{ id: '1', amount: '1234.567' }]);
    await server.query('ALTER TABLE plain ADD COLUMN fee money; INSERT INTO plain VALUES (2, 1, 7.125::numeric::money)', database);
    await expect.poll(() => reader.error, { timeout: 10_000 }).toMatchObject({ code: 'SLUICE_PG_MONEY', table: 'public.plain' });
    expect(reader.records).toEqual([]);
    await reader.close();
  });
});
