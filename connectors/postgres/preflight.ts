import type pg from 'pg';
import { type Finding, SluiceError, type SourceContext, type SourcePreflight } from '#plugin';
import { applicationName, connectClient, endClient } from './client.ts';
import { type PostgresConfig, slotName } from './config.ts';
import { asSluiceError } from './connection-error.ts';
import { noFreeSlot } from './errors.ts';
import { asideFindings, planCapture } from './log/capture.ts';
import { serverProblem } from './log/prepare.ts';
import { noted, remembered } from './log/remembered.ts';
import { readSlot, type SlotState, slotProblem } from './log/slot.ts';
import { readOutlines } from './outline.ts';
import { identifySystem, readServer, type ServerFacts } from './server.ts';

/**
 * Everything that can be said before the log is read, at once. Changes nothing on the server. Throws only for what makes checking impossible:
 * no connection, no catalog. What another client may give free again (a walsender, the slot) is no finding: reading waits for it.
 */
export async function preflightPostgres(config: PostgresConfig, context: SourceContext, signal: AbortSignal): Promise<SourcePreflight> {
  const connect = { applicationName: applicationName(context.connector, context.instance), files: context.runtime.files, signal };
  const client = await connectClient(config, { ...connect, ownMoney: true });
  try {
    const server = await readServer(client, config);
    const findings: Finding[] = [];
    const problem = serverProblem(server);
    if (problem !== null) findings.push(asFinding(problem));
    const right = await replicationProblem(config, connect);
    if (right !== null) findings.push(asFinding(right));
    const name = slotName(config, context.connector);
    const slot = await readSlot(client, name);
    findings.push(...slotFindings(name, slot, server, context.connector));
    const intent: unknown = await context.intent.get();
    const before = (intent as { slot?: unknown } | null)?.slot === name ? remembered(intent) : null;
    const request = {
      connector: context.connector,
      slot: name,
      slotExists: slot !== null,
      server,
      before,
      added: noted(intent).added,
      refusalOf: context.refusalOf,
    };
    const { matched, problems, plan, aside } = await planCapture(client, config, request);
    findings.push(...problems.map(asFinding), ...asideFindings(aside), ...matched.findings);
    // What concerns tables that cannot be captured anyway is said by them.
    if (problems.length === 0) findings.push(...plan.problems.map(asFinding));
    findings.push(...plan.findings, ...serverFindings(config, server));
    const published = matched.tables.filter(({ label }) => label !== config.snapshot.signalTable);
    return { findings, tables: await readOutlines(client, published, server) };
  } catch (error) {
    signal.throwIfAborted();
    throw asSluiceError(error, { config, doing: 'the preflight' });
  } finally {
    await endClient(client);
  }
}

/** A finding that stops the connector. */
function asFinding(error: SluiceError): Finding {
  const finding = { severity: 'error', code: error.code, message: error.message, remedy: error.remedy } as const;
  return error.table === undefined ? finding : { ...finding, table: error.table };
}

/** The right to replicate is tried: managed servers grant it by roles that no catalogue flag shows. */
async function replicationProblem(config: PostgresConfig, connect: Parameters<typeof connectClient>[1]): Promise<SluiceError | null> {
  let replication: pg.Client | null = null;
  try {
    replication = await connectClient(config, { ...connect, replication: true });
    await identifySystem(replication);
    return null;
  } catch (error) {
    connect.signal?.throwIfAborted();
    const typed = asSluiceError(error, { config, doing: 'IDENTIFY_SYSTEM', replication: true });
    // A walsender may become free, a server come back: that is waited for when the log is read.
    return typed.kind.retry === 'auto' ? null : typed;
  } finally {
    if (replication !== null) await endClient(replication);
  }
}

function slotFindings(name: string, slot: SlotState | null, server: ServerFacts, connector: string): Finding[] {
  if (slot === null) {
    if (server.usedSlots < server.maxSlots) return [];
    return [asFinding(new SluiceError(noFreeSlot, { address: server.address, limit: server.maxSlots }))];
  }
  const problem = slotProblem(name, slot, server, connector);
  if (problem !== null) return [asFinding(problem)];
  const findings: Finding[] = [];
  if (slot.walStatus === 'unreserved') {
    const message = `Slot "${name}" is about to be invalidated: it needs log that the server may remove at its next checkpoint.`;
    findings.push({
      severity: 'warning',
      code: 'SLUICE_PG_SLOT_UNRESERVED',
      message,
      remedy: 'ALTER SYSTEM SET max_slot_wal_keep_size = …; SELECT pg_reload_conf()',
    });
  }
  if (server.version >= 170000 && !slot.failover && !server.standby && server.synchronizedStandbySlots !== '') {
    const message = `Slot "${name}" does not move to a standby at a failover, though this server is set up for it (synchronized_standby_slots).`;
    findings.push({
      severity: 'warning',
      code: 'SLUICE_PG_SLOT_NO_FAILOVER',
      message,
      remedy: `While the connector is stopped, on a connection with replication=database: ALTER_REPLICATION_SLOT ${name} (FAILOVER true)`,
    });
  }
  return findings;
}

/** First minor release of each version without the loss of changes after ALTER PUBLICATION or ALTER TYPE beside running writes (release notes of 2025-05-08). */
const FIXED_MINORS: Readonly<Record<number, number>> = { 13: 21, 14: 18, 15: 13, 16: 9, 17: 5 };

function serverFindings(config: PostgresConfig, server: ServerFacts): Finding[] {
  const findings: Finding[] = [];
  const add = (severity: 'warning' | 'info', code: string, message: string, remedy: string): void =>
    void findings.push({ severity, code, message, remedy });
  const fixed = FIXED_MINORS[Math.floor(server.version / 10_000)];
  if (fixed !== undefined && server.version % 10_000 < fixed) {
    const message = `PostgreSQL ${server.versionText} can lose changes in logical decoding when a publication or type is altered beside running writes.`;
    add('warning', 'SLUICE_PG_MINOR_VERSION', message, `Upgrade to ${Math.floor(server.version / 10_000)}.${fixed} or later.`);
  }
  if (server.superuser) {
    add(
      'info',
      'SLUICE_PG_SUPERUSER',
      `Role "${server.user}" is a superuser, which is more than is needed.`,
      'CREATE ROLE sluice LOGIN REPLICATION; let the owner of the tables make the publication.',
    );
  }
  if (server.walSenderTimeoutMs === 0) {
    add(
      'info',
      'SLUICE_PG_WALSENDER_TIMEOUT',
      'The setting wal_sender_timeout is 0: the server never notices a dead client, and a fast shutdown waits for it without limit.',
      "ALTER SYSTEM SET wal_sender_timeout = '60s'; SELECT pg_reload_conf()",
    );
  }
  if (server.maxSlotWalKeepMegabytes < 0) {
    add(
      'info',
      'SLUICE_PG_UNLIMITED_WAL',
      'The setting max_slot_wal_keep_size is not limited: while Sluice is down the server keeps all of its log, until its disk is full.',
      'Watch the metric sluice_retained_log_bytes, or set a limit: past it the slot is lost.',
    );
  } else {
    add(
      'info',
      'SLUICE_PG_LIMITED_WAL',
      `The setting max_slot_wal_keep_size is ${server.maxSlotWalKeepMegabytes} MB: a slot that falls further behind is lost.`,
      'Raise it if Sluice may be down for longer.',
    );
  }
  if (config.snapshot.maxStandbyLag !== undefined && !server.seesStatistics) {
    const message = `Role "${server.user}" may not see how far standbys are: "snapshot.maxStandbyLag" holds nothing back.`;
    add('warning', 'SLUICE_PG_STANDBY_LAG_UNSEEN', message, `GRANT pg_monitor TO "${server.user}"`);
  }
  if (!config.heartbeat.enabled && !server.standby) {
    add(
      'warning',
      'SLUICE_PG_NO_HEARTBEAT',
      'Heartbeats are off: while the captured tables are idle in a busy database the server keeps more and more of its log.',
      'Set "heartbeat": {"enabled": true}.',
    );
  }
  return findings;
}
