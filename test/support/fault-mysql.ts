/** What the MySQL part of the fault matrix does to servers, and asks of them. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import type { MysqlServer } from '../servers/index.ts';
import type { FaultRun } from './fault-run.ts';
import { ACCOUNT, savedPosition } from './mysql-fault-source.ts';

/** A server, or one connection to it. */
export interface Asked {
  query<T>(sql: string): Promise<readonly T[]>;
}

/** The connections over which the server sends its log to Sluice. */
export async function dumps(server: Asked): Promise<string[]> {
  const rows = await server.query<{ Id: string; User: string; Command: string }>('SHOW PROCESSLIST');
  return rows.filter(({ User, Command }) => User === ACCOUNT.user && Command.startsWith('Binlog Dump')).map(({ Id }) => String(Id));
}

/** Ends the connection that the log comes over, once there is one. */
export async function killDump(server: Asked): Promise<void> {
  await expect.poll(() => dumps(server), { timeout: 20_000, interval: 20 }).not.toEqual([]);
  for (const id of await dumps(server)) await server.query(`KILL ${id}`).catch(noSuchThread);
}

/** It has ended by itself meanwhile (ER_NO_SUCH_THREAD). */
function noSuchThread(error: { errno?: number }): void {
  if (error.errno !== 1094) throw error;
}

/** A new file of the log, and everything is purged that Sluice, by what it has saved, will not ask for again. */
export async function purgeRead(run: FaultRun, server: MysqlServer): Promise<void> {
  await server.query('FLUSH BINARY LOGS');
  await run.caughtUp();
  const { file = '' } = (await savedPosition(run.name, run.daemon)) ?? {};
  await server.query(`PURGE BINARY LOGS TO '${file}'`);
}

/** The files of the log, the oldest first. */
export async function logFiles(server: MysqlServer): Promise<string[]> {
  return (await server.query<{ Log_name: string }>('SHOW BINARY LOGS')).map(({ Log_name }) => Log_name);
}

/** I8: the connector has stopped with this error, and while it stands nothing more comes to the sink. Answers with the remedy. */
export async function stopped(run: FaultRun, code: string): Promise<string> {
  const { remedy } = await run.stopsWith(code);
  await run.daemon.exit();
  const before = (await run.standing()).messages;
  await sleep(500);
  expect((await run.standing()).messages, 'messages after the stop').toBe(before);
  return remedy;
}

/** The first warning of this code that was said behind the `from`th line, with a remedy, and that it is tried again. */
export async function waitsFor(run: FaultRun, code: string, from: number, timeoutMs = 30_000): Promise<string> {
  const line = await run.daemon.waitForLog((each) => each.code === code && run.daemon.log.indexOf(each) >= from, timeoutMs);
  expect([line.level, line.msg]).toEqual(['warn', expect.stringMatching(/Trying again\.$/)]);
  expect(line.remedy ?? '').not.toBe('');
  return line.remedy ?? '';
}

/** The replica follows: by GTIDs, or from the file and the place in it where the source stands now. */
export async function startReplica(replica: MysqlServer, source: MysqlServer, byGtids: boolean): Promise<void> {
  const port = `PORT = ${source.port}`;
  if (source.system === 'mariadb') {
    await replica.query(
      `CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_${port}, MASTER_USER = 'root', MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1, MASTER_SSL = 0; START SLAVE`,
    );
    return;
  }
  const [status] = await source.query<{ File: string; Position: string }>('SHOW BINARY LOG STATUS');
  const from = byGtids ? 'SOURCE_AUTO_POSITION = 1' : `SOURCE_LOG_FILE = '${status?.File}', SOURCE_LOG_POS = ${status?.Position}`;
  await replica.query(
    `CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_${port}, SOURCE_USER = 'root', ${from}, SOURCE_CONNECT_RETRY = 1, GET_SOURCE_PUBLIC_KEY = 1; START REPLICA`,
  );
}
