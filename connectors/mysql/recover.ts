import { type Position, type RecoverOptions, SluiceError, type SourceContext } from '#plugin';
import { Client } from './client.ts';
import type { MysqlConfig } from './config.ts';
import { asSluiceError } from './connection-error.ts';
import { recoverUnsafe } from './errors.ts';
import { setBefore } from './log/order.ts';
import { type LogPosition, NO_PROOF, parseGtids, placeOfNameless, type System } from './log/position.ts';
import { readServer } from './server.ts';

/**
 * The offset to store when the state was lost: up to the last transaction that stands in the sink. The log is asked what stands before it; of MariaDB's one GTID
 * says that if there is one domain. Changes nothing on the server.
 */
export async function recoverPosition(
  config: MysqlConfig,
  system: System,
  context: SourceContext,
  { from, lastTransaction }: RecoverOptions,
  signal: AbortSignal,
): Promise<Position> {
  const { connector } = context;
  const refuse = (why: string): never => {
    throw new SluiceError(recoverUnsafe, { connector, why });
  };
  if (from === 'slot') refuse('these servers have no slots; use --from sink');
  if (lastTransaction === null) return refuse('the sink does not tell its last transaction');
  const client = await Client.connect(config, context.runtime, signal);
  try {
    const server = await readServer(client, config, system);
    // The last transaction itself may stand in the sink in part: it comes once more, and is skipped there.
    const place = system === 'mysql' ? placeOfNameless(lastTransaction) : null;
    if (place !== null) {
      if (place.server !== server.identity) refuse(`${lastTransaction} is no transaction of this server`);
      return { system, by: 'file', gtid: '', ...NO_PROOF, ...place };
    }
    const position = (gtid: string): LogPosition => ({ system, by: 'gtid', gtid, server: server.identity, file: '', pos: '0', ...NO_PROOF });
    if (system === 'mysql') {
      const asked = { client, config, runtime: context.runtime };
      const before = parseGtids(lastTransaction, system) === null ? null : await setBefore(lastTransaction, asked);
      return position(before ?? refuse(`${lastTransaction} does not stand in the log of this server`));
    }
    if (server.executed.includes(',')) refuse('the log has transactions of several domains, which one GTID does not order');
    const [domain, origin, sequence] = lastTransaction.split('-');
    if (sequence === undefined || server.executed.split('-')[0] !== domain) refuse(`${lastTransaction} is no transaction of this server`);
    return position(`${domain}-${origin}-${BigInt(sequence as string) - 1n}`);
  } catch (error) {
    signal.throwIfAborted();
    throw asSluiceError(error, { config, doing: 'the recovery of the offset' });
  } finally {
    client.close();
  }
}
