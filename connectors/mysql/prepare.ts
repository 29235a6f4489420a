/** What is asked of the server before its log is read. */
import { type ReadOptions, SluiceError, type SourceContext, type WantedTable } from '#plugin';
import { Charsets } from './charset-tables.ts';
import { Client } from './client.ts';
import type { MysqlConfig } from './config.ts';
import { asSluiceError } from './connection-error.ts';
import { positionUnreadable, startedWithOutput } from './errors.ts';
import type { Here } from './log/here.ts';
import { goOn } from './log/history.ts';
import { type LogPosition, NO_PROOF, readPosition, type System } from './log/position.ts';
import { probeLog } from './log/probe.ts';
import { type LogEnd, logStatus, readServer, type ServerFacts, settingProblems } from './server.ts';
import type { TableName } from './snapshot/catalogue.ts';
import { snapshotPlace } from './snapshot/moment.ts';
import { demandSignalTable } from './snapshot/signal-table.ts';
import { wantedTables } from './snapshot/wanted.ts';
import { matchTables } from './tables.ts';

/** What is known before the log is read. */
export interface Prepared {
  readonly server: ServerFacts;
  /** Where its log ended. */
  readonly end: LogEnd;
  readonly from: LogPosition;
  readonly charsets: Charsets;
  /** Captured tables whose rows can be copied. */
  readonly names: readonly TableName[];
  readonly wanted: readonly WantedTable[];
}

/** Throws a SluiceError. */
export async function prepareLog(
  config: MysqlConfig,
  system: System,
  context: SourceContext,
  { from, sinkHoldsOutput }: ReadOptions,
  signal: AbortSignal,
): Promise<Prepared> {
  const { connector } = context;
  const client = await Client.connect(config, context.runtime, signal);
  try {
    const server = await readServer(client, config, system);
    // What the preflight found may have changed since.
    const [problem] = settingProblems(server, config);
    if (problem !== undefined) throw problem;
    const { outlines, problems } = await matchTables(client, config, server);
    if (problems[0] !== undefined) throw problems[0];
    if (from === null && sinkHoldsOutput) throw new SluiceError(startedWithOutput, { connector });
    if (config.snapshot.signalTable !== undefined) await demandSignalTable(client, config.snapshot.signalTable);
    const end = await logStatus(client, system);
    const names = outlines.map(({ catalog, name }) => ({ database: catalog, name, label: `${catalog}.${name}` }));
    const wanted = await wantedTables(client, config, names);
    const charsets = await Charsets.load(client, system === 'mariadb');
    const position = await positionOf(from, { client, config, runtime: context.runtime, connector, server, end });
    return { server, end, charsets, from: position, names, wanted };
  } catch (error) {
    signal.throwIfAborted();
    throw asSluiceError(error, { config, doing: 'what is asked before the log is read' });
  } finally {
    client.close();
  }
}

async function positionOf(from: ReadOptions['from'], here: Here): Promise<LogPosition> {
  const { client, server, end, connector } = here;
  const { system } = server;
  if (from !== null) {
    const known = readPosition(from, system);
    if (known === null) throw new SluiceError(positionUnreadable, { connector, system });
    return goOn(known, here);
  }
  const begun = { system, by: 'gtid', server: server.identity, ...NO_PROOF } as const;
  if (system === 'mariadb') return { ...begun, ...(await beginning(client)) };
  if (server.hasGtids) return { ...begun, gtid: server.executed, file: end.file, pos: '0' };
  const { created } = await probeLog(here.config, here.runtime, end);
  return { ...begun, by: 'file', gtid: server.executed, ...end, created };
}

/** MariaDB counts a transaction as written before it can be seen: reading begins where a view of now ends, so that copies miss nothing. */
async function beginning(client: Client): Promise<{ gtid: string; file: string; pos: string }> {
  await client.ask('START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY');
  const place = await snapshotPlace(client);
  await client.ask('ROLLBACK');
  const [row] = await client.ask<{ gtid: string | null }>('SELECT BINLOG_GTID_POS(?, CAST(? AS UNSIGNED)) AS gtid', [place.file, place.pos]);
  return { ...place, gtid: row?.gtid ?? '' };
}
