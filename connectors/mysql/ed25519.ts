/** MariaDB's authentication plug-in `ed25519`: the client signs what the server sent. mysql2 does not have it. */
import { createHash } from 'node:crypto';

const SCRAMBLE_BYTES = 32;

/**
 * A signature by Ed25519 (RFC 8032, 5.1.6) whose secret is the SHA-512 of the password, where the RFC has that of a seed of 32 bytes (source of MariaDB, `plugin/auth_ed25519`): so
 * Node.js' own cannot make it. The library is loaded when a server asks for it.
 */
export async function signScramble(password: string, scramble: Uint8Array): Promise<Buffer> {
  const {
    ed25519: { Point },
  } = await import('@noble/curves/ed25519.js');
  const order = Point.Fn.ORDER;
  const timesBase = (scalar: bigint): Uint8Array => Point.BASE.multiply(scalar).toBytes();
  const message = scramble.subarray(0, SCRAMBLE_BYTES);
  const secret = sha512(Buffer.from(password, 'utf8'));
  secret[0] = (secret[0] as number) & 0xf8;
  secret[31] = ((secret[31] as number) & 0x3f) | 0x40;
  const scalar = integer(secret.subarray(0, 32)) % order;
  const nonce = integer(sha512(secret.subarray(32), message)) % order;
  const point = timesBase(nonce);
  const challenge = integer(sha512(point, timesBase(scalar), message)) % order;
  const proof = ((nonce + challenge * scalar) % order).toString(16).padStart(64, '0');
  return Buffer.concat([point, Buffer.from(proof, 'hex').reverse()]);
}

function sha512(...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash('sha512');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** Its bytes come the lowest first. */
function integer(bytes: Buffer): bigint {
  return BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`);
}
