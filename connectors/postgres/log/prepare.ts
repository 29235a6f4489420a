import type pg from 'pg';
import { type Position, type ReadOptions, SluiceError, type SourceContext, type WantedTable } from '#plugin';
import { applicationName, connectClient, destroyClient, endClient } from '../client.ts';
import { type PostgresConfig, publicationName, slotName } from '../config.ts';
import { asSluiceError } from '../connection-error.ts';
import {
  noFreeSlot,
  offsetAhead,
  offsetMissing,
  otherSystem,
  slotAhead,
  slotLost,
  slotMissing,
  standbyTooOld,
  storedPositionInvalid,
  timelineDiverged,
  versionTooOld,
  walLevel,
} from '../errors.ts';
import { identifySystem, readServer, type ServerFacts, type SystemIdentity, withinLimit } from '../server.ts';
import { wantedTables } from '../snapshot/wanted.ts';
import type { CapturedTable } from '../tables.ts';
import { type Capture, type NewTable, planCapture } from './capture.ts';
import { type Memberships, readMemberships, unpublishedTable } from './membership.ts';
import { commitLsnOf, formatLsn, type LogPosition, parseLsn, readPosition } from './position.ts';
import { preparePublications } from './publication.ts';
import { type Noted, noted, type Remembered, remembered, stillThere, withoutUnnamed } from './remembered.ts';
import { createSlot, dropSlot, freeSlot, readSlot, type SlotState, type SlotWork, slotProblem } from './slot.ts';
import { judgeTimeline, parseTimelineHistory } from './timeline.ts';

/** Everything that a replication session needs to begin. */
export interface PreparedLog {
  readonly slot: string;
  /** Publications to name in START_REPLICATION. */
  readonly publications: readonly string[];
  /** Where to begin: the stored offset, on the server's present timeline; or, without one, where the slot stands. */
  readonly from: LogPosition;
  /** The end of the server's log at this moment, as 64 bits. */
  readonly logEnd: bigint;
  readonly server: ServerFacts;
  /** What the publications hold of the captured tables. */
  readonly members: Memberships;
  readonly tables: readonly CapturedTable[];
  /** The same, as they are to be copied. */
  readonly wanted: readonly WantedTable[];
  /** New tables that are left out, and why; by `schema.name`. */
  readonly aside: ReadonlyMap<string, SluiceError>;
  /** The snapshot of `from`, if the slot was created just now and it was asked for: others may take it until it is released. */
  readonly exported: ExportedSnapshot | null;
  /** Whether a relation of the log is captured, by its name there: the publication may hold more (I2). */
  captures(schema: string, name: string): boolean;
}

export interface ExportedSnapshot {
  readonly name: string;
  /** Ends the connection that exports it. Throws nothing. */
  release(): Promise<void>;
}

/** The server can be read at all; problems that can be told from its settings. */
export function serverProblem(server: ServerFacts): SluiceError | null {
  const { address, versionText: version } = server;
  if (server.version < 140000) return new SluiceError(versionTooOld, { address, version });
  if (server.standby && server.version < 160000) return new SluiceError(standbyTooOld, { address, version });
  if (server.walLevel !== 'logical') return new SluiceError(walLevel, { address, value: server.walLevel });
  return null;
}

/**
 * Before each START_REPLICATION: checks the server against the stored offset, brings publication and slot into being or checks those that are
 * there, and says where to begin. Publication first, then slot (algorithms §5). Throws SluiceErrors; a gap is a stop (I8).
 */
export async function prepareLog(config: PostgresConfig, context: SourceContext, options: ReadOptions, signal: AbortSignal): Promise<PreparedLog> {
  const connect = { applicationName: applicationName(context.connector, context.instance), runtime: context.runtime, signal };
  const client = await connectClient(config, { ...connect, ownMoney: true });
  let replication: pg.Client | null = null;
  let kept = false;
  try {
    const server = await readServer(client, config);
    const problem = serverProblem(server);
    if (problem !== null) throw problem;
    replication = await connectClient(config, { ...connect, replication: true });
    const prepared = await prepare(config, context, options, { client, replication, server, signal });
    kept = prepared.exported !== null;
    return prepared;
  } catch (error) {
    signal.throwIfAborted();
    throw asSluiceError(error, { config, doing: 'the preparation of the log' });
  } finally {
    await Promise.all([endClient(client), replication === null || kept ? undefined : endClient(replication)]);
  }
}

interface Connections {
  readonly client: pg.Client;
  readonly replication: pg.Client;
  readonly server: ServerFacts;
  readonly signal: AbortSignal;
}

async function prepare(config: PostgresConfig, context: SourceContext, options: ReadOptions, connections: Connections): Promise<PreparedLog> {
  const { client, replication, server } = connections;
  const slot = slotName(config, context.connector);
  const publication = publicationName(config, context.connector);
  const system = await identify(config, replication);
  const stored = storedPosition(context.connector, options.from);
  const found: unknown = await context.intent.get();
  const history = storedPosition(context.connector, options.from ?? options.replaces ?? null);
  const wasRecovered = history !== null && isRecovered(found, history);
  const recovered = wasRecovered && stored !== null ? { recovered: stored.lsn } : {};
  // What an operator was told of the sink's content, and went on from all the same, is not held against the server again.
  const published = wasRecovered ? [] : options.published;
  if (history !== null) await checkHistory(context.connector, history, published, system, connections);
  const intent = { slot, publication, systemId: system.systemId, ...recovered };
  const ours = sameIntent(found, intent);
  // A lost slot of somebody else's, which the configuration names now, is not ours to drop.
  const { state, isGivenUp } = await usableSlot(slot, connections, context.connector, options.replaces !== undefined && ours);
  checkOffset(context.connector, slot, state, stored, options);
  // Of a log that is begun anew, too: what is new is new all the same.
  const before = ours && history !== null ? remembered(found) : null;
  const known = noted(ours ? found : null);
  const work = slotWork(slot, context, connections);
  const { capture, noting } = await publish(config, context, {
    intent,
    before,
    goesOn: stored !== null,
    known,
    slotExists: state !== null,
    client,
    server,
  });
  const { matched, plan, aside } = capture;
  let start = stored === null ? null : parseLsn(stored.lsn);
  let exported: ExportedSnapshot | null = null;
  if (state === null) {
    if (isGivenUp) await dropSlot(work);
    else if (server.usedSlots >= server.maxSlots) throw new SluiceError(noFreeSlot, { address: server.address, limit: server.maxSlots });
    const created = await createSlot(work, replication, options.holdsSnapshot === true);
    ({ start } = created);
    if (created.snapshot !== null) exported = { name: created.snapshot, release: async () => destroyClient(replication) };
    context.log.info(`Slot "${slot}" created at ${formatLsn(start)}; changes from here on are captured.`);
  } else {
    await freeSlot(work, state);
    if (start === null) {
      start = state.confirmed as bigint;
      context.log.info(
        `Slot "${slot}" ${ours ? 'was made by an earlier start of this connector' : 'existed already'}: it is used from its confirmed position ${formatLsn(start)}.`,
      );
    }
  }
  const members = await readMemberships(client, plan.names, matched.captures);
  const now = { ...noting, published: members, patterns: config.tables };
  if (JSON.stringify(now) !== JSON.stringify(found)) await context.intent.set(now);
  const lsn = formatLsn(start as bigint);
  const from: LogPosition = {
    lastCommit: stored?.lastCommit ?? null,
    lastCommitMicros: stored?.lastCommitMicros ?? null,
    lsn,
    timeline: system.timeline,
    systemId: system.systemId,
  };
  const { tables, captures } = matched;
  const wanted = await wantedTables(client, config, tables, { members, left: known.left, patterns: before?.patterns ?? null });
  return { slot, publications: plan.names, from, logEnd: parseLsn(system.logEnd) ?? 0n, server, members, tables, wanted, aside, exported, captures };
}

function slotWork(name: string, { connector, instance, runtime, log }: SourceContext, { client, server, signal }: Connections): SlotWork {
  return { client, name, server, applicationName: applicationName(connector, instance), runtime, log, signal };
}

/** The slot as it stands; `isGivenUp`: it is lost, and goes. */
async function usableSlot(
  slot: string,
  { client, server }: Connections,
  connector: string,
  mayGo: boolean,
): Promise<{ readonly state: SlotState | null; readonly isGivenUp: boolean }> {
  const state = await readSlot(client, slot);
  const problem = state === null ? null : slotProblem(slot, state, server, connector);
  if (problem === null) return { state, isGivenUp: false };
  if (problem.kind !== slotLost || !mayGo) throw problem;
  return { state: null, isGivenUp: true };
}

interface Publishing {
  readonly intent: { readonly slot: string };
  readonly before: Remembered | null;
  /** The log is read on from where it was. */
  readonly goesOn: boolean;
  readonly known: Noted;
  readonly slotExists: boolean;
  readonly client: pg.Client;
  readonly server: ServerFacts;
}

/** Brings the publications to what is to be captured now. `noting`: what is written down of it. */
async function publish(
  config: PostgresConfig,
  context: SourceContext,
  { intent, before, goesOn, known, slotExists, client, server }: Publishing,
): Promise<{ readonly capture: Capture; readonly noting: object }> {
  const { connector } = context;
  const capture = await planCapture(client, config, {
    connector,
    slot: intent.slot,
    slotExists,
    server,
    before,
    added: known.added,
    refusalOf: context.refusalOf,
  });
  const { matched, plan } = capture;
  if (capture.problems[0] !== undefined) throw capture.problems[0];
  if (before !== null && goesOn) await checkPublished(client, before.published, capture, connector);
  const still = stillThere(known, matched.exists);
  const noting = { ...intent, ...still, added: [...new Set([...still.added, ...plan.added])] };
  // What is made is written down before it is made, so that after a crash it is known for ours.
  if (plan.problems.length === 0 && (!slotExists || plan.statements.length > 0)) {
    // What is taken out of a publication now was not unpublished by somebody else.
    const last = before === null ? {} : { ...before, published: withoutUnnamed(before.published, matched.matches) };
    await context.intent.set({ ...noting, ...last });
  }
  await preparePublications(client, plan);
  for (const statement of plan.statements) {
    if (!statement.startsWith('LOCK')) context.log.info('The publication was changed.', { statement });
  }
  sayNew(context, capture.added);
  return { capture, noting };
}

/** I8: what was published of the captured tables before still is, and was all the while. */
async function checkPublished(client: pg.Client, before: Memberships, { plan, matched }: Capture, connector: string): Promise<void> {
  const now = await readMemberships(client, plan.names, matched.captures);
  const missed = await unpublishedTable(client, before, now, matched.captures, connector);
  if (missed !== null) throw missed;
}

function sayNew({ log, connector }: SourceContext, added: readonly NewTable[]): void {
  for (const { table, isMadeAnew } of added) {
    if (!isMadeAnew) log.info(`Table ${table.label} has come, and is captured from now on.`, { table: table.label });
    else {
      log.warn(
        `Another table has come under the name ${table.label}, and is captured from now on: rows that only the former one had stay where they were sent.`,
        {
          code: 'SLUICE_PG_TABLE_MADE_ANEW',
          table: table.label,
          remedy: `Delete there what the table does not have any more; connector ${connector} cannot tell what that is.`,
        },
      );
    }
  }
}

/** A stored offset, and the slot that it is read from. */
interface StoredAt {
  readonly connector: string;
  readonly slot: string;
  readonly state: SlotState | null;
  readonly position: Position;
  readonly system: SystemIdentity;
}

/** Why the log cannot be read on from a stored offset; null: it can. For those who do not read it. */
export async function storedProblem({ connector, slot, state, position, system }: StoredAt, connections: Connections): Promise<SluiceError | null> {
  try {
    const stored = storedPosition(connector, position);
    if (stored !== null) await checkHistory(connector, stored, [], system, connections);
    checkOffset(connector, slot, state, stored, { from: position, published: [], sinkHoldsOutput: false });
    return null;
  } catch (error) {
    if (error instanceof SluiceError) return error;
    throw error;
  }
}

async function identify(config: PostgresConfig, replication: pg.Client): Promise<SystemIdentity> {
  try {
    return await identifySystem(replication);
  } catch (error) {
    throw asSluiceError(error, { config, doing: 'IDENTIFY_SYSTEM', replication: true });
  }
}

function storedPosition(connector: string, position: Position | null): LogPosition | null {
  if (position === null) return null;
  const read = readPosition(position);
  if (read === null) throw new SluiceError(storedPositionInvalid, { connector });
  return read;
}

/** I8: the server is the one it was, and its log is a continuation of what was read and published. */
async function checkHistory(
  connector: string,
  stored: LogPosition,
  published: readonly string[],
  system: SystemIdentity,
  connections: Connections,
): Promise<void> {
  const foreign = published.find((id) => !id.startsWith(`${stored.systemId}/`));
  if (stored.systemId !== system.systemId || foreign !== undefined) {
    const expected = foreign === undefined ? stored.systemId : foreign.slice(0, foreign.indexOf('/'));
    throw new SluiceError(otherSystem, { address: connections.server.address, actual: system.systemId, expected, connector });
  }
  const read = parseLsn(stored.lsn) as bigint;
  const highest = highestCommit(published);
  const position = formatLsn(highest !== null && highest > read ? highest : read);
  if (stored.timeline !== system.timeline) {
    const history = await readHistory(connections.replication, system.timeline);
    const verdict = judgeTimeline(
      { timeline: stored.timeline, read, published: highest },
      { timeline: system.timeline, history: parseTimelineHistory(history) },
    );
    if (typeof verdict === 'object')
      throw new SluiceError(timelineDiverged, { actual: system.timeline, expected: stored.timeline, position, detail: verdict.gap, connector });
  }
  const end = parseLsn(system.logEnd) as bigint;
  // On a standby the end is what it has received: it may lag behind what was read elsewhere, and catches up.
  if (!connections.server.standby && (read > end || (highest !== null && highest >= end))) {
    throw new SluiceError(offsetAhead, { position, end: system.logEnd, connector });
  }
}

/** The highest commit LSN among transaction ids; null if there are none. */
function highestCommit(transactions: readonly string[]): bigint | null {
  let highest: bigint | null = null;
  for (const id of transactions) {
    const lsn = commitLsnOf(id);
    if (lsn !== null && (highest === null || lsn > highest)) highest = lsn;
  }
  return highest;
}

/** The first timeline has no history. The content comes as bytea before version 15, as text since. */
async function readHistory(replication: pg.Client, timeline: string): Promise<string> {
  if (timeline === '1') return '';
  const { rows } = await replication.query<{ content: string | Buffer }>(withinLimit(`TIMELINE_HISTORY ${Number(timeline)}`));
  const content = rows[0]?.content ?? '';
  return typeof content === 'string' ? content : content.toString('utf8');
}

/** I8: the slot still holds everything after the offset; without an offset nothing was published before. */
function checkOffset(connector: string, slot: string, state: SlotState | null, stored: LogPosition | null, options: ReadOptions): void {
  if (stored === null) {
    if (!options.sinkHoldsOutput) return;
    const hint =
      state === null
        ? `; the slot is gone too, so first: SELECT pg_create_logical_replication_slot('${slot}', 'pgoutput'), then --from slot: what came between is not read`
        : '';
    throw new SluiceError(offsetMissing, { connector, hint });
  }
  if (state === null) throw new SluiceError(slotMissing, { slot, position: stored.lsn, connector });
  if ((state.confirmed as bigint) > (parseLsn(stored.lsn) as bigint)) {
    throw new SluiceError(slotAhead, { slot, slotPosition: state.confirmedText, position: stored.lsn, connector });
  }
}

/** `sluice offsets recover` gave this offset, and nothing was saved since. */
function isRecovered(found: unknown, { lsn }: LogPosition): boolean {
  return (found as { recovered?: unknown } | null)?.recovered === lsn;
}

function sameIntent(found: unknown, intent: { slot: string; systemId: string }): boolean {
  if (typeof found !== 'object' || found === null) return false;
  const { slot, systemId } = found as { slot?: unknown; systemId?: unknown };
  return slot === intent.slot && systemId === intent.systemId;
}
