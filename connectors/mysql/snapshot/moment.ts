/**
 * A transaction that shows one moment, and what of the log is part of it. No lock is taken: both servers tell enough to bound the moment from either side
 * (docs/decisions/0014).
 */
import { GtidSet } from '@vlasky/zongji';
import type { Position, Transaction } from '#plugin';
import type { Client } from '../client.ts';
import { isBefore } from '../log/place.ts';
import type { LogPosition, LogTransaction } from '../log/position.ts';
import { logStatus, type ServerFacts } from '../server.ts';
import type { Moment } from './view.ts';

const BEGIN = 'START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY';
const MICROS = 'CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS CHAR) AS micros';

/** How many transactions without a GTID the stream has read. */
export type Nameless = () => number;

/** Begins the transaction. `nameless` null: all that is read has GTIDs. Throws what the driver throws, SluiceErrors. */
export function beginMoment(client: Client, server: ServerFacts, nameless: Nameless | null): Promise<Moment> {
  return server.system === 'mysql' ? beginMysql(client, server, nameless) : beginMariadb(client, server);
}

/**
 * MySQL adds a transaction to its set of GTIDs once the engine has committed it: what the set had before the view began is part of it. And it writes a transaction to the
 * log before the engine commits it: what is part of the view stands before where the log ended afterwards.
 */
async function beginMysql(client: Client, { identity }: ServerFacts, nameless: Nameless | null): Promise<Moment> {
  const committed = nameless === null ? -1 : await committedOf(client, nameless);
  const [row] = await client.ask<{ gtids: string; micros: string }>(`SELECT @@GLOBAL.gtid_executed AS gtids, ${MICROS}`);
  await client.ask(BEGIN);
  const end = await logStatus(client, 'mysql');
  const executed = GtidSet.parse((row?.gtids ?? '').replace(/\s/g, ''));
  const shows = (transaction: Transaction): boolean => {
    const number = (transaction as LogTransaction).nameless;
    return number === null ? executed.contains(transaction.id) : number <= committed;
  };
  return { ...end, micros: Math.trunc(Number(row?.micros)), shows, passedBy: passed(identity, end) };
}

/**
 * Of the transactions without a GTID that this stream reads, up to which one the engine has committed all, and all that were read before it; −1: not even these. MySQL
 * counts those that it has begun to write to its log and not committed yet. They are committed in the order of the log, unless it was told otherwise, so that
 * only the last ones that were read can be among them.
 */
export async function committedOf(client: Client, nameless: Nameless): Promise<number> {
  const read = nameless();
  const [status] = await client.ask<{ Value: string }>("SHOW GLOBAL STATUS LIKE 'Ongoing_anonymous_transaction_count'");
  if (status === undefined) throw new RangeError('the server does not count the transactions that it commits');
  const [order] = await client.ask<{ isKept: string }>('SELECT CAST(@@GLOBAL.binlog_order_commits AS CHAR) AS isKept');
  const pending = Number(status.Value);
  if (pending === 0) return read;
  return order?.isKept === '1' ? Math.max(-1, read - pending) : -1;
}

/** MariaDB tells where in the log the view stands, to the byte. */
async function beginMariadb(client: Client, { identity }: ServerFacts): Promise<Moment> {
  await client.ask(BEGIN);
  const end = await snapshotPlace(client);
  const [row] = await client.ask<{ micros: string }>(`SELECT ${MICROS}`);
  return {
    ...end,
    micros: Math.trunc(Number(row?.micros)),
    shows: (transaction) => isBefore(placeOf(transaction), end),
    passedBy: passed(identity, end),
  };
}

/** Where the log begins that a view of now does not show (MariaDB). */
export async function snapshotPlace(client: Client): Promise<{ readonly file: string; readonly pos: string }> {
  const rows = await client.ask<{ Variable_name: string; Value: string }>("SHOW STATUS LIKE 'binlog_snapshot_%'");
  const values = new Map(rows.map(({ Variable_name, Value }) => [Variable_name.toLowerCase(), Value]));
  return { file: values.get('binlog_snapshot_file') ?? '', pos: values.get('binlog_snapshot_position') ?? '0' };
}

/** A transaction of the log that this server is read from knows where it begins there. */
function placeOf(transaction: Transaction): { readonly file: string; readonly pos: string } {
  const { file, pos } = transaction as LogTransaction;
  return { file, pos: String(pos) };
}

/** Places of another server's log say nothing. */
function passed(identity: string, end: { readonly file: string; readonly pos: string }): Moment['passedBy'] {
  return (position: Position) => {
    const { server, file, pos } = position as LogPosition;
    return server === identity && !isBefore({ file, pos }, end);
  };
}
