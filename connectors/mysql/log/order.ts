/** In which order transactions stand in a server's log, by their GTIDs (MySQL): a set of them has none. */
import { GtidSet } from '@vlasky/zongji';
import type { Client } from '../client.ts';
import { logFiles } from '../server.ts';
import { EVENT, HEADER_BYTES, readGtid, readTaggedGtid } from './events.ts';
import type { Here } from './here.ts';
import { scanLog } from './probe.ts';

type Asked = Pick<Here, 'client' | 'config' | 'runtime'>;

const FIRST_EVENT = '4';

/**
 * At a server that is followed from now on instead of another one, what it has beyond what was read must stand behind it in its log. A transaction of its
 * own that stands before (an errant one, written on a replica) would be told behind what has overwritten it since, and rows would become what they are nowhere (I3, I7).
 *
 * Returns the first transaction that was read and stands behind one that was not; null: there is none. `read`: the set of what was read. Throws what the driver
 * throws, SluiceErrors.
 */
export async function readBehindUnread(read: string, asked: Asked): Promise<string | null> {
  const { client } = asked;
  // Each file says which transactions stand before it: in the last one that has only such before it as were read, the first that was not begins.
  let behind: string | null = null;
  for (const file of (await logFiles(client)).reverse()) {
    const before = await transactionsBefore(client, file);
    if (!(await isPartOf(client, before, read))) {
      behind = before;
      continue;
    }
    const overlap = behind === null ? '' : await overlapBehind(client, behind, read);
    if (overlap !== '') return overlap;
    const known = GtidSet.parse(read);
    let hasUnread = false;
    let found: string | null = null;
    await scanGtids(file, asked, (gtid) => {
      if (!known.contains(gtid)) hasUnread = true;
      else if (hasUnread) found = gtid;
      return found !== null;
    });
    return found;
  }
  return null;
}

/** The set of all transactions before one; null: the log does not have it (any more). Throws what the driver throws, SluiceErrors. */
export async function setBefore(gtid: string, asked: Asked): Promise<string | null> {
  for (const file of (await logFiles(asked.client)).reverse()) {
    const before = GtidSet.parse(await transactionsBefore(asked.client, file));
    if (before.contains(gtid)) continue;
    let isThere = false;
    await scanGtids(file, asked, (next) => {
      isThere = next === gtid;
      if (!isThere) before.add(next);
      return isThere;
    });
    return isThere ? before.toString() : null;
  }
  return null;
}

/** What stands before a file, as the file says it. */
export async function transactionsBefore(client: Client, file: string): Promise<string> {
  const rows = await client.rows<{ Event_type: string; Info: string }>('the head of a file of its log', `SHOW BINLOG EVENTS IN '${file}' LIMIT 2`);
  return (rows.find(({ Event_type }) => Event_type === 'Previous_gtids')?.Info ?? '').replace(/\s/g, '');
}

export async function isPartOf(client: Client, part: string, whole: string): Promise<boolean> {
  const [row] = await client.ask<{ rest: string }>('SELECT GTID_SUBTRACT(?, ?) AS rest', [part, whole]);
  return row?.rest === '';
}

/** Of what was read, what does not stand before a file. */
async function overlapBehind(client: Client, before: string, read: string): Promise<string> {
  const [row] = await client.ask<{ overlap: string }>(
    'SELECT GTID_SUBTRACT(later, GTID_SUBTRACT(later, ?)) AS overlap FROM (SELECT GTID_SUBTRACT(@@GLOBAL.gtid_executed, ?) AS later) AS t',
    [read, before],
  );
  return (row?.overlap ?? '').replace(/\s/g, '');
}

/** The transactions of one file in their order. `onGtid` true: no more are wanted. */
async function scanGtids(file: string, { config, runtime }: Asked, onGtid: (gtid: string) => boolean): Promise<void> {
  await scanLog(config, runtime, { file, pos: FIRST_EVENT }, (type, bytes, end) => {
    // The file ends.
    if (type === EVENT.rotate) return true;
    if (type !== EVENT.gtid && type !== EVENT.gtidTagged) return false;
    return onGtid((type === EVENT.gtid ? readGtid : readTaggedGtid)(bytes, HEADER_BYTES, end).gtid);
  });
}
