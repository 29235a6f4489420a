import type pg from 'pg';
import { type RecoverOptions, SluiceError, type SourceContext } from '#plugin';
import { applicationName, connectClient, endClient } from '../client.ts';
import { type PostgresConfig, slotName } from '../config.ts';
import { asSluiceError } from '../connection-error.ts';
import { offsetAhead, otherSystem } from '../errors.ts';
import { identifySystem, readServer, type SystemIdentity } from '../server.ts';
import { recoverNoSlot, recoverNoTail } from './errors.ts';
import { commitLsnOf, formatLsn, type LogPosition, parseLsn } from './position.ts';
import { readSlot, type SlotState, slotProblem } from './slot.ts';

/**
 * The offset to store when the state was lost. The slot's confirmed position is always safe: what was acknowledged was durable in the sink before
 * (I5). `from: 'sink'` begins at the commit of the last transaction that stands there, if the slot is not past it: the server then sends that
 * transaction once more and nothing before it, and the sink skips it. Changes nothing on the server.
 */
export async function recoverPosition(
  config: PostgresConfig,
  context: SourceContext,
  options: RecoverOptions,
  signal: AbortSignal,
): Promise<LogPosition> {
  const connect = { applicationName: applicationName(context.connector, context.instance), runtime: context.runtime, signal };
  const client = await connectClient(config, { ...connect, ownMoney: true });
  let replication: pg.Client | null = null;
  try {
    const server = await readServer(client, config);
    replication = await connectClient(config, { ...connect, replication: true });
    const system = await identifySystem(replication);
    const name = slotName(config, context.connector);
    const slot = await readSlot(client, name);
    if (slot === null) throw new SluiceError(recoverNoSlot, { slot: name, connector: context.connector });
    const problem = slotProblem(name, slot, server, context.connector);
    if (problem !== null) throw problem;
    const lsn =
      options.from === 'slot' ? (slot.confirmed as bigint) : fromSink(context.connector, server.address, options.lastTransaction, slot, system);
    // The operator goes on from here, whatever was taken out of the publications before, and whatever stands in the sink of another history.
    const { published: _, ...intent } = ((await context.intent.get()) ?? {}) as { published?: unknown };
    await context.intent.set({ ...intent, recovered: formatLsn(lsn) });
    return { lsn: formatLsn(lsn), lastCommit: null, lastCommitMicros: null, timeline: system.timeline, systemId: system.systemId };
  } catch (error) {
    signal.throwIfAborted();
    throw asSluiceError(error, { config, doing: 'the recovery of the offset', replication: replication !== null });
  } finally {
    await Promise.all([endClient(client), replication === null ? undefined : endClient(replication)]);
  }
}

function fromSink(connector: string, address: string, lastTransaction: string | null, slot: SlotState, system: SystemIdentity): bigint {
  const commit = lastTransaction === null ? null : commitLsnOf(lastTransaction);
  if (lastTransaction === null || commit === null) throw new SluiceError(recoverNoTail, { connector });
  const expected = lastTransaction.slice(0, lastTransaction.indexOf('/'));
  if (expected !== system.systemId) throw new SluiceError(otherSystem, { address, actual: system.systemId, expected, connector });
  if (commit >= (parseLsn(system.logEnd) as bigint)) {
    throw new SluiceError(offsetAhead, { position: formatLsn(commit), end: system.logEnd, connector });
  }
  // Normally the slot stands just past that commit: it was acknowledged, and nothing captured came after it.
  const confirmed = slot.confirmed as bigint;
  if (commit > confirmed) return commit;
  return confirmed;
}
