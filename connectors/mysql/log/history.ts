/** Whether a server is one that a stream can go on at: it must have all that was read of it, and still hold what comes next. */
import { SluiceError } from '#plugin';
import type { Client } from '../client.ts';
import { logFiles, type ServerFacts } from '../server.ts';
import { commitPending, errantTransactions, gtidsOff, logPurged, otherHistory, placeElsewhere } from './errors.ts';
import type { Here } from './here.ts';
import { isPartOf, readBehindUnread, transactionsBefore } from './order.ts';
import { endsBefore, isBefore } from './place.ts';
import { isDumpable, type LogPosition, NO_PROOF } from './position.ts';
import { probeLog } from './probe.ts';

/** The log is the one that was read; its file is gone; nothing is known that would prove it. */
type Proof = 'proven' | 'gone' | 'unknown';

/** Where a stream goes on that has read up to `from`, as this server has it. Throws a SluiceError if it cannot. */
export async function goOn(from: LogPosition, here: Here): Promise<LogPosition> {
  const { server, end, connector } = here;
  const isSame = from.server === server.identity;
  if (isSame && endsBefore(end, from)) {
    throw new SluiceError(otherHistory, { connector, missing: `to ${from.file}:${from.pos}, where its log ends at ${end.file}:${end.pos}` });
  }
  const proof = isSame ? await prove(from, here) : 'unknown';
  if (from.by === 'file' || !server.hasGtids) return goOnInFile(from, proof, here);
  if (server.system === 'mysql') await checkMysql(from, proof, isSame, here);
  else checkMariadb(from, server, connector);
  if (server.system === 'mysql' && proof === 'proven' && (await passesOverFile(from, here.client))) return { ...from, by: 'file' };
  // A place in another server's log means nothing in this one's.
  return isSame ? from : { ...from, server: server.identity, file: '', pos: '0', ...NO_PROOF };
}

/**
 * A log that was reset counts its files, and its transactions, from one again: by their names and numbers alone new ones would pass for those that were read. So what was
 * read last must stand where it stood.
 */
async function prove(from: LogPosition, { client, config, runtime, connector }: Here): Promise<Proof> {
  const { file, pos, created, lastPos, lastPrint } = from;
  if (!isDumpable(Number(pos))) return 'unknown';
  if (!(await logFiles(client)).includes(file)) return 'gone';
  if (created === '') return 'unknown';
  const found = await probeLog(config, runtime, { file, pos: lastPos === '' ? pos : lastPos });
  // By its gtid_mode the server may refuse to show what comes next: that is behind what is proven here.
  const isRefused = found.refusal !== null && (lastPos !== '' || !/GTID_MODE/i.test(found.refusal));
  const isOther = isRefused || found.created !== created || (lastPos !== '' && found.print !== lastPrint);
  if (!isOther) return 'proven';
  throw new SluiceError(otherHistory, { connector, missing: `to ${file}:${pos}, where another log stands now` });
}

async function goOnInFile(from: LogPosition, proof: Proof, { client, server, connector }: Here): Promise<LogPosition> {
  const { file, pos } = from;
  const actual = server.identity;
  if (!isDumpable(Number(pos)) || (from.by === 'gtid' && from.server !== actual))
    throw new SluiceError(gtidsOff, { connector, detail: `gtid_mode is ${server.settings['gtid_mode'] ?? 'not there'}` });
  if (from.server !== '' && from.server !== actual) throw new SluiceError(placeElsewhere, { connector, file, pos, expected: from.server, actual });
  const files = proof === 'proven' ? [file] : await logFiles(client);
  if (!files.includes(file)) {
    const isPurged = files[0] !== undefined && isBefore({ file, pos }, { file: files[0], pos: '0' });
    if (isPurged) throw new SluiceError(logPurged, { connector, detail: `its log begins with ${files[0]}, and ${file} is gone` });
    throw new SluiceError(otherHistory, { connector, missing: `to ${file}:${pos}, and it has no such file` });
  }
  return { ...from, by: 'file', server: actual };
}

async function checkMysql({ gtid }: LogPosition, proof: Proof, isSame: boolean, here: Here): Promise<void> {
  const { client, connector } = here;
  const [row] = await client.rows<{ missing: string; purged: string }>(
    'which transactions it has',
    'SELECT GTID_SUBTRACT(?, @@GLOBAL.gtid_executed) AS missing, GTID_SUBTRACT(@@GLOBAL.gtid_purged, ?) AS purged',
    [gtid, gtid],
  );
  const missing = shortened(row?.missing ?? '');
  const purged = shortened(row?.purged ?? '');
  // A transaction is sent before it is committed, and is in the set only then: the log that it was read from is there.
  if (missing !== '') throw new SluiceError(proof === 'proven' ? commitPending : otherHistory, { connector, missing });
  if (purged !== '') throw new SluiceError(logPurged, { connector, detail: `it has deleted the log of ${purged}` });
  const behind = isSame ? null : await readBehindUnread(gtid, here);
  if (behind !== null) throw new SluiceError(errantTransactions, { connector, behind: shortened(behind) });
}

/**
 * Asked for by GTIDs the server begins at the last file before which nothing stands but what was read: transactions without GTIDs, which are in no set, may stand at the end of the file
 * that was read last, and in files behind it. Read by its place nothing is passed over; by GTIDs it goes on from the next file on.
 */
async function passesOverFile({ gtid, file }: LogPosition, client: Client): Promise<boolean> {
  const files = await logFiles(client);
  const next = files[files.indexOf(file) + 1];
  return next !== undefined && (await isPartOf(client, await transactionsBefore(client, next), gtid));
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
