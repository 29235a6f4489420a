import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CopyFrames } from '../../../../../connectors/postgres/log/copy-frames.ts';

function message(type: number, body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head[0] = type;
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

function xlog(hi: number, lo: number, body: Buffer): Buffer {
  const head = Buffer.alloc(25);
  head[0] = 0x77;
  head.writeUInt32BE(hi, 1);
  head.writeUInt32BE(lo, 5);
  return message(0x64, Buffer.concat([head, body]));
}

function read(pieces: readonly Buffer[]): string[] {
  const seen: string[] = [];
  const frames = new CopyFrames('log', {
    data: (bytes, start, end, hi, lo) => void seen.push(`data ${hi}/${lo} ${bytes.toString('hex', start, end)}`),
    other: (bytes) => void seen.push(`other ${bytes.toString('hex')}`),
    broken: () => void seen.push('broken'),
  });
  for (const piece of pieces) {
    frames.push(piece);
    // The driver's buffers are reused (libraries.md §1): nothing may still look at them.
    piece.fill(0xff);
  }
  return seen;
}

describe('CopyFrames', () => {
  it('tells every message once, whole and in order, wherever the pieces are cut', () => {
    const one = fc.oneof(
      fc.record({ kind: fc.constant('data'), body: fc.uint8Array({ maxLength: 60 }), hi: fc.nat(), lo: fc.nat() }),
      fc.record({ kind: fc.constantFrom('k', 'E', 'C', 'short'), body: fc.uint8Array({ maxLength: 30 }), hi: fc.nat(), lo: fc.nat() }),
    );
    fc.assert(
      fc.property(fc.array(one, { maxLength: 30 }), fc.array(fc.nat({ max: 40 }), { minLength: 1 }), (messages, cuts) => {
        const built = messages.map(({ kind, body, hi, lo }) => {
          if (kind === 'data') return { bytes: xlog(hi, lo, Buffer.from(body)), told: `data ${hi}/${lo} ${Buffer.from(body).toString('hex')}` };
          const bytes = message(kind === 'short' ? 0x64 : kind.charCodeAt(0), kind === 'short' ? Buffer.from([0x6b]) : Buffer.from(body));
          return { bytes, told: `other ${bytes.toString('hex')}` };
        });
        const whole = Buffer.concat(built.map(({ bytes }) => bytes));
        const pieces: Buffer[] = [];
        for (let at = 0, turn = 0; at < whole.length; turn++) {
          const length = (cuts[turn % cuts.length] as number) + 1;
          pieces.push(Buffer.from(whole.subarray(at, at + length)));
          at += length;
        }
        expect(read(pieces)).toEqual(built.map(({ told }) => told));
      }),
    );
  });

  it('a message of megabytes is told whole, and its memory is given back at once (I9)', () => {
    const seen: Buffer[] = [];
    const told: string[] = [];
    const frames = new CopyFrames('log', {
      data: (whole, start, end, _, lo) => {
        const bytes = whole.subarray(start, end);
        seen.push(bytes);
        told.push(`${lo} ${bytes.length} ${bytes[0]} ${bytes.at(-1)}`);
      },
      other: () => told.push('other'),
      broken: () => told.push('broken'),
    });
    const whole = Buffer.concat([xlog(0, 1, Buffer.alloc(3_000_000, 7)), xlog(0, 2, Buffer.alloc(2_000_000, 8)), xlog(0, 3, Buffer.from([9]))]);
    for (let at = 0; at < whole.length; at += 65_536) frames.push(Buffer.from(whole.subarray(at, at + 65_536)));
    expect(told).toEqual(['1 3000000 7 7', '2 2000000 8 8', '3 1 9 9']);
    expect(seen.map(({ buffer }) => buffer.byteLength).slice(0, 2)).toEqual([0, 0]);
  });

  it('a length that cannot be ends it (I8)', () => {
    expect(read([Buffer.from([0x64, 0, 0, 0, 3, 1, 2, 3]), message(0x45, Buffer.from('x'))])).toEqual(['broken']);
    expect(read([Buffer.from([0x64, 0xff, 0xff]), Buffer.from([0xff, 0xff, 0])])).toEqual(['broken']);
  });
});
