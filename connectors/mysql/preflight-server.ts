/** What is found of the server, the session and its account. Pure: everything was asked before. */
import { type Finding, findingOf, type SourceContext } from '#plugin';
import { addressOf, addressText, isLocal, type MysqlConfig, serverIdOf, tlsMode } from './config.ts';
import { grantSql } from './connection-error.ts';
import {
  balanced,
  endlessLog,
  excessGrants,
  grants,
  noQuery,
  notEncrypted,
  notVerified,
  places,
  replicaUnlogged,
  serverIdOwn,
  serverIdReplica,
  shortLog,
} from './findings.ts';
import { keptSeconds, type ServerFacts } from './server.ts';
import type { Vitals } from './vitals.ts';

const DAY_SECONDS = 86_400;

export function serverFindings(config: MysqlConfig, server: ServerFacts, vitals: Vitals, context: SourceContext): Finding[] {
  const findings: Finding[] = [];
  const serverId = serverIdOf(config, context.connector, context.instance);
  if (String(serverId) === server.settings['server_id']) findings.push(findingOf(serverIdOwn, { serverId }));
  if (vitals.replicaIds.includes(String(serverId))) findings.push(findingOf(serverIdReplica, { serverId }));
  findings.push(findingOf(grants, { serverId, sql: grantSql(config, vitals.account) }), ...excess(config, vitals));
  if (config.includeQuery) findings.push(...queryFindings(server));
  if (!server.hasGtids) findings.push(findingOf(places, gtidSteps(server)));
  findings.push(...logFindings(server));
  const setting = server.settings['log_replica_updates'] === undefined ? 'log_slave_updates' : 'log_replica_updates';
  if (vitals.isReplica && server.settings[setting] === 'OFF') findings.push(findingOf(replicaUnlogged, { setting }));
  const [first, second] = vitals.servers;
  if (first !== second) findings.push(findingOf(balanced, { address: addressText(config), first, second }));
  return [...findings, ...tlsFindings(config, vitals.encrypted)];
}

/** From one mode only the next may be set. */
const GTID_MODES = ['OFF', 'OFF_PERMISSIVE', 'ON_PERMISSIVE', 'ON'];

function gtidSteps({ settings }: ServerFacts): { readonly mode: string; readonly steps: string } {
  const mode = settings['gtid_mode'] ?? 'OFF';
  const consistency = ['WARN', 'ON'].map((value) => `SET GLOBAL enforce_gtid_consistency = ${value}`);
  const modes = GTID_MODES.slice(GTID_MODES.indexOf(mode) + 1).map((next) => `SET GLOBAL gtid_mode = ${next}`);
  return { mode, steps: [...consistency, ...modes].join('; ') };
}

function logFindings(server: ServerFacts): Finding[] {
  const seconds = keptSeconds(server);
  if (server.settings['binlog_expire_logs_auto_purge'] === 'OFF') {
    return [findingOf(endlessLog, { setting: 'binlog_expire_logs_auto_purge = OFF', remedy: 'SET GLOBAL binlog_expire_logs_auto_purge = ON' })];
  }
  if (seconds === 0) {
    return [findingOf(endlessLog, { setting: 'binlog_expire_logs_seconds = 0', remedy: 'SET GLOBAL binlog_expire_logs_seconds = 604800' })];
  }
  return seconds < DAY_SECONDS ? [findingOf(shortLog, { seconds })] : [];
}

/** With `includeQuery`: the server, or sessions that do not set it for themselves, leave the statements out of the log. */
function queryFindings({ system, settings }: ServerFacts): Finding[] {
  const name = system === 'mysql' ? 'binlog_rows_query_log_events' : 'binlog_annotate_row_events';
  return settings[name] === 'ON' ? [] : [findingOf(noQuery, { name, value: settings[name] ?? 'not there' })];
}

/** What the connection is worth, where it leaves this machine. */
function tlsFindings(config: MysqlConfig, encrypted: boolean): Finding[] {
  if (isLocal(addressOf(config).host)) return [];
  const [address, mode] = [addressText(config), tlsMode(config)];
  if (!encrypted) return [findingOf(notEncrypted, { address, mode })];
  if (mode === 'verify-full') return [];
  const what = mode === 'verify-ca' || config.tls.ca !== undefined ? 'the name in its certificate' : 'who answers';
  return [findingOf(notVerified, { address, mode, what })];
}

/** Rights of either system that cannot change anything, or that reading needs. */
const FINE =
  /^(USAGE|SELECT|SHOW DATABASES|SHOW VIEW|REPLICATION (SLAVE|CLIENT|REPLICA)|BINLOG MONITOR|(SLAVE|REPLICA) MONITOR|REPLICATION SLAVE ADMIN|REPLICATION MASTER ADMIN)$/i;

/** What nobody grants one by one. */
const MANY = 15;

/** With the statements that take it all away. */
function excess(config: MysqlConfig, { grants: lines, account }: Vitals): Finding[] {
  const rights: string[] = [];
  const sql: string[] = [];
  for (const line of lines) {
    const [, list, scope, rest = ''] = /^GRANT (.+?) ON (\S+) TO (.*)$/.exec(line) ?? [];
    if (list === undefined || scope === undefined || list === 'PROXY') continue;
    const over = list.split(/,\s*(?![^(]*\))/).filter((right) => !FINE.test(right.replace(/\s*\(.*\)$/, '')));
    // MySQL lists all that there are.
    if (scope === '*.*' && (over.includes('ALL PRIVILEGES') || over.length > MANY)) {
      const all = `REVOKE ALL PRIVILEGES, GRANT OPTION FROM ${account}; ${grantSql(config, account)}`;
      return [findingOf(excessGrants, { account, rights: 'all, or nearly all, on *.*', sql: all })];
    }
    if (/ WITH GRANT OPTION/.test(rest)) over.push('GRANT OPTION');
    if (over.length === 0) continue;
    rights.push(`${over.join(', ')} on ${scope}`);
    sql.push(`REVOKE ${over.join(', ')} ON ${scope} FROM ${account}`);
  }
  return rights.length === 0 ? [] : [findingOf(excessGrants, { account, rights: rights.join('; '), sql: sql.join('; ') })];
}
