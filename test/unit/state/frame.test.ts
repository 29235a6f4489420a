import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameError, frame, unframe } from '../../../src/state/frame.ts';

describe('frame', () => {
  it('gives back any payload', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (payload) => {
        expect([...unframe('k', frame(payload))]).toEqual([...payload]);
      }),
    );
  });

  it('throws, naming the key, for every change of one bit, every cut and every extension', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(), fc.nat(7), (payload, where, bit) => {
        const bytes = frame(payload);
        const at = where % bytes.length;
        const damaged = Buffer.from(bytes);
        damaged.writeUInt8(damaged.readUInt8(at) ^ (1 << bit), at);
        for (const each of [damaged, bytes.subarray(0, at), Buffer.concat([bytes, Buffer.from([bit])])]) {
          expect(() => unframe('the/key', each)).toThrow(FrameError);
          expect(() => unframe('the/key', each)).toThrow('the/key');
        }
      }),
    );
  });
});
