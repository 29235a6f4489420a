import type pg from 'pg';
import {
  clockGap,
  errorFinding,
  type Finding,
  type Fix,
  findingOf,
  SluiceError,
  type SourceContext,
  type SourcePreflight,
  type StoredPosition,
} from '#plugin';
import { applicationName, type ConnectOptions, connectClient, endClient } from './client.ts';
import { type PostgresConfig, slotName } from './config.ts';
import { asSluiceError } from './connection-error.ts';
import { noFreeSlot, pooler, slotInUse, versionTooOld } from './errors.ts';
import { clockSkew } from './findings.ts';
import { asideFindings, type Capture, planCapture } from './log/capture.ts';
import { serverProblem, storedProblem } from './log/prepare.ts';
import { changePublications, type PlannedFinding } from './log/publication.ts';
import { noted, remembered } from './log/remembered.ts';
import { readSlot, type SlotState, slotProblem } from './log/slot.ts';
import { readOutlines } from './outline.ts';
import { roleFindings } from './preflight-role.ts';
import { serverFindings, slotFindings, slotsFindings, tlsFindings } from './preflight-server.ts';
import { identifySystem, readServer, type ServerFacts, type SystemIdentity } from './server.ts';
import { readVitals, type Vitals } from './vitals.ts';

/** Of one preflight. */
interface Look {
  readonly client: pg.Client;
  readonly config: PostgresConfig;
  readonly context: SourceContext;
  readonly connect: ConnectOptions;
  readonly server: ServerFacts;
  readonly vitals: Vitals;
  readonly slotName: string;
  readonly slot: SlotState | null;
}

/**
 * Everything that can be said before the log is read, at once. Changes nothing on the server. Throws only for what makes checking impossible:
 * no connection, no catalog.
 */
export async function preflightPostgres(
  config: PostgresConfig,
  context: SourceContext,
  signal: AbortSignal,
  stored?: StoredPosition,
): Promise<SourcePreflight> {
  const connect = { applicationName: applicationName(context.connector, context.instance), runtime: context.runtime, signal };
  const client = await connectClient(config, { ...connect, ownMoney: true });
  try {
    const { runtime } = context;
    const server = await readServer(client, config);
    const problem = serverProblem(server);
    // It lacks what the questions below are about.
    if (problem?.kind === versionTooOld) return { findings: [errorFinding(problem)], tables: [] };
    const name = slotName(config, context.connector);
    const asked = runtime.nowMicros();
    const vitals = await readVitals(client, name);
    const gap = clockGap(vitals.nowMicros, asked, runtime.nowMicros());
    const findings = gap === null ? [] : [findingOf(clockSkew, gap)];
    const look: Look = { client, config, context, connect, server, vitals, slotName: name, slot: await readSlot(client, name) };
    if (problem !== null) findings.unshift(errorFinding(problem));
    findings.push(...sessionFindings(look), ...(await replicationFindings(look, stored)), ...ownSlotFindings(look));
    const { matched, problems, plan, aside } = await capture(look);
    findings.push(...problems.map((each) => errorFinding(each)), ...asideFindings(aside), ...matched.findings);
    // What concerns tables that cannot be captured anyway is said by them.
    if (problems.length === 0) findings.push(...plan.problems.map((each) => errorFinding(each)));
    findings.push(...plan.findings.map((each) => withFix(each, config, connect)));
    findings.push(...serverFindings(config, server, vitals, name), ...slotsFindings(name, vitals));
    const published = matched.tables.filter(({ label }) => label !== config.snapshot.signalTable);
    findings.push(...(await roleFindings(client, config, server, vitals, published)));
    return { findings, tables: await readOutlines(client, published, server) };
  } catch (error) {
    signal.throwIfAborted();
    throw asSluiceError(error, { config, doing: 'the preflight' });
  } finally {
    await endClient(client);
  }
}

async function capture({ client, config, context, server, slotName: name, slot }: Look): Promise<Capture> {
  const intent: unknown = await context.intent.get();
  const before = (intent as { slot?: unknown } | null)?.slot === name ? remembered(intent) : null;
  return planCapture(client, config, {
    connector: context.connector,
    slot: name,
    slotExists: slot !== null,
    server,
    before,
    added: noted(intent).added,
    refusalOf: context.refusalOf,
  });
}

/** A pooler that lets the connection through may still have dropped what it asked for. */
function sessionFindings({ config, server, vitals }: Look): Finding[] {
  const findings = tlsFindings(config, vitals.encrypted, server.address);
  if (vitals.hasSettings) return findings;
  const detail = 'the session does not have the settings that it asked for';
  return [errorFinding(new SluiceError(pooler, { address: server.address, detail })), ...findings];
}

/** The right to replicate is tried: managed servers grant it by roles that no catalogue flag shows. */
async function replicationFindings(look: Look, stored: StoredPosition | undefined): Promise<Finding[]> {
  const { config, connect } = look;
  let replication: pg.Client | null = null;
  try {
    replication = await connectClient(config, { ...connect, replication: true });
    const system = await identifySystem(replication);
    return stored === undefined || stored.isRead ? [] : await storedFindings(look, replication, system, stored);
  } catch (error) {
    connect.signal?.throwIfAborted();
    return [errorFinding(asSluiceError(error, { config, doing: 'IDENTIFY_SYSTEM', replication: true }))];
  } finally {
    if (replication !== null) await endClient(replication);
  }
}

/** Whether the log goes on where it was left. */
async function storedFindings(
  { client, context: { connector }, connect, server, slotName: slot, slot: state }: Look,
  replication: pg.Client,
  system: SystemIdentity,
  { position }: StoredPosition,
): Promise<Finding[]> {
  // Of a slot that cannot be used nothing else needs to be said.
  if (state !== null && slotProblem(slot, state, server, connector) !== null) return [];
  const connections = { client, replication, server, signal: connect.signal as AbortSignal };
  const problem = await storedProblem({ connector, slot, state, position, system }, connections);
  return problem === null ? [] : [errorFinding(problem)];
}

function ownSlotFindings({ slotName: name, slot, server, context, connect, vitals }: Look): Finding[] {
  if (slot === null) {
    if (server.usedSlots < server.maxSlots) return [];
    return [errorFinding(new SluiceError(noFreeSlot, { address: server.address, limit: server.maxSlots }))];
  }
  const problem = slotProblem(name, slot, server, context.connector);
  if (problem !== null) return [errorFinding(problem)];
  const { activePid: pid, activeName } = slot;
  const findings = slotFindings(name, slot, server, vitals);
  // A session of our own data directory is the daemon's, or one that it ends.
  if (pid === null || activeName?.startsWith(connect.applicationName) === true) return findings;
  const holder = activeName === null || activeName === '' ? `process ${pid}` : `process ${pid}, application "${activeName}"`;
  return [errorFinding(new SluiceError(slotInUse, { slot: name, holder, pid })), ...findings];
}

function withFix({ harmless, ...finding }: PlannedFinding, config: PostgresConfig, connect: ConnectOptions): Finding {
  if (harmless === undefined) return finding;
  const fix: Fix = {
    statement: harmless.statement,
    apply: async (signal) => {
      const client = await connectClient(config, { ...connect, signal });
      try {
        await changePublications(client, harmless.statements);
      } catch (error) {
        throw asSluiceError(error, { config, doing: 'the change of the publication' });
      } finally {
        await endClient(client);
      }
    },
  };
  return { ...finding, fix };
}
