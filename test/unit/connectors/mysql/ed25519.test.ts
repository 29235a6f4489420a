import { createPublicKey, randomBytes, verify } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { signScramble } from '../../../../connectors/mysql/ed25519.ts';

/** What the server keeps of the password `secret` (MariaDB's documentation of ED25519_PASSWORD). */
const SECRET = 'ZIgUREUg5PVgQ6LskhXmO+eZLS0nC8be6HPjYWR4YJY';
/** RFC 8410: what stands before the bytes of a public key. */
const PREFIX = '302a300506032b6570032100';

const key = createPublicKey({ key: Buffer.concat([Buffer.from(PREFIX, 'hex'), Buffer.from(SECRET, 'base64')]), format: 'der', type: 'spki' });

describe('ed25519 of MariaDB', () => {
  it('signs so that the server accepts it by what it keeps of the password', async () => {
    for (let round = 0; round < 20; round++) {
      const scramble = randomBytes(32);
      expect(verify(null, scramble, key, await signScramble('secret', scramble))).toBe(true);
      expect(verify(null, scramble, key, await signScramble('Secret', scramble))).toBe(false);
    }
  });

  it('signs the 32 bytes, whatever stands behind them', async () => {
    const scramble = randomBytes(32);
    expect(await signScramble('secret', Buffer.concat([scramble, Buffer.alloc(1)]))).toEqual(await signScramble('secret', scramble));
  });
});
