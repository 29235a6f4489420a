/** The search for secrets and row values that ends every test with a daemon (I12): it must be able to find some. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type MysqlServer, type PostgresServer, startMysql, startPostgres } from '../servers/index.ts';
import { Confidential } from '../support/artefacts.ts';

let postgres: PostgresServer;
let mysql: MysqlServer;

beforeAll(async () => {
  [postgres, mysql] = await Promise.all([startPostgres({ major: 17 }), startMysql({ version: 'mariadb-11' })]);
}, 120_000);

afterAll(() => Promise.all([postgres.dispose(), mysql.dispose()]), 60_000);

it('finds secrets, values of rows of Postgres and MariaDB, and nothing else', async () => {
  const database = await postgres.createDatabase();
  await postgres.query(
    "CREATE TABLE people (id int, name text); INSERT INTO people VALUES (1, 'Ada Lovelace'), (2, 'people'), (3, 'short')",
    database,
  );
  const other = await mysql.createDatabase();
  await mysql.query(`CREATE TABLE ${other}.people (id int, name varchar(40)); INSERT INTO ${other}.people VALUES (1, 'Grace Hopper')`);
  const confidential = new Confidential();
  confidential.learn([{ source: { url: postgres.url(database), password: 'a-long-password' } }, { source: { url: mysql.url() } }]);
  confidential.learnEnvironment({ SHOP_DB_PASSWORD: 'another-password', HOME: '/home/somebody' });
  const texts = ['Ada Lovelace was here', 'and Grace Hopper', 'with a-long-password', 'and another-password in short: people at /home/somebody'];
  const found = await confidential.found(texts.map((text, index) => ({ origin: `text ${index}`, text })));
  expect(found.map((line) => line.slice(0, line.indexOf(':')))).toEqual([
    'a secret stands in text 2',
    'a secret stands in text 3',
    'a value of public.people.name stands in text 0',
    `a value of ${other}.people.name stands in text 1`,
  ]);
});
