import type pg from 'pg';
import { type Logger, type Runtime, SluiceError, type SourceHealth, sleep } from '#plugin';
import { quoteIdentifier } from '../client.ts';
import { slotAwaitsPromotion, slotInUse, slotLost, slotUnusable } from '../errors.ts';
import { type ServerFacts, withinLimit } from '../server.ts';
import { parseLsn } from './position.ts';

/** A row of pg_replication_slots. Columns that a version does not have are null. */
export interface SlotState {
  readonly plugin: string | null;
  readonly type: string;
  readonly database: string | null;
  readonly temporary: boolean;
  readonly twoPhase: boolean;
  readonly activePid: number | null;
  /** application_name of the session that holds it; null = none, or not shown to this role. */
  readonly activeName: string | null;
  readonly confirmed: bigint | null;
  readonly confirmedText: string;
  /** `reserved`, `extended`, `unreserved`, `lost`. */
  readonly walStatus: string | null;
  /** 17+; on 16 `conflicting` is translated. */
  readonly invalidation: string | null;
  readonly failover: boolean;
  /** A copy that a standby keeps of the primary's slot (17+). */
  readonly synced: boolean;
}

interface SlotRow {
  slot: Record<string, string | boolean | number | null>;
  holder: string | null;
}

const SLOT = `SELECT to_jsonb(s) AS slot, (SELECT a.application_name FROM pg_stat_activity a WHERE a.pid = s.active_pid) AS holder
  FROM pg_replication_slots s WHERE s.slot_name = $1`;

/** The slot as it stands, or null. */
export async function readSlot(client: pg.Client, name: string): Promise<SlotState | null> {
  const { rows } = await client.query<SlotRow>(SLOT, [name]);
  const row = rows[0];
  if (row === undefined) return null;
  const { slot } = row;
  const confirmed = typeof slot['confirmed_flush_lsn'] === 'string' ? slot['confirmed_flush_lsn'] : '';
  return {
    plugin: (slot['plugin'] as string | null) ?? null,
    type: String(slot['slot_type']),
    database: (slot['database'] as string | null) ?? null,
    temporary: slot['temporary'] === true,
    twoPhase: slot['two_phase'] === true,
    activePid: (slot['active_pid'] as number | null) ?? null,
    activeName: row.holder,
    confirmed: parseLsn(confirmed),
    confirmedText: confirmed,
    walStatus: (slot['wal_status'] as string | null) ?? null,
    invalidation: (slot['invalidation_reason'] as string | null) ?? (slot['conflicting'] === true ? 'conflict with recovery' : null),
    failover: slot['failover'] === true,
    synced: slot['synced'] === true,
  };
}

/** What is wrong with a slot for good, whoever holds it; null = it can be used. */
export function slotProblem(name: string, slot: SlotState, server: ServerFacts, connector: string): SluiceError | null {
  const unusable = (detail: string): SluiceError => new SluiceError(slotUnusable, { slot: name, detail });
  if (slot.type !== 'logical') return unusable(`it is a ${slot.type} slot`);
  if (slot.plugin !== 'pgoutput') return unusable(`its plug-in is ${slot.plugin}, not pgoutput`);
  if (slot.database !== server.database) return unusable(`it belongs to database "${slot.database}"`);
  if (slot.temporary) return unusable('it is temporary: it ends with the session that made it');
  if (slot.twoPhase) return unusable('it decodes prepared transactions (two_phase)');
  // In the middle of a failover the address may lead to the standby before it is promoted: that passes.
  if (slot.synced && server.standby) return new SluiceError(slotAwaitsPromotion, { slot: name, address: server.address });
  // wal_status stays `lost` when the log was removed; other reasons (17+) leave the log in place, but the slot is as dead.
  if (slot.walStatus === 'lost' || slot.invalidation !== null) {
    const detail = slot.invalidation ?? 'the log it needs was removed';
    return new SluiceError(slotLost, {
      slot: name,
      detail,
      position: slot.confirmedText === '' ? 'the position of the slot' : slot.confirmedText,
      connector,
    });
  }
  if (slot.confirmed === null) return unusable('it is still being made');
  return null;
}

export interface SlotWork {
  /** A query connection. */
  readonly client: pg.Client;
  readonly name: string;
  readonly server: ServerFacts;
  readonly applicationName: string;
  readonly runtime: Runtime;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/**
 * Makes sure that nobody holds the slot. A session of this data directory that outlived its process (a half-open link) is ended; another's is
 * an error that is tried again. Throws SLUICE_PG_SLOT_IN_USE.
 */
export async function freeSlot(work: SlotWork, slot: SlotState): Promise<void> {
  let pid = slot.activePid;
  let holder = slot.activeName;
  for (let attempt = 0; pid !== null; attempt++) {
    // Ending a session takes the server a moment; five seconds are its own longest pause between looks at the socket.
    if (holder !== work.applicationName || attempt >= 50) {
      const who = holder === null || holder === '' ? `process ${pid}` : `process ${pid}, application "${holder}"`;
      throw new SluiceError(slotInUse, { slot: work.name, holder: who, pid });
    }
    if (attempt === 0) {
      work.log.info('Ending a session that an earlier run of this connector left behind.', { slot: work.name, pid });
      await work.client.query('SELECT pg_terminate_backend($1)', [pid]);
    }
    await sleep(work.runtime, 100, work.signal);
    const now = await readSlot(work.client, work.name);
    pid = now?.activePid ?? null;
    holder = now?.activeName ?? holder;
  }
}

/** Drops a slot that is lost: nothing can be read from it any more. */
export async function dropSlot({ client, name, log }: SlotWork): Promise<void> {
  await client.query(withinLimit('SELECT pg_drop_replication_slot($1)', [name]));
  log.info(`Slot "${name}", which the server had invalidated, was dropped.`);
}

/** `object_in_use`. */
const IN_USE = '55006';
const RELEASE_ATTEMPTS = 50;

/** Drops a slot whose session of ours was ended just now, which takes the server a moment. None of that name: it is gone already. */
export async function releaseSlot({ client, name, runtime }: Pick<SlotWork, 'client' | 'name' | 'runtime'>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await client.query(withinLimit('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1', [name]));
      return;
    } catch (error) {
      if ((error as { code?: string }).code !== IN_USE || attempt === RELEASE_ATTEMPTS) throw error;
      await sleep(runtime, 100);
    }
  }
}

interface Blocker {
  pid: number;
  seconds: number | null;
  prepared: string | null;
}

// pg_blocking_pids answers 0 for a prepared transaction. The age of another role's transaction is hidden without pg_read_all_stats.
const BLOCKERS = `SELECT b.pid, floor(extract(epoch FROM clock_timestamp() - COALESCE(a.xact_start, p.prepared)))::int AS seconds, p.gid AS prepared
  FROM unnest(pg_blocking_pids($1)) AS b(pid)
  LEFT JOIN pg_stat_activity a ON a.pid = b.pid AND b.pid <> 0
  LEFT JOIN LATERAL (SELECT gid, prepared FROM pg_prepared_xacts WHERE b.pid = 0 ORDER BY prepared LIMIT 1) p ON true`;

/**
 * Creates the slot on the replication connection and returns the position from which it decodes, and, if asked to export it, the name of the snapshot that shows
 * everything before that position: others may take it until the connection is used again. Waits for every transaction that is open now
 * (manual, 47.2): says which, by process and age. On 17 and later with failover, which costs nothing until standbys are set up to take it over.
 * An abort cancels the statement; the server then drops the half-made slot.
 */
export async function createSlot(
  work: SlotWork,
  replication: pg.Client,
  exports: boolean,
): Promise<{ readonly start: bigint; readonly snapshot: string | null }> {
  const { client, name, server, signal } = work;
  const failover = server.version >= 170000 && !server.standby ? ', FAILOVER true' : '';
  const old = exports ? 'EXPORT_SNAPSHOT' : 'NOEXPORT_SNAPSHOT';
  const options = server.version >= 150000 ? `(SNAPSHOT '${exports ? 'export' : 'nothing'}'${failover})` : old;
  const { processID: pid } = replication as unknown as { processID: number };
  const done = new AbortController();
  const watching = watchCreation(work, pid, done.signal);
  const cancel = (): void => void client.query('SELECT pg_cancel_backend($1)', [pid]).catch(() => {});
  signal.addEventListener('abort', cancel, { once: true });
  try {
    const { rows } = await replication.query<{ consistent_point: string; snapshot_name: string | null }>(
      `CREATE_REPLICATION_SLOT ${quoteIdentifier(name)} LOGICAL pgoutput ${options}`,
    );
    return { start: parseLsn(rows[0]?.consistent_point ?? '') ?? 0n, snapshot: rows[0]?.snapshot_name ?? null };
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    done.abort();
    signal.removeEventListener('abort', cancel);
    await watching;
  }
}

/** Says, every ten seconds, what the creation of the slot waits for. Resolves when `done`; never throws. */
async function watchCreation(work: SlotWork, pid: number, done: AbortSignal): Promise<void> {
  try {
    for (let waitedMs = 1_000; ; waitedMs += 10_000) {
      await sleep(work.runtime, waitedMs === 1_000 ? 1_000 : 10_000, done);
      const { rows } = await work.client.query<Blocker>(BLOCKERS, [pid]);
      const named = rows.map(({ pid: blocker, seconds, prepared }) => {
        const age = seconds === null ? '' : ` (open for ${seconds} s)`;
        return prepared === null ? `process ${blocker}${age}` : `prepared transaction ${prepared}${age}`;
      });
      const remedy = work.server.standby
        ? 'SELECT pg_log_standby_snapshot() on the primary lets a standby go on.'
        : 'End them, or wait: SELECT pg_terminate_backend(pid); ROLLBACK PREPARED …';
      work.log.warn(`Creating slot "${work.name}" waits for ${named.length === 0 ? 'the server' : `older transactions: ${named.join(', ')}`}.`, {
        code: 'SLUICE_PG_SLOT_WAITS',
        remedy,
      });
    }
  } catch {
    // Done, or the look itself failed: the creation goes on without it.
  }
}

interface Observed {
  wal_status: string | null;
  lag: string | null;
  retained: string | null;
  safe: string | null;
  log_end: string | null;
}

// What another walsender's client has replayed; those of logical slots replay nothing. Without pg_monitor the positions of others are null.
const STANDBYS = `SELECT max(pg_wal_lsn_diff(e.lsn, r.replay_lsn))::text AS lag
  FROM pg_stat_replication r,
    LATERAL (SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END AS lsn) e
  WHERE r.pid NOT IN (SELECT active_pid FROM pg_replication_slots WHERE slot_type = 'logical' AND active_pid IS NOT NULL)`;

/** Bytes of log that the standby furthest behind has not replayed; null: there is none, or the role may not see it. */
export async function observeStandbys(client: pg.Client): Promise<number | null> {
  const { rows } = await client.query<{ lag: string | null }>(withinLimit(STANDBYS));
  return bytesOf(rows[0]?.lag ?? null);
}

// On a standby the log's end is what it has replayed: nothing later can be decoded there.
const OBSERVE = `SELECT s.wal_status, pg_wal_lsn_diff(e.lsn, s.confirmed_flush_lsn)::text AS lag, pg_wal_lsn_diff(e.lsn, s.restart_lsn)::text AS retained,
    s.safe_wal_size::text AS safe, pg_wal_lsn_diff(e.lsn, '0/0')::text AS log_end
  FROM pg_replication_slots s,
    LATERAL (SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END AS lsn) e
  WHERE s.slot_name = $1`;

/** How the slot fares: bytes of log not yet acknowledged, and bytes that the server keeps for it. */
export async function observeSlot(client: pg.Client, name: string): Promise<Omit<SourceHealth, 'connected'>> {
  const { rows } = await client.query<Observed>(withinLimit(OBSERVE, [name]));
  const row = rows[0];
  if (row === undefined) return { lagBytes: null, retainedBytes: null, slotState: null };
  const [retainedBytes, safeBytes] = [bytesOf(row.retained), bytesOf(row.safe)];
  const freeShare = retainedBytes === null || safeBytes === null ? null : safeBytes / Math.max(1, safeBytes + retainedBytes);
  return { lagBytes: bytesOf(row.lag), endBytes: bytesOf(row.log_end), retainedBytes, safeBytes, freeShare, slotState: row.wal_status };
}

function bytesOf(text: string | null): number | null {
  return text === null ? null : Math.max(0, Number(text));
}
