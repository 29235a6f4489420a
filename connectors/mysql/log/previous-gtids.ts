/** The set of GTIDs in a PREVIOUS_GTIDS event (source of MySQL, `Gtid_set::encode`). */
import { FieldReader, uuidText } from './events.ts';

const UUID_BYTES = 16;

/**
 * Eight bytes tell the form in the last of them, and how many entries follow: in the older form a uuid each, in the newer one a tag too; then how many intervals, and
 * where each begins and where it has ended. Throws a RangeError if it is none.
 */
export function readPreviousGtids(bytes: Buffer, at: number, end: number): string {
  const head = bytes.readBigUInt64LE(at);
  const form = head >> 56n;
  if (form > 1n) throw new RangeError(`a set of GTIDs in the form ${form}`);
  const entries = Number(form === 0n ? head : (head >> 8n) & 0xffff_ffff_ffffn);
  let from = at + 8;
  const parts: string[] = [];
  for (let entry = 0; entry < entries; entry++) {
    if (from + UUID_BYTES > end) throw new RangeError('an event ends too early');
    const uuid = uuidText(bytes.toString('hex', from, from + UUID_BYTES));
    from += UUID_BYTES;
    let tag = '';
    if (form === 1n) {
      const reader = new FieldReader(bytes, from, end);
      tag = reader.text();
      from = reader.at;
    }
    const intervals = Number(bytes.readBigUInt64LE(from));
    from += 8;
    const texts: string[] = [];
    for (let interval = 0; interval < intervals; interval++, from += 16) {
      if (from + 16 > end) throw new RangeError('an event ends too early');
      const [first, behind] = [bytes.readBigUInt64LE(from), bytes.readBigUInt64LE(from + 8)];
      texts.push(behind - first === 1n ? `${first}` : `${first}-${behind - 1n}`);
    }
    if (texts.length > 0) parts.push([uuid, ...(tag === '' ? [] : [tag]), ...texts].join(':'));
  }
  return parts.join(',');
}
