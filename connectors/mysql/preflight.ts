import {
  byteText,
  clockGap,
  errorFinding,
  type Finding,
  findingOf,
  SluiceError,
  type SourceContext,
  type SourcePreflight,
  type StoredPosition,
} from '#plugin';
import { Client } from './client.ts';
import type { MysqlConfig } from './config.ts';
import { asSluiceError } from './connection-error.ts';
import { positionUnreadable } from './errors.ts';
import { clockSkew, nearPurge } from './findings.ts';
import { goOn } from './log/history.ts';
import { readPosition, type System } from './log/position.ts';
import { serverFindings } from './preflight-server.ts';
import { bytesBehind, keptSeconds, logStatus, privilegeProblem, readServer, type ServerFacts, settingProblems } from './server.ts';
import { signalTableProblem } from './snapshot/signal-table.ts';
import { matchTables } from './tables.ts';
import { readVitals } from './vitals.ts';

const WEEK_SECONDS = 604_800;
/** A setting that whoever reads the log only gains by, and that holds at once for all. */
const HARMLESS = "SET GLOBAL binlog_row_metadata = 'FULL'";

/** Everything that can be said before the log is read, at once. Changes nothing on the server. Throws only for what makes checking impossible. */
export async function preflightMysql(
  config: MysqlConfig,
  system: System,
  context: SourceContext,
  signal: AbortSignal,
  stored?: StoredPosition,
): Promise<SourcePreflight> {
  const { runtime } = context;
  const client = await Client.connect(config, runtime, signal);
  try {
    const server = await readServer(client, config, system);
    const settings = settingProblems(server, config);
    const privilege = await privilegeProblem(client, config);
    const matched = await matchTables(client, config, server);
    const { signalTable } = config.snapshot;
    const unfit = signalTable === undefined ? null : await signalTableProblem(client, signalTable);
    const asked = runtime.nowMicros();
    const vitals = await readVitals(client, config, server, runtime);
    const gap = clockGap(vitals.nowMicros, asked, runtime.nowMicros());
    const errors = [...(privilege === null ? [] : [privilege]), ...matched.problems, ...(unfit === null ? [] : [unfit])];
    const canRead = settings.length === 0 && privilege === null;
    const findings = [
      ...settings.map((problem) => settingFinding(problem, config, context)),
      ...errors.map((each) => errorFinding(each)),
      ...(stored !== undefined && canRead ? await storedFindings(client, config, server, context, stored) : []),
      ...matched.findings,
      ...serverFindings(config, server, vitals, context),
      ...(gap === null ? [] : [findingOf(clockSkew, gap)]),
    ];
    return { findings, tables: matched.outlines };
  } catch (error) {
    signal.throwIfAborted();
    throw asSluiceError(error, { config, doing: 'the preflight' });
  } finally {
    client.close();
  }
}

function settingFinding(problem: SluiceError, config: MysqlConfig, { runtime }: SourceContext): Finding {
  const finding = errorFinding(problem);
  if (!finding.remedy.startsWith(HARMLESS)) return finding;
  const apply = async (signal: AbortSignal): Promise<void> => {
    const client = await Client.connect(config, runtime, signal);
    try {
      await client.rows(HARMLESS, HARMLESS);
    } finally {
      client.close();
    }
  };
  return { ...finding, fix: { statement: HARMLESS, apply } };
}

/** Whether the log goes on where it was left, and for how much longer it will. */
async function storedFindings(
  client: Client,
  config: MysqlConfig,
  server: ServerFacts,
  { connector, runtime }: SourceContext,
  { position, isRead, savedMicros }: StoredPosition,
): Promise<Finding[]> {
  const from = readPosition(position, server.system);
  if (from === null) return [errorFinding(new SluiceError(positionUnreadable, { connector, system: server.system }))];
  if (!isRead) {
    try {
      await goOn(from, { client, config, runtime, connector, server, end: await logStatus(client, server.system) });
    } catch (error) {
      return [errorFinding(asSluiceError(error, { config, doing: 'whether the log goes on where it was left' }))];
    }
  }
  const seconds = keptSeconds(server);
  const age = Math.round((runtime.nowMicros() - savedMicros) / 1e6);
  if (seconds === 0 || age < seconds / 2 || from.file === '') return [];
  // A server on which nothing happens has nothing to lose.
  const behind = await bytesBehind(client, from);
  if (behind === null || behind === 0) return [];
  return [findingOf(nearPurge, { bytes: byteText(behind), age, seconds, enough: Math.max(WEEK_SECONDS, 4 * age) })];
}
