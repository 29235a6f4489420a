/** The MySQL and MariaDB test servers themselves: they start with a log to read, come back, and leave nothing behind. */
import { existsSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { type MysqlServer, startMysql } from '../servers/index.ts';
import { isRunning } from '../servers/process.ts';
import { availableMysqls } from '../support/available-servers.ts';

const started: MysqlServer[] = [];

afterEach(async () => {
  await Promise.all(started.splice(0).map((server) => server.dispose()));
});

describe.each(availableMysqls)('%s', (version) => {
  it('starts with a log of full rows, survives kill -9 on its port, and leaves nothing behind', async () => {
    const server = await startMysql({ version, own: true });
    started.push(server);
    expect(`${server.system}-${server.release}`.startsWith(version)).toBe(true);
    expect(await server.query('SELECT @@binlog_row_metadata AS m, @@binlog_row_image AS i, @@log_bin AS l')).toEqual([
      { m: 'FULL', i: 'FULL', l: '1' },
    ]);
    const database = await server.createDatabase();
    await server.query('CREATE TABLE t (a int); INSERT INTO t VALUES (7)', database);
    const { pid, port } = server;
    await server.restart('kill', { 'max-connections': 17 });
    expect(server.pid).not.toBe(pid);
    expect(server.port).toBe(port);
    expect(await server.query('SELECT a, @@max_connections AS m FROM t', database)).toEqual([{ a: 7, m: '17' }]);
    const last = server.pid;
    await server.dispose();
    expect(isRunning(last)).toBe(false);
    expect(existsSync(server.directory)).toBe(false);
  });
});
