/**
 * At a server that is followed from now on instead of another one (MySQL): what it has beyond what was read must stand behind it in its log. A transaction of its
 * own that stands before (an errant one, written on a replica) would be told behind what has overwritten it since, and rows would become what they are nowhere (I3, I7).
 */
import { GtidSet } from '@vlasky/zongji';
import type { Client } from '../client.ts';
import { logFiles } from '../server.ts';
import { EVENT, HEADER_BYTES, readGtid, readTaggedGtid } from './events.ts';
import type { Here } from './here.ts';
import { scanLog } from './probe.ts';

/**
 * The first transaction that was read and stands behind one that was not; null: there is none. `read`: the set of what was read. Throws what the driver throws,
 * SluiceErrors.
 */
export async function readBehindUnread(
  read: string,
  { client, config, runtime }: Pick<Here, 'client' | 'config' | 'runtime'>,
): Promise<string | null> {
  // Each file says which transactions stand before it: in the last one that has only such before it as were read, the first that was not begins.
  let behind: string | null = null;
  for (const file of (await logFiles(client)).reverse()) {
    const before = await transactionsBefore(client, file);
    if (!(await isPartOf(client, before, read))) {
      behind = before;
      continue;
    }
    if (behind !== null) {
      const overlap = await overlapBehind(client, behind, read);
      if (overlap !== '') return overlap;
    }
    return scanFile(read, file, config, runtime);
  }
  return null;
}

async function transactionsBefore(client: Client, file: string): Promise<string> {
  const rows = await client.rows<{ Event_type: string; Info: string }>('the head of a file of its log', `SHOW BINLOG EVENTS IN '${file}' LIMIT 2`);
  return (rows.find(({ Event_type }) => Event_type === 'Previous_gtids')?.Info ?? '').replace(/\s/g, '');
}

async function isPartOf(client: Client, part: string, whole: string): Promise<boolean> {
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

/** Within a file, event by event. */
async function scanFile(read: string, file: string, config: Here['config'], runtime: Here['runtime']): Promise<string | null> {
  const known = GtidSet.parse(read);
  let hasUnread = false;
  let found: string | null = null;
  await scanLog(config, runtime, { file, pos: '4' }, (type, bytes, end) => {
    // The file ends.
    if (type === EVENT.rotate) return true;
    if (type !== EVENT.gtid && type !== EVENT.gtidTagged) return false;
    const { gtid } = type === EVENT.gtid ? readGtid(bytes, HEADER_BYTES, end) : readTaggedGtid(bytes, HEADER_BYTES, end);
    if (!known.contains(gtid)) hasUnread = true;
    else if (hasUnread) found = gtid;
    return found !== null;
  });
  return found;
}
