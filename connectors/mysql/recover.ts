import { type Position, type RecoverOptions, SluiceError, type SourceContext } from '#plugin';
import { Client } from './client.ts';
import type { MysqlConfig } from './config.ts';
import { asSluiceError } from './connection-error.ts';
import { recoverUnsafe } from './errors.ts';
import { type LogPosition, NO_PROOF, placeOfNameless, type System } from './log/position.ts';
import { readServer } from './server.ts';

/**
 * The offset to store when the state was lost: up to the last transaction that stands in the sink, which the log orders. That is possible where one GTID
 * says all that came before it: one source of transactions in MySQL, one domain in MariaDB. Changes nothing on the server.
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
  const client = await Client.connect(config, context.runtime.files, signal);
  try {
    const server = await readServer(client, config, system);
    const place = system === 'mysql' ? placeOfNameless(lastTransaction) : null;
    if (place !== null) {
      if (place.server !== server.identity) refuse(`${lastTransaction} is no transaction of this server`);
      // It may stand in the sink in part: it comes once more, and is skipped there.
      return { system, by: 'file', gtid: '', ...NO_PROOF, ...place };
    }
    const sources = server.executed.split(',');
    if (sources.length !== 1)
      refuse(`the log has transactions of several ${system === 'mysql' ? 'servers' : 'domains'}, which one GTID does not order`);
    const position = (gtid: string): LogPosition => ({ system, by: 'gtid', gtid, server: server.identity, file: '', pos: '0', ...NO_PROOF });
    if (system === 'mariadb') {
      const [domain, origin, sequence] = lastTransaction.split('-');
      if (sequence === undefined || server.executed.split('-')[0] !== domain) refuse(`${lastTransaction} is no transaction of this server`);
      // The last transaction itself may stand in the sink in part: it comes once more, and is skipped there.
      return position(`${domain}-${origin}-${BigInt(sequence as string) - 1n}`);
    }
    const [uuid, number] = lastTransaction.split(':');
    if (!/^\d+$/.test(number ?? '') || !server.executed.startsWith(`${uuid}:`)) refuse(`${lastTransaction} is no transaction of this server`);
    const last = BigInt(number as string) - 1n;
    return position(last === 0n ? '' : `${uuid}:1-${last}`);
  } catch (error) {
    signal.throwIfAborted();
    throw asSluiceError(error, { config, doing: 'the recovery of the offset' });
  } finally {
    client.close();
  }
}
