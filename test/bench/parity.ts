import { createHash } from 'node:crypto';
import { readStream } from '../support/stream-ledger.ts';
import type { Parity } from './backlog.ts';

/** Number and hash of the rows that stand in a stream, computed as `writeBacklog` computes them from the table. */
export async function parityOfStream(servers: string, stream: string): Promise<Parity> {
  let rows = 0;
  let sum = 0n;
  await readStream(servers, stream, ({ value }) => {
    if (value === null || value.after === null) return;
    rows++;
    const { id, n, name, amount, body, at } = value.after as Record<string, string>;
    const text = [id, n, name, decimal(amount as string, 2), body, micros(at as string)].join('|');
    sum += BigInt(`0x${createHash('md5').update(text).digest('hex').slice(0, 13)}`);
  });
  return { rows, hash: sum.toString() };
}

/** Connect's Decimal: big-endian two's complement, base64. */
function decimal(base64: string, scale: number): string {
  const bytes = Buffer.from(base64, 'base64');
  const digits = BigInt.asIntN(bytes.length * 8, BigInt(`0x${bytes.toString('hex')}`)).toString();
  const padded = digits.replace('-', '').padStart(scale + 1, '0');
  return `${digits.startsWith('-') ? '-' : ''}${padded.slice(0, -scale)}.${padded.slice(-scale)}`;
}

function micros(iso: string): string {
  const [, seconds, fraction = ''] = /^(.*?)(?:\.(\d+))?Z$/.exec(iso) as unknown as [string, string, string?];
  return `${Date.parse(`${seconds}Z`) / 1000}${fraction.padEnd(6, '0')}`;
}
