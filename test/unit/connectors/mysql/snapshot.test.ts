/** What copies of rows are made of: packets, texts of JSON, and the queries' constants. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CharsetTable, NO_CHARACTER, TEXT } from '../../../../connectors/mysql/log/charsets.ts';
import type { ColumnPlan } from '../../../../connectors/mysql/log/columns.ts';
import { READ } from '../../../../connectors/mysql/log/columns.ts';
import { EVENT, HEADER_BYTES, readHeartbeat } from '../../../../connectors/mysql/log/events.ts';
import { isBefore } from '../../../../connectors/mysql/log/place.ts';
import { ValueRefused } from '../../../../connectors/mysql/log/row-reader.ts';
import { labelsOf } from '../../../../connectors/mysql/snapshot/catalogue.ts';
import { canonicalJson } from '../../../../connectors/mysql/snapshot/json-text.ts';
import { Packets } from '../../../../connectors/mysql/snapshot/packets.ts';
import { constant, rowsSql } from '../../../../connectors/mysql/snapshot/rows-sql.ts';
import { spread } from '../../../../connectors/mysql/snapshot/view.ts';
import { SNAPSHOT_MARK } from '../../../../src/record/batch.ts';

const LONGEST = 0xff_ff_ff;

/** As the server sends a packet, which is several where it is long. */
function framed(content: Buffer): Buffer {
  const frames: Buffer[] = [];
  for (let at = 0; ; at += LONGEST) {
    const part = content.subarray(at, at + LONGEST);
    const header = Buffer.alloc(4);
    header.writeUIntLE(part.length, 0, 3);
    frames.push(header, part);
    if (part.length < LONGEST) return Buffer.concat(frames);
  }
}

function unframed(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const found: Buffer[] = [];
  const packets = new Packets((from, start, end) => found.push(Buffer.from(from.subarray(start, end))));
  // The socket's memory is used again.
  const socket = Buffer.alloc(bytes.length);
  let at = 0;
  for (const end of [...cuts, bytes.length].sort((a, b) => a - b)) {
    const length = bytes.copy(socket, 0, at, end);
    packets.push(Buffer.from(socket.subarray(0, length)));
    socket.fill(0xee);
    at = end;
  }
  return found;
}

describe('packets', () => {
  it('are the same however the socket gives them', () => {
    const contents = fc.array(
      fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(contents, fc.array(fc.nat(300), { maxLength: 20 }), (all, cuts) => {
        const bytes = Buffer.concat(all.map(framed));
        const inside = cuts.filter((cut) => cut <= bytes.length);
        expect(unframed(bytes, inside)).toEqual(all);
      }),
    );
  });

  it('longer than a frame are put together', () => {
    const contents = [Buffer.alloc(LONGEST - 1, 1), Buffer.alloc(LONGEST, 2), Buffer.alloc(LONGEST + 1, 3), Buffer.from('x')];
    const bytes = Buffer.concat(contents.map(framed));
    const found = unframed(bytes, [3, LONGEST + 5, 2 * LONGEST + 9]);
    expect(found.map((each) => [each.length, each[0], each.at(-1)])).toEqual(contents.map((each) => [each.length, each[0], each.at(-1)]));
  });
});

describe('JSON of the text protocol', () => {
  it('keeps documents as the log has them', () => {
    expect(canonicalJson('{"a": 1, "b": [1.0, 1e20, 0.0000001, -0.0, true, null], "é\\n": "\\u0001/\\"\\\\"}', null)).toBe(
      '{"a":1,"b":[1.0,100000000000000000000.0,0.0000001,-0.0,true,null],"é\\n":"\\u0001/\\"\\\\"}',
    );
    expect([canonicalJson('', null), canonicalJson('{}', null), canonicalJson('[]', null), canonicalJson('"x"', null)]).toEqual([
      'null',
      '{}',
      '[]',
      '"x"',
    ]);
  });

  it('tells what is no string by the paths of the strings', () => {
    const text = '{"a": "01:02:03.500000", "b.c": ["01:02:03.500000", "2024-01-02 03:04:05.000000", "base64:type252:AP8="], "d": "2024-01-02"}';
    expect(canonicalJson(text, '["$.a", "$.\\"b.c\\"[2]"]')).toBe(
      '{"a":"01:02:03.500000","b.c":["01:02:03.5","2024-01-02 03:04:05","base64:type252:AP8="],"d":"2024-01-02"}',
    );
    expect(canonicalJson(text, '"$.d"')).toBe('{"a":"01:02:03.5","b.c":["01:02:03.5","2024-01-02 03:04:05","AP8="],"d":"2024-01-02"}');
    expect(canonicalJson('"01:02:03.000000"', '[]')).toBe('"01:02:03"');
  });

  it('any document of JSON is itself', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value, null, 1).replaceAll(/\n */g, ' ');
        expect(JSON.parse(canonicalJson(text, null))).toEqual(JSON.parse(text));
      }),
    );
  });

  it.each(['{"a" 1}', '[1', '"x', 'nul', '[1 2]', '{"a":1}}', '01:02'])('%s is none', (text) => {
    expect(() => canonicalJson(text, null)).toThrow(Error);
  });
});

describe('queries', () => {
  const plan = (read: number, labels: readonly string[] | null = null): ColumnPlan =>
    ({ read, labels: labels?.map((label) => Buffer.from(label)) ?? null, shape: { name: 'c', type: 'other' } }) as unknown as ColumnPlan;

  it('compare each type as it is ordered', () => {
    expect(constant(plan(READ.int64), '-9223372036854775808')).toBe('-9223372036854775808');
    expect(constant(plan(READ.float), '0.1')).toBe('0.10000000149011612e0');
    expect(constant(plan(READ.double), '1e+22')).toBe('1e+22');
    expect(constant(plan(READ.bits), '1000')).toBe('8');
    expect(constant(plan(READ.timestamp), '2024-01-02T03:04:05.6Z')).toBe("'2024-01-02 03:04:05.6'");
    expect(constant(plan(READ.text), "é'\\")).toBe("_utf8mb4 x'c3a9275c'");
    expect(constant(plan(READ.bytes), '00ff')).toBe("x'00ff'");
    expect(['z', 'a', ''].map((label) => constant(plan(READ.enum, ['z', 'a']), label))).toEqual(['1', '2', '0']);
    expect(['q,a', ''].map((labels) => constant(plan(READ.set, ['q', 'c', 'a']), labels))).toEqual(['5', '0']);
  });

  it('refuse a key whose characters are in its set twice: by one of them rows beside the other would be passed over', () => {
    const single = new Uint16Array(256).fill(NO_CHARACTER);
    for (let byte = 0; byte < 0x80; byte++) single[byte] = byte;
    // As cp932 has it.
    const double = new Uint32Array(65_536);
    for (const code of [0xed40, 0xfa5c]) double[code] = 0x7e8a;
    double[0x93fa] = 0x65e5;
    const charset = { name: 'cp932', text: TEXT.mapped, table: new CharsetTable(single, double, null), width: 2 };
    const text = { ...plan(READ.text), charset } as ColumnPlan;
    expect(constant(text, '日1')).toBe("_utf8mb4 x'e697a531'");
    expect(() => constant(text, 'a纊')).toThrow(ValueRefused);
  });

  it('go through a key of several columns by its index, and take ends of fewer', () => {
    const order = ['`a`', '`b`'].map((name) => ({ name, plan: plan(READ.int32) }));
    const table = { from: '`d`.`t`', plans: [plan(READ.int32)], key: order, order };
    const where = (after: string[] | null, upTo: string[] | null): string | undefined =>
      rowsSql(table, { range: { after, upTo }, where: null, mark: SNAPSHOT_MARK.row }).split(' FORCE INDEX (PRIMARY)')[1];
    expect(where(['1', '2'], ['3'])).toBe(' WHERE `a` >= 1 AND ((`a` > 1) OR (`a` = 1 AND `b` > 2)) AND (`a` <= 3) ORDER BY `a`, `b`');
    expect(where(null, ['3', '4'])).toBe(' WHERE `a` <= 3 AND ((`a` < 3) OR (`a` = 3 AND `b` <= 4)) ORDER BY `a`, `b`');
  });

  it('part a range of whole numbers, of any size', () => {
    expect(spread(0n, 100n, 4)).toEqual([['25'], ['50'], ['75']]);
    expect(spread(-9223372036854775808n, 9223372036854775807n, 2)).toEqual([['-1']]);
    expect([spread(5n, 5n, 3), spread(5n, 6n, 4)]).toEqual([[], [['5']]]);
  });

  it('labels are those between the quotes', () => {
    expect(labelsOf("enum('a','b''c','','e,f')")).toEqual(['a', "b'c", '', 'e,f']);
  });
});

describe('places in the log', () => {
  it('are ordered by the number of the file, then the byte', () => {
    const place = (file: string, pos: string) => ({ file, pos });
    expect(isBefore(place('binlog.000009', '900'), place('binlog.000010', '4'))).toBe(true);
    expect(isBefore(place('binlog.000010', '900'), place('binlog.000010', '1000'))).toBe(true);
    expect(isBefore(place('binlog.000010', '1000'), place('binlog.000010', '1000'))).toBe(false);
    // Nothing is known of it: everything is yet to come.
    expect(isBefore(place('', '0'), place('binlog.000001', '4'))).toBe(true);
  });

  it('are told by heartbeats of either form', () => {
    const header = Buffer.alloc(HEADER_BYTES);
    header.writeUInt32LE(4711, 13);
    const old = Buffer.concat([header, Buffer.from('binlog.000007')]);
    expect(readHeartbeat(EVENT.heartbeat, old, old.length)).toEqual({ file: 'binlog.000007', pos: 4711 });
    const pos = Buffer.from([2, 9, 0xfe, 0, 0, 0, 0, 2, 0, 0, 0]);
    const fresh = Buffer.concat([header, Buffer.from([1, 13]), Buffer.from('binlog.000008'), pos, Buffer.from([0])]);
    expect(readHeartbeat(EVENT.heartbeatV2, fresh, fresh.length)).toEqual({ file: 'binlog.000008', pos: 2 * 2 ** 32 });
    expect(readHeartbeat(EVENT.heartbeatV2, header, header.length)).toBeNull();
  });
});
