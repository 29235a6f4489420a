import type { Finding, SluiceError, SourceContext, SourcePreflight } from '#plugin';
import { Client } from './client.ts';
import { type MysqlConfig, serverIdOf } from './config.ts';
import { asSluiceError, grantSql } from './connection-error.ts';
import type { System } from './log/position.ts';
import { privilegeProblem, readServer, type ServerFacts, settingProblems } from './server.ts';
import { signalTableProblem } from './snapshot/signal-table.ts';
import { matchTables } from './tables.ts';

const DAY_SECONDS = 86_400;

/** Everything that can be said before the log is read, at once. Changes nothing on the server. Throws only for what makes checking impossible. */
export async function preflightMysql(config: MysqlConfig, system: System, context: SourceContext, signal: AbortSignal): Promise<SourcePreflight> {
  const client = await Client.connect(config, context.runtime.files, signal);
  try {
    const server = await readServer(client, config, system);
    const problems = settingProblems(server, config);
    const privilege = await privilegeProblem(client, config);
    if (privilege !== null) problems.push(privilege);
    const matched = await matchTables(client, config, server);
    problems.push(...matched.problems);
    const { signalTable } = config.snapshot;
    const unfit = signalTable === undefined ? null : await signalTableProblem(client, signalTable);
    if (unfit !== null) problems.push(unfit);
    const findings = [...problems.map(asFinding), ...matched.findings, ...serverFindings(config, server, context)];
    return { findings, tables: matched.outlines };
  } catch (error) {
    signal.throwIfAborted();
    throw asSluiceError(error, { config, doing: 'the preflight' });
  } finally {
    client.close();
  }
}

function asFinding(error: SluiceError): Finding {
  const finding = { severity: 'error', code: error.code, message: error.message, remedy: error.remedy } as const;
  return error.table === undefined ? finding : { ...finding, table: error.table };
}

function serverFindings(config: MysqlConfig, server: ServerFacts, context: SourceContext): Finding[] {
  const findings: Finding[] = [];
  const id = serverIdOf(config, context.connector, context.instance);
  if (String(id) === server.settings['server_id']) {
    findings.push({
      severity: 'error',
      code: 'SLUICE_MYSQL_SERVER_ID_OWN',
      message: `The server id ${id} of this connector is that of the server itself.`,
      remedy: 'Set "serverId" to another number.',
    });
  }
  findings.push({
    severity: 'info',
    code: 'SLUICE_MYSQL_GRANTS',
    message: `The connector reads the log under server id ${id}; these grants are all that it needs.`,
    remedy: grantSql(config),
  });
  if (config.includeQuery) findings.push(...queryFindings(server));
  if (!server.hasGtids) {
    findings.push({
      severity: 'warning',
      code: 'SLUICE_MYSQL_PLACES',
      message: `The server writes transactions without GTIDs (gtid_mode = ${server.settings['gtid_mode'] ?? ''}): the log is read by file and position, and cannot be gone on with at another server.`,
      remedy: 'For failovers turn GTIDs on step by step (manual of MySQL, 19.1.4.2), and enforce_gtid_consistency with them.',
    });
  }
  const kept = Number(server.settings['binlog_expire_logs_seconds'] ?? 0);
  if (kept > 0 && kept < DAY_SECONDS) {
    findings.push({
      severity: 'warning',
      code: 'SLUICE_MYSQL_SHORT_LOG',
      message: `The server keeps its log for ${kept} s: a connector that is down for longer cannot go on.`,
      remedy: 'SET GLOBAL binlog_expire_logs_seconds = 604800',
    });
  }
  return findings;
}

/** With `includeQuery`: the server, or sessions that do not set it for themselves, leave the statements out of the log. */
function queryFindings({ system, settings }: ServerFacts): Finding[] {
  const name = system === 'mysql' ? 'binlog_rows_query_log_events' : 'binlog_annotate_row_events';
  if (settings[name] === 'ON') return [];
  return [
    {
      severity: 'warning',
      code: 'SLUICE_MYSQL_NO_QUERY',
      message: `The server does not log the statements that change rows (${name} is ${settings[name] ?? 'not there'}): "source.query" stays null.`,
      remedy: `SET GLOBAL ${name} = ON, or leave "includeQuery" out.`,
    },
  ];
}
