/**
 * Positions in the log: the transactions that were read, as the servers themselves say it, and the file and the byte in it, which is the place to go on at where
 * there are no GTIDs (MySQL).
 */
import { GtidSet, MariadbGtidPosition } from '@vlasky/zongji';
import type { Position, Transaction } from '#plugin';

export type System = 'mysql' | 'mariadb';

/** Where the log source can start again. All values are text (`Position`). */
export interface LogPosition extends Position {
  readonly system: System;
  /** How the log is gone on with. `file` (MySQL): some of what was read has no GTID. */
  readonly by: 'gtid' | 'file';
  /** MySQL: the set of transactions that were read, `uuid:1-5,…`; by `file` those of them that have GTIDs, as far as is known. MariaDB: the last one of each domain, `0-1-5,…`. */
  readonly gtid: string;
  /** The server that it was read from. Empty: an operator's word, whatever the server. */
  readonly server: string;
  /** Where the last transaction ended there. */
  readonly file: string;
  readonly pos: string;
  /** What was told of definitions of tables that no row was seen of since (`Definitions.told`); left out: of none. */
  readonly told?: string;
  /** When the file was begun, by its first event: another file of its name is another one. Empty: not known. */
  readonly created: string;
  /** The last event of what was read: where it begins, and the checksum of its bytes. Empty: not known. */
  readonly lastPos: string;
  readonly lastPrint: string;
}

/** A place in a server's log, with what proves that it is the log that it was. */
export type LogPlace = Pick<LogPosition, 'file' | 'pos' | 'created' | 'lastPos' | 'lastPrint'>;

/** Of another log nothing is known. */
export const NO_PROOF = { created: '', lastPos: '', lastPrint: '' } as const;

/** A transaction knows where it begins, in the log that it was read from. */
export interface LogTransaction extends Transaction {
  readonly file: string;
  readonly pos: number;
  /** Of those without a GTID, the how manieth it is that this stream reads; null: it has one. */
  readonly nameless: number | null;
}

/** Reads a stored position; null if a field is missing or malformed, or if it is of the other system. */
export function readPosition(position: Position, system: System): LogPosition | null {
  const { gtid, server, file, pos, created = '', lastPos = '', lastPrint = '', by = 'gtid' } = position;
  if (position['system'] !== system || typeof gtid !== 'string') return null;
  if (typeof server !== 'string' || typeof file !== 'string' || typeof pos !== 'string') return null;
  const { told } = position;
  if (typeof created !== 'string' || typeof lastPos !== 'string' || typeof lastPrint !== 'string') return null;
  if (by !== 'gtid' && (by !== 'file' || system !== 'mysql')) return null;
  if (parseGtids(gtid, system) === null) return null;
  return { system, by, gtid, server, file, pos, created, lastPos, lastPrint, ...(typeof told === 'string' ? { told } : {}) };
}

/** An operator's word for a place, `binlog.000003:1234`; null: it is none. */
export function parsePlace(text: string): { readonly file: string; readonly pos: string } | null {
  const [, file, pos] = /^([^\s/\\:]+\.\d+):(\d+)$/.exec(text.trim()) ?? [];
  return file === undefined || pos === undefined || !isDumpable(Number(pos)) ? null : { file, pos: String(Number(pos)) };
}

/** Whether a server can be asked for the log from there on (COM_BINLOG_DUMP has 32 bits for it). */
export function isDumpable(pos: number): boolean {
  return pos >= FIRST_EVENT && pos <= 0xffff_ffff;
}

/** Before it a file says that it is a log. */
const FIRST_EVENT = 4;

/** Null if the text is none of the system's. */
export function parseGtids(text: string, system: System): GtidSet | MariadbGtidPosition | null {
  try {
    return system === 'mysql' ? GtidSet.parse(text.replace(/\s/g, '')) : MariadbGtidPosition.parse(text.replace(/\s/g, ''));
  } catch {
    return null;
  }
}

/** The id of a transaction without a GTID: where it begins. The file's time tells it from one of the same name, of a log that was reset. */
export function namelessId(
  server: string,
  { file, created, pos }: { readonly file: string; readonly created: string; readonly pos: number },
): string {
  return `${server}:${file}@${created}:${pos}`;
}

/** The other way; null: it is none. */
export function placeOfNameless(
  id: string,
): { readonly server: string; readonly file: string; readonly created: string; readonly pos: string } | null {
  const [, server, file, created, pos] = /^([^:]+):([^:@]+)@(\d+):(\d+)$/.exec(id) ?? [];
  return server === undefined || file === undefined || created === undefined || pos === undefined ? null : { server, file, created, pos };
}
