/** Servers that soon end connections on which nothing moves: that of the log is none of them (I10). */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type MysqlServer, startMysql } from '../servers/index.ts';
import { availableMysqls } from '../support/available-servers.ts';
import { openMysql } from '../support/mysql-source.ts';

/** Far more than the buffers of a socket hold. */
const [ROWS, ROW_BYTES] = [60, 1_000_000];

describe.each(availableMysqls.filter((version) => version !== 'mariadb-10.11'))('%s', (version) => {
  let server: MysqlServer;

  beforeAll(async () => {
    server = await startMysql({ version, own: true, settings: { 'max-allowed-packet': '16M' } });
    await server.query('SET GLOBAL net_write_timeout = 1, GLOBAL net_read_timeout = 1, GLOBAL wait_timeout = 2, GLOBAL interactive_timeout = 2');
    await server.query('CREATE DATABASE shop; CREATE TABLE shop.t (id int PRIMARY KEY, body longblob)');
  });

  afterAll(() => server?.dispose());

  it('neither a sink that takes nothing for a while nor a log in which nothing happens ends the stream', async () => {
    const { source } = openMysql(server, { tables: ['shop.t'] }, {}, { maxBufferedBytes: 4 * 1024 * 1024 });
    let seen = 0;
    let pauses = 0;
    // What breaks it off is thrown here.
    for await (const batch of source.read({ from: null, published: [], sinkHoldsOutput: false }, AbortSignal.timeout(60_000))) {
      seen += batch.count;
      batch.release();
      if (pauses === 0) {
        pauses++;
        for (let id = 1; id <= ROWS; id++) await server.query(`INSERT INTO shop.t VALUES (${id}, REPEAT('x', ${ROW_BYTES}))`);
      } else if (pauses === 1 && seen > 0) {
        pauses++;
        await sleep(6_000);
      } else if (seen === ROWS) {
        pauses++;
        void sleep(5_000).then(() => server.query(`INSERT INTO shop.t VALUES (0, 'after the silence')`));
      } else if (seen > ROWS) break;
    }
    await source.close();
    expect([seen, pauses]).toEqual([ROWS + 1, 3]);
  }, 90_000);
});
