import { describe, expect, it } from 'vitest';
import { EVENT } from '../../../../connectors/mysql/log/events.ts';
import { Place } from '../../../../connectors/mysql/log/place.ts';
import type { LogPosition } from '../../../../connectors/mysql/log/position.ts';
import { parsePlace, placeOfNameless } from '../../../../connectors/mysql/log/position.ts';
import { readPreviousGtids } from '../../../../connectors/mysql/log/previous-gtids.ts';

const BODY = 12;

function event(type: number, { endPos, seconds = 7, flags = 0 }: { endPos: number; seconds?: number; flags?: number }): Buffer {
  const bytes = Buffer.alloc(19 + BODY, type);
  bytes.writeUInt32LE(seconds, 0);
  bytes[4] = type;
  bytes.writeUInt32LE(bytes.length, 9);
  bytes.writeUInt32LE(endPos % 2 ** 32, 13);
  bytes.writeUInt16LE(flags, 17);
  return bytes;
}

const FROM: LogPosition = {
  system: 'mysql',
  by: 'file',
  gtid: '',
  server: 'u',
  file: 'b.000002',
  pos: '1000',
  created: '5',
  lastPos: '969',
  lastPrint: 'x',
};

/** An event by itself, outside transactions. */
function see(place: Place, type: number, about: Parameters<typeof event>[1]): void {
  const bytes = event(type, about);
  if (!place.enter(type, about.flags ?? 0, bytes)) return;
  place.pass(bytes.length);
  place.settle(type, bytes, bytes.length);
}

describe('places of the log', () => {
  it('stay where they are at the first event of a file that is begun in its midst', () => {
    const place = new Place(FROM);
    place.pos = 1000;
    see(place, EVENT.format, { endPos: 0, seconds: 5 });
    expect([place.safe, place.created]).toEqual([{ file: 'b.000002', pos: '1000', created: '5', lastPos: '969', lastPrint: 'x' }, '5']);
    see(place, EVENT.xid, { endPos: 1031 });
    expect(place.safe).toEqual({ file: 'b.000002', pos: '1031', created: '5', lastPos: '1000', lastPrint: expect.stringMatching(/^[0-9a-f]+$/) });
  });

  it('have the time of their file, and no proof of its first event, which is sent in several forms', () => {
    const place = new Place(FROM);
    place.file = 'b.000003';
    place.pos = 4;
    see(place, EVENT.format, { endPos: 35, seconds: 9 });
    expect(place.safe).toEqual({ file: 'b.000003', pos: '35', created: '9', lastPos: '', lastPrint: '' });
  });

  it('are none beyond what a server can be asked for, until the next file begins', () => {
    const place = new Place(FROM);
    place.pos = 2 ** 32 - 40;
    see(place, EVENT.xid, { endPos: 2 ** 32 - 9 });
    const { safe } = place;
    expect(safe.pos).toBe(String(2 ** 32 - 9));
    see(place, EVENT.xid, { endPos: 2 ** 32 + 22 });
    expect([place.pos, place.safe]).toEqual([2 ** 32 + 22, safe]);
    const byGtid = new Place({ ...FROM, by: 'gtid' });
    byGtid.pos = 2 ** 32 - 9;
    see(byGtid, EVENT.xid, { endPos: 2 ** 32 + 22 });
    expect(byGtid.safe.pos).toBe(String(2 ** 32 + 22));
  });

  it('are read as operators write them', () => {
    expect(parsePlace('binlog.000003:01234')).toEqual({ file: 'binlog.000003', pos: '1234' });
    for (const text of ['binlog.000003', 'binlog:4', 'binlog.000003:3', 'binlog.000003:4294967296', '3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5'])
      expect(parsePlace(text)).toBeNull();
    expect(placeOfNameless('u-1:b.000003@17:1234')).toEqual({ server: 'u-1', file: 'b.000003', created: '17', pos: '1234' });
    expect(placeOfNameless('3e11fa47-71ca-11e1-9e33-c80aa9429562:5')).toBeNull();
  });
});

describe('the set of GTIDs in front of a file', () => {
  const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
  const uuid = Buffer.from(UUID.replaceAll('-', ''), 'hex');
  const numbers = (...all: readonly (number | bigint)[]): Buffer => {
    const bytes = Buffer.alloc(8 * all.length);
    for (const [index, number] of all.entries()) bytes.writeBigUInt64LE(BigInt(number), 8 * index);
    return bytes;
  };

  it.each([
    ['', numbers(0)],
    [`${UUID}:1-5:9`, Buffer.concat([numbers(1), uuid, numbers(2, 1, 6, 9, 10)])],
    [
      `${UUID}:1,${UUID}:tag:2-3`,
      // The newer form: its number in the highest byte, and that of the entries behind the lowest.
      Buffer.concat([
        numbers((1n << 56n) | (2n << 8n)),
        uuid,
        Buffer.from([0]),
        numbers(1, 1, 2),
        uuid,
        Buffer.from([6, 0x74, 0x61, 0x67]),
        numbers(1, 2, 4),
      ]),
    ],
  ])('%s', (text, bytes) => {
    expect(readPreviousGtids(bytes, 0, bytes.length)).toBe(text);
  });

  it('is none in a form that is not known, or cut off', () => {
    expect(() => readPreviousGtids(numbers(2n << 56n), 0, 8)).toThrow(RangeError);
    const bytes = Buffer.concat([numbers(1), uuid, numbers(1, 1)]);
    expect(() => readPreviousGtids(bytes, 0, bytes.length)).toThrow(RangeError);
  });
});
