import type pg from 'pg';
import { withinLimit } from './server.ts';

/** What is asked of a server for its preflight alone. */
export interface Vitals {
  /** By its clock, microseconds since the epoch. */
  readonly nowMicros: number;
  /** Of the session that asks. */
  readonly encrypted: boolean;
  /** The session has the settings that it asked for; a pooler drops them. */
  readonly hasSettings: boolean;
  /** Milliseconds; 0 = none, or the version knows none. */
  readonly transactionTimeoutMs: number;
  /** Seconds; 0 = never, or the version knows none. */
  readonly idleSlotTimeoutSeconds: number;
  readonly decodingMemoryKilobytes: number;
  /** Written to disk by decoding for the slot since the statistics began. */
  readonly spilledBytes: number;
  readonly slots: readonly SlotUse[];
  /** Attributes of the role, in the words of ALTER ROLE, that let it do more. */
  readonly attributes: readonly string[];
  /** Roles of the server's own that it is a member of and that let it write, or leave the database. */
  readonly memberships: readonly string[];
}

export interface SlotUse {
  readonly name: string;
  readonly active: boolean;
  /** Bytes of log that the server keeps for it. */
  readonly retained: number;
  /** Bytes that may still be written before it is lost; null = there is no limit. */
  readonly safe: number | null;
  readonly walStatus: string | null;
}

// `transaction_timeout` came with 17, `idle_replication_slot_timeout` with 18. A superuser is a member of everything.
const VITALS = `SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint::text AS now,
    COALESCE((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false) AS encrypted,
    current_setting('row_security') = 'off' AND current_setting('search_path') = 'pg_catalog' AS has_settings,
    COALESCE((SELECT setting::int FROM pg_settings WHERE name = 'transaction_timeout'), 0) AS transaction_timeout,
    COALESCE(extract(epoch FROM NULLIF(current_setting('idle_replication_slot_timeout', true), '')::interval), 0)::float8 AS idle_timeout,
    (SELECT setting::int FROM pg_settings WHERE name = 'logical_decoding_work_mem') AS work_mem,
    COALESCE((SELECT sum(spill_bytes) FROM pg_stat_replication_slots WHERE slot_name = $1), 0)::float8 AS spilled,
    (SELECT COALESCE(json_agg(json_build_object('name', s.slot_name, 'active', s.active, 'retained', GREATEST(0, pg_wal_lsn_diff(e.lsn, s.restart_lsn)),
        'safe', s.safe_wal_size, 'walStatus', s.wal_status) ORDER BY s.slot_name), '[]')
      FROM pg_replication_slots s, LATERAL (SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END AS lsn) e
      WHERE s.restart_lsn IS NOT NULL AND NOT s.temporary) AS slots,
    (SELECT array_remove(ARRAY[CASE WHEN rolcreatedb THEN 'CREATEDB' END, CASE WHEN rolcreaterole THEN 'CREATEROLE' END, CASE WHEN rolbypassrls THEN 'BYPASSRLS' END], NULL)
      FROM pg_roles WHERE rolname = current_user) AS attributes,
    ARRAY(SELECT r FROM unnest(ARRAY['pg_write_all_data', 'pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program']) r
      WHERE pg_has_role(current_user, r, 'MEMBER')) AS memberships`;

interface VitalsRow {
  now: string;
  encrypted: boolean;
  has_settings: boolean;
  transaction_timeout: number;
  idle_timeout: number;
  work_mem: number;
  spilled: number;
  slots: SlotUse[];
  attributes: string[];
  memberships: string[];
}

/** @param slot of the connector */
export async function readVitals(client: pg.Client, slot: string): Promise<Vitals> {
  const { rows } = await client.query<VitalsRow>(withinLimit(VITALS, [slot]));
  const row = rows[0] as VitalsRow;
  return {
    nowMicros: Number(row.now),
    encrypted: row.encrypted,
    hasSettings: row.has_settings,
    transactionTimeoutMs: row.transaction_timeout,
    idleSlotTimeoutSeconds: row.idle_timeout,
    decodingMemoryKilobytes: row.work_mem,
    spilledBytes: row.spilled,
    slots: row.slots,
    attributes: row.attributes,
    memberships: row.memberships,
  };
}
