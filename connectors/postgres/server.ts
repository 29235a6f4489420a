import type pg from 'pg';
import type { PostgresConfig } from './config.ts';
import { addressOf } from './config.ts';

/** What a server says of itself and of the session. */
export interface ServerFacts {
  /** server_version_num: 150018 is 15.18. */
  readonly version: number;
  readonly versionText: string;
  readonly standby: boolean;
  readonly walLevel: string;
  readonly database: string;
  readonly user: string;
  /** `host:port`, for messages. */
  readonly address: string;
  readonly superuser: boolean;
  /** The role may make publications in this database. */
  readonly mayCreate: boolean;
  readonly maxSlots: number;
  readonly usedSlots: number;
  /** Milliseconds; 0 = never. */
  readonly walSenderTimeoutMs: number;
  /** −1 = no limit. */
  readonly maxSlotWalKeepMegabytes: number;
  /** Physical slots that logical slots with failover wait for (17+); empty = not configured. */
  readonly synchronizedStandbySlots: string;
  /** The role sees what others do in the server's statistics. */
  readonly seesStatistics: boolean;
  /** Size of a file of the log. */
  readonly walSegmentBytes: number;
  readonly money: MoneyFacts;
}

/** What the database does with type money where a session does not say otherwise. */
export interface MoneyFacts {
  /** Digits after the point. */
  readonly digits: number;
  /** `lc_monetary`. */
  readonly locale: string;
}

const FACTS = `SELECT current_setting('server_version_num')::int AS version, current_setting('server_version') AS version_text, pg_is_in_recovery() AS standby,
    current_setting('wal_level') AS wal_level, current_database()::text AS database, current_user::text AS "user",
    (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser,
    pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS sees_statistics,
    has_database_privilege(current_database(), 'CREATE') AS may_create,
    current_setting('max_replication_slots')::int AS max_slots, (SELECT count(*)::int FROM pg_replication_slots) AS used_slots,
    (SELECT setting::int FROM pg_settings WHERE name = 'wal_sender_timeout') AS wal_sender_timeout,
    (SELECT setting::int FROM pg_settings WHERE name = 'max_slot_wal_keep_size') AS max_keep,
    COALESCE(current_setting('synchronized_standby_slots', true), '') AS standby_slots,
    pg_size_bytes(current_setting('wal_segment_size'))::int AS segment_bytes, current_setting('lc_monetary') AS monetary, ('x' || encode(cash_send(1::money), 'hex'))::bit(64)::bigint::text AS money_unit`;

interface FactsRow {
  version: number;
  version_text: string;
  standby: boolean;
  wal_level: string;
  database: string;
  user: string;
  superuser: boolean;
  sees_statistics: boolean;
  may_create: boolean;
  max_slots: number;
  used_slots: number;
  wal_sender_timeout: number;
  max_keep: number;
  standby_slots: string;
  segment_bytes: number;
  monetary: string;
  /** How 1 is stored: 1 with as many zeros as there are digits after the point. */
  money_unit: string;
}

/** The connection must have been made with `ownMoney`. */
export async function readServer(client: pg.Client, config: PostgresConfig): Promise<ServerFacts> {
  const { rows } = await client.query<FactsRow>(FACTS);
  const row = rows[0] as FactsRow;
  const { host, port } = addressOf(config);
  return {
    version: row.version,
    versionText: row.version_text,
    standby: row.standby,
    walLevel: row.wal_level,
    database: row.database,
    user: row.user,
    address: host.startsWith('/') ? host : `${host}:${port}`,
    superuser: row.superuser,
    mayCreate: row.may_create,
    maxSlots: row.max_slots,
    usedSlots: row.used_slots,
    walSenderTimeoutMs: row.wal_sender_timeout,
    maxSlotWalKeepMegabytes: row.max_keep,
    synchronizedStandbySlots: row.standby_slots,
    seesStatistics: row.sees_statistics,
    walSegmentBytes: row.segment_bytes,
    money: { digits: row.money_unit.length - 1, locale: row.monetary },
  };
}

/** What IDENTIFY_SYSTEM answers on a replication connection (manual, 55.4): asking is how the right to replicate is tried. */
export interface SystemIdentity {
  readonly systemId: string;
  readonly timeline: string;
  /** End of the flushed log as text. */
  readonly logEnd: string;
}

export async function identifySystem(replication: pg.Client): Promise<SystemIdentity> {
  const { rows } = await replication.query<{ systemid: string; timeline: number; xlogpos: string }>(withinLimit('IDENTIFY_SYSTEM'));
  const row = rows[0] as { systemid: string; timeline: number; xlogpos: string };
  return { systemId: row.systemid, timeline: String(row.timeline), logEnd: row.xlogpos };
}

/** A quick question: where no answer comes, the connection is dead although nobody said so. */
export function withinLimit(text: string, values: unknown[] = []): pg.QueryConfig & { query_timeout: number } {
  return { text, values, query_timeout: 10_000 };
}
