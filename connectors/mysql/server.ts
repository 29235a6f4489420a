/** What is asked of the server: who it is, how it writes its log, where that stands. */
import { SluiceError } from '#plugin';
import type { Client } from './client.ts';
import { addressOf, addressText, type MysqlConfig } from './config.ts';
import { grantSql } from './connection-error.ts';
import { noPrivilege, otherSystem, serverSetting } from './errors.ts';
import type { System } from './log/position.ts';

export interface ServerFacts {
  readonly system: System;
  /** `9.7.4`. */
  readonly version: string;
  /** For comparing: 9.7.4 → 90704. */
  readonly versionNumber: number;
  /** MySQL: its uuid. MariaDB, which has none that lasts: its server id. */
  readonly identity: string;
  readonly settings: Readonly<Record<string, string>>;
  /** The transactions that it has executed: where a stream begins that wants none of them. */
  readonly executed: string;
  /** All that it writes has GTIDs, and its log is sent by them. */
  readonly hasGtids: boolean;
}

/** A line of SHOW BINARY LOGS. */
export interface LogFile {
  readonly Log_name: string;
  readonly File_size: string | number;
}

/** Where the log of a server ends. */
export interface LogEnd {
  readonly file: string;
  readonly pos: string;
}

const SETTINGS = [
  'server_id',
  'server_uuid',
  'log_bin',
  'binlog_format',
  'binlog_row_image',
  'binlog_row_metadata',
  'binlog_row_value_options',
  'binlog_transaction_compression',
  'log_bin_compress',
  'gtid_mode',
  'binlog_rows_query_log_events',
  'binlog_annotate_row_events',
  'binlog_expire_logs_seconds',
  'binlog_expire_logs_auto_purge',
  'expire_logs_days',
  'log_replica_updates',
  'log_slave_updates',
  'innodb_native_foreign_keys',
  'gtid_executed',
  'gtid_binlog_pos',
];

/** Throws a SluiceError: also if the server is of the other system. */
export async function readServer(client: Client, config: MysqlConfig, system: System): Promise<ServerFacts> {
  const [row] = await client.rows<{ version: string }>('its version', 'SELECT VERSION() AS version');
  const version = row?.version ?? '';
  const actual: System = /mariadb/i.test(version) ? 'mariadb' : 'mysql';
  if (actual !== system) throw new SluiceError(otherSystem, { address: addressText(config), actual, expected: system });
  const rows = await client.rows<{ Variable_name: string; Value: string }>(
    'its settings',
    `SHOW GLOBAL VARIABLES WHERE Variable_name IN (${SETTINGS.map((name) => `'${name}'`).join(', ')})`,
  );
  const settings = Object.fromEntries(rows.map(({ Variable_name, Value }) => [Variable_name.toLowerCase(), Value]));
  const [, major = '0', minor = '0', patch = '0'] = /^(\d+)\.(\d+)\.(\d+)/.exec(version) ?? [];
  return {
    system,
    version: version.split('-')[0] as string,
    versionNumber: Number(major) * 10_000 + Number(minor) * 100 + Number(patch),
    identity: (system === 'mysql' ? settings['server_uuid'] : settings['server_id']) ?? '',
    settings,
    hasGtids: system === 'mariadb' || settings['gtid_mode'] === 'ON',
    executed: ((system === 'mysql' ? settings['gtid_executed'] : settings['gtid_binlog_pos']) ?? '').replace(/\s/g, ''),
  };
}

/** For how long it keeps its log; 0 = for ever. */
export function keptSeconds({ settings }: ServerFacts): number {
  const seconds = Number(settings['binlog_expire_logs_seconds'] ?? 0);
  return seconds > 0 ? seconds : Number(settings['expire_logs_days'] ?? 0) * 86_400;
}

/** Where the log ends. The statement was renamed in MySQL 8.2. */
export async function logStatus(client: Client, system: System): Promise<LogEnd> {
  const ask = (sql: string) => client.rows<{ File: string; Position: string }>('where its log ends', sql);
  const [row] = await (system === 'mysql'
    ? ask('SHOW BINARY LOG STATUS').catch((error: SluiceError) => {
        if (/syntax/i.test(error.message)) return ask('SHOW MASTER STATUS');
        throw error;
      })
    : ask('SHOW MASTER STATUS'));
  return { file: row?.File ?? '', pos: String(row?.Position ?? '0') };
}

/** The files of the log, the oldest first. */
export async function logFiles(client: Client): Promise<string[]> {
  return (await listFiles(client)).map(({ Log_name }) => Log_name);
}

/** The same, with their sizes. */
export function listFiles(client: Client): Promise<LogFile[]> {
  return client.rows('the files of its log', 'SHOW BINARY LOGS');
}

/** Bytes of the log behind a place; null where its file is no longer there. */
export async function bytesBehind(client: Client, { file, pos }: { readonly file: string; readonly pos: string }): Promise<number | null> {
  const files = await listFiles(client);
  const at = files.findIndex(({ Log_name }) => Log_name === file);
  if (at < 0) return null;
  const bytes = files.slice(at).reduce((sum, { File_size }) => sum + Number(File_size), 0);
  return Math.max(0, bytes - Number(pos));
}

/**
 * MariaDB: the last transaction of each domain and server that is whole in a file of the log, as the next file says in its beginning; null: there is no next one, or the file is gone.
 */
export async function wholeIn(client: Client, file: string): Promise<string | null> {
  const files = await client.rows<{ Log_name: string }>('the files of its log', 'SHOW BINARY LOGS');
  const next = files[files.findIndex(({ Log_name }) => Log_name === file) + 1];
  if (next === undefined || !files.some(({ Log_name }) => Log_name === file)) return null;
  const events = await client.rows<{ Event_type: string; Info: string }>(`the beginning of ${next.Log_name}`, 'SHOW BINLOG EVENTS IN ? LIMIT 5', [
    next.Log_name,
  ]);
  return events.find(({ Event_type }) => Event_type === 'Gtid_list')?.Info ?? null;
}

interface Demand {
  readonly name: string;
  readonly expected: string;
  readonly why: string;
  readonly remedy: string;
  /** Left out on the server: it has no such setting, and what it would turn off. */
  readonly absent?: 'fine';
}

const COMMON: readonly Demand[] = [
  {
    name: 'log_bin',
    expected: 'ON',
    why: 'without it the server writes no log',
    remedy: 'Start the server with log_bin, for example: [mysqld] log_bin = binlog',
  },
  {
    name: 'binlog_format',
    expected: 'ROW',
    why: 'else the log holds statements, not rows',
    remedy: "SET GLOBAL binlog_format = 'ROW', and set it in the server's configuration",
    absent: 'fine',
  },
  {
    name: 'binlog_row_image',
    expected: 'FULL',
    why: 'else rows are in the log in part',
    remedy: "SET GLOBAL binlog_row_image = 'FULL', and set it in the server's configuration",
  },
  {
    name: 'binlog_row_metadata',
    expected: 'FULL',
    why: 'else the log does not tell names, signs and character sets of the columns',
    remedy: "SET GLOBAL binlog_row_metadata = 'FULL', and set it in the server's configuration (MySQL 8.0.1 or later, MariaDB 10.5 or later)",
  },
];
const MYSQL: readonly Demand[] = [
  {
    name: 'binlog_row_value_options',
    expected: '',
    why: 'else changed JSON documents are in the log in part',
    remedy: "SET GLOBAL binlog_row_value_options = ''",
    absent: 'fine',
  },
  {
    name: 'binlog_transaction_compression',
    expected: 'OFF',
    why: 'compressed transactions are not read',
    remedy: 'SET GLOBAL binlog_transaction_compression = OFF',
    absent: 'fine',
  },
];
const MARIADB: readonly Demand[] = [
  {
    name: 'log_bin_compress',
    expected: 'OFF',
    why: 'compressed events are not read',
    remedy: 'SET GLOBAL log_bin_compress = OFF',
    absent: 'fine',
  },
];

/** Every setting that is not as it must be. */
export function settingProblems({ system, settings }: ServerFacts, config: MysqlConfig): SluiceError[] {
  return [...COMMON, ...(system === 'mysql' ? MYSQL : MARIADB)].flatMap(({ name, expected, why, remedy, absent }) => {
    const actual = settings[name];
    if (actual === undefined ? absent === 'fine' : actual.toUpperCase() === expected) return [];
    const parameters = { address: addressText(config), name, actual: actual ?? 'no such setting', expected: expected === '' ? "''" : expected };
    return [new SluiceError(serverSetting, { ...parameters, why, remedy })];
  });
}

/** Rights that reading the log needs, as either system names them in a list of grants. */
const RIGHTS: readonly (readonly [name: string, pattern: RegExp])[] = [
  ['REPLICATION SLAVE', /\b(ALL PRIVILEGES|REPLICATION SLAVE|REPLICATION REPLICA)\b/i],
  ['REPLICATION CLIENT', /\b(ALL PRIVILEGES|REPLICATION CLIENT|BINLOG MONITOR)\b/i],
];

/** What the account lacks for reading the log, by its own grants; null = nothing that is seen there (roles may bring it). */
export async function privilegeProblem(client: Client, config: MysqlConfig): Promise<SluiceError | null> {
  const rows = await client.rows<Record<string, string>>('its grants', 'SHOW GRANTS');
  const grants = rows.map((row) => Object.values(row)[0] ?? '');
  const hasRole = grants.some((grant) => !/ ON /.test(grant));
  const isGranted = (pattern: RegExp): boolean => grants.some((grant) => / ON \*\.\*/.test(grant) && pattern.test(grant));
  const missing = RIGHTS.filter(([, pattern]) => !isGranted(pattern)).map(([name]) => name);
  if (missing.length === 0 || hasRole) return null;
  const { user } = addressOf(config);
  return new SluiceError(noPrivilege, { user, address: addressText(config), missing: `it lacks ${missing.join(' and ')}`, sql: grantSql(config) });
}
