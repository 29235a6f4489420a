/** Whether a server is one that a stream can go on at: it must have all that was read of it, and still hold what comes next. */
import { SluiceError } from '#plugin';
import type { Client } from '../client.ts';
import type { ServerFacts } from '../server.ts';
import { logPurged, otherHistory } from './errors.ts';
import { endsBefore } from './place.ts';
import type { LogPosition } from './position.ts';

/** @param end where the server's log ends. Throws a SluiceError if it is not. */
export async function checkHistory(
  client: Client,
  from: LogPosition,
  server: ServerFacts,
  end: { readonly file: string; readonly pos: string },
  connector: string,
): Promise<void> {
  // A log that was reset counts its transactions from one again: by their numbers alone new ones would pass for those that were read.
  if (from.server === server.identity && endsBefore(end, from)) {
    throw new SluiceError(otherHistory, { connector, missing: `to ${from.file}:${from.pos}, where its log ends at ${end.file}:${end.pos}` });
  }
  if (server.system === 'mysql') await checkMysql(client, from, connector);
  else checkMariadb(from, server, connector);
}

async function checkMysql(client: Client, { gtid }: LogPosition, connector: string): Promise<void> {
  const [row] = await client.rows<{ missing: string; purged: string }>(
    'which transactions it has',
    'SELECT GTID_SUBTRACT(?, @@GLOBAL.gtid_executed) AS missing, GTID_SUBTRACT(@@GLOBAL.gtid_purged, ?) AS purged',
    [gtid, gtid],
  );
  const missing = row?.missing ?? '';
  const purged = row?.purged ?? '';
  if (missing !== '') throw new SluiceError(otherHistory, { connector, missing: shortened(missing) });
  if (purged !== '') throw new SluiceError(logPurged, { connector, detail: `it has deleted the log of ${shortened(purged)}` });
}

/** Within a domain the log is one sequence: what was read must not be beyond its end. Whether the log still holds what comes next the server says by itself. */
function checkMariadb({ gtid }: LogPosition, { executed }: ServerFacts, connector: string): void {
  const end = new Map(domains(executed));
  for (const [domain, sequence] of domains(gtid)) {
    const last = end.get(domain);
    if (last === undefined || last < sequence) {
      throw new SluiceError(otherHistory, { connector, missing: `${gtid}, where the server is at ${executed === '' ? 'nothing' : executed}` });
    }
  }
}

function domains(position: string): [string, bigint][] {
  return position
    .split(',')
    .filter((part) => part !== '')
    .map((part) => {
      const [domain = '', , sequence = '0'] = part.split('-');
      return [domain, BigInt(sequence)];
    });
}

function shortened(gtids: string): string {
  const text = gtids.replace(/\s/g, '');
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}
