/** A server that crashes while it writes a transaction leaves a piece of it in its log: it has not happened, and its GTID comes again (I1, I2). */
import { truncate } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Position } from '../../src/record/position.ts';
import { type MysqlServer, startMysql } from '../servers/index.ts';
import { availableMysqls } from '../support/available-servers.ts';
import { encodeBatch, textsOf } from '../support/encoded.ts';
import { openMysql, readMessages } from '../support/mysql-source.ts';

const ROWS = 50;

// MySQL cuts it off when it starts again.
describe.each(availableMysqls.filter((version) => version !== 'mysql-9'))('%s', (version) => {
  let server: MysqlServer;

  beforeAll(async () => {
    server = await startMysql({ version, own: true, fsync: true });
  });
  afterAll(() => server.dispose());

  async function endOfLog(): Promise<{ file: string; pos: number }> {
    const [row] = await server.query<{ File: string; Position: string }>('SHOW MASTER STATUS');
    return { file: String(row?.File), pos: Number(row?.Position) };
  }

  /** As the engine does: after an error that is tried again, from where a transaction ended last. */
  async function readThrough(
    tables: readonly string[],
    from: Position | null,
    isLast: (value: string) => boolean,
  ): Promise<{ ids: string[]; keys: unknown[] }> {
    const found = { ids: [] as string[], keys: [] as unknown[] };
    let position = from;
    for (let tries = 0; tries < 3; tries++) {
      const { source, format } = openMysql(server, { tables }, {}, { batch: { maxRecords: 3, maxBytes: 1024 * 1024 } });
      try {
        for await (const batch of source.read({ from: position, published: [], sinkHoldsOutput: false }, AbortSignal.timeout(20_000))) {
          const messages = textsOf(encodeBatch(format, batch));
          found.ids.push(...messages.map(({ id }) => id));
          found.keys.push(...messages.map(({ key }) => (JSON.parse(String(key)) as { id: number }).id));
          position = batch.checkpoint ?? position;
          batch.release();
          // What has come until the server breaks off must not be lost with that: reading would end there each time.
          await new Promise((resolve) => setTimeout(resolve, 100));
          if (messages.some(({ value }) => isLast(value ?? ''))) return found;
        }
      } catch (error) {
        if ((error as { kind?: { retry: string } }).kind?.retry !== 'auto') throw error;
      } finally {
        await source.close();
      }
    }
    throw new Error(`the end does not come; there were ${found.keys.join()}`);
  }

  // The end of an event, or in its middle, of which the server says that it is an error.
  it.each([0, 5, 1500])(
    'what is left of a transaction that the server broke off is not read, and the next one under its GTID is (cut %s bytes behind an event)',
    async (cut) => {
      const database = await server.createDatabase('torn');
      const tables = [`${database}.t`];
      await server.query('CREATE TABLE t (id int PRIMARY KEY, v text)', database);
      const { position } = await readMessages(openMysql(server, { tables }), null, null);
      const whole = Array.from({ length: 20 }, (_, index) => 10 + index);
      await server.query(whole.map((id) => `INSERT INTO t VALUES (${id}, 'whole')`).join(';'), database);
      const before = await endOfLog();
      const inserts = Array.from({ length: ROWS }, (_, index) => `INSERT INTO t VALUES (${100 + index}, repeat('x', 3000))`);
      await server.query(`BEGIN; ${inserts.join(';')}; COMMIT`, database);
      const events = await server.query<{ Pos: string; End_log_pos: string; Event_type: string }>(
        `SHOW BINLOG EVENTS IN '${before.file}' FROM ${before.pos}`,
      );
      const rows = events.filter(({ Event_type }) => /^Write_rows/.test(Event_type));
      expect(rows.length).toBe(ROWS);
      const middle = events[events.indexOf(rows[ROWS / 2] as (typeof rows)[number]) + 1]?.Pos;
      await server.stop('kill');
      await truncate(`${server.dataDir}/${before.file}`, Number(middle) + cut);
      await server.start();
      await server.query('DELETE FROM t WHERE id >= 100; INSERT INTO t VALUES (2, "next"), (3, "next"); INSERT INTO t VALUES (4, "end")', database);
      const { ids, keys } = await readThrough(tables, position, (value) => value.includes('"v":"end"'));
      // Where the engine still had them they were deleted, as the log says.
      expect(keys.filter((key) => Number(key) < 100)).toEqual([...whole, 2, 3, 4]);
      expect(new Set(ids).size).toBe(ids.length);
    },
  );
});
