/** What the Postgres part of the fault matrix asks of server, state and command line. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { formatLsn, parseLsn } from '../../connectors/postgres/log/position.ts';
import type { PostgresServer } from '../servers/index.ts';
import { sluice } from './cli.ts';
import type { FaultRun } from './fault-run.ts';
import { slotOf } from './postgres-fault-source.ts';

/** Up to where the server may forget; null: there is no slot. */
export async function confirmed(postgres: PostgresServer, connector: string): Promise<bigint | null> {
  const [row] = await postgres.query<{ lsn: string }>(
    `SELECT confirmed_flush_lsn::text AS lsn FROM pg_replication_slots WHERE slot_name = '${slotOf(connector)}'`,
  );
  return row === undefined ? null : parseLsn(row.lsn);
}

/** Process that holds the slot; 0: nobody. */
export async function holder(postgres: PostgresServer, connector: string): Promise<number> {
  const [row] = await postgres.query<{ pid: number | null }>(
    `SELECT active_pid AS pid FROM pg_replication_slots WHERE slot_name = '${slotOf(connector)}'`,
  );
  return row?.pid ?? 0;
}

export async function walEnd(postgres: PostgresServer): Promise<bigint> {
  const [row] = await postgres.query<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn');
  return parseLsn(row?.lsn ?? '') as bigint;
}

/** The stored offset. */
export async function stored(run: FaultRun, connector: string): Promise<bigint> {
  // A daemon that is just ending has the state still locked and answers no more.
  let answer = await sluice(['offsets', 'show', '--json', run.daemon.directory]);
  for (let attempt = 0; answer.exit !== 0 && attempt < 10; attempt++) {
    await sleep(200);
    answer = await sluice(['offsets', 'show', '--json', run.daemon.directory]);
  }
  const rows = JSON.parse(answer.stdout) as { connector: string; offset: { position: { lsn: string } } | null }[];
  return parseLsn(rows.find((row) => row.connector === connector)?.offset?.position.lsn ?? '') ?? 0n;
}

/**
 * I8: the connector has stopped with this error; afterwards neither the offset nor the slot moves, and the slot is not past the offset (I5) but where
 * `slotMoved` says that somebody else moved it. Answers with the remedy.
 */
export async function stopped(
  run: FaultRun,
  postgres: PostgresServer,
  connector: string,
  code: string,
  { slotMoved = false, timeoutMs = 30_000 } = {},
): Promise<string> {
  const { remedy } = await run.stopsWith(code, timeoutMs);
  const offset = await stored(run, connector);
  const slot = await confirmed(postgres, connector);
  if (slot !== null && !slotMoved) expect(slot <= offset, `slot ${formatLsn(slot)} past the offset ${formatLsn(offset)} (I5)`).toBe(true);
  await sleep(700);
  expect(await stored(run, connector), 'offset after the stop').toBe(offset);
  expect(await confirmed(postgres, connector), 'slot after the stop').toBe(slot);
  return remedy;
}

/** Carries out the `sluice` command that a remedy names, as it stands there; fails if there is none or the command line does not take it. */
export async function carryOut(run: FaultRun, remedy: string): Promise<void> {
  const command = /sluice (offsets \w+ --connector \S+ --from \w+)/.exec(remedy)?.[1];
  expect(command, `a command in: ${remedy}`).toBeDefined();
  const { exit, stderr } = await sluice([...(command as string).split(' '), run.daemon.directory]);
  expect([exit, stderr]).toEqual([0, '']);
}

/** SQL statements that a remedy names, up to the first word that is none. */
export function sqlOf(remedy: string): string[] {
  return [...remedy.matchAll(/(?:SELECT|CREATE|ALTER|DROP) [^;]*/g)].map(([statement]) => statement.trim());
}

/** The connector streams again after what a remedy said was done, and what is committed from now on arrives. */
export async function goesOn(run: FaultRun, connectors = 1): Promise<void> {
  run.resume();
  const before = run.streamed;
  run.daemon.start();
  await run.streams(before + connectors - 1);
  await run.committed(20);
  await run.pause();
  await run.caughtUp();
}
