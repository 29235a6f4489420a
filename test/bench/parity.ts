import { createHash } from 'node:crypto';
import type { KafkaServer } from '../servers/index.ts';
import { readTopic } from '../support/kafka-topics.ts';
import { type DebeziumValue, readStream } from '../support/stream-ledger.ts';
import type { Parity } from './backlog.ts';

/** Number and hash of the rows that stand in a stream, computed as `writeBacklog` computes them from the table. */
export async function parityOfStream(servers: string, stream: string): Promise<Parity> {
  const sum = new RowSum();
  await readStream(servers, stream, ({ value }) => sum.add(value));
  return sum.parity;
}

/** The same of a topic. */
export async function parityOfTopic(kafka: KafkaServer, topic: string): Promise<Parity> {
  const sum = new RowSum();
  for (const { value } of await readTopic(kafka, topic)) sum.add(value === null ? null : (JSON.parse(value.toString('utf8')) as DebeziumValue));
  return sum.parity;
}

/** Adds up rows as `writeBacklog` does. */
export class RowSum {
  readonly #digest: 'md5' | 'sha256';
  #rows = 0;
  #sum = 0n;

  constructor(digest: 'md5' | 'sha256' = 'md5') {
    this.#digest = digest;
  }

  get parity(): Parity {
    return { rows: this.#rows, hash: this.#sum.toString() };
  }

  add(value: DebeziumValue | null): void {
    if (value === null || value.after === null) return;
    this.#rows++;
    const { id, n, name, amount, body, at } = value.after as Record<string, string>;
    const text = [id, n, name, decimal(amount as string, 2), body, micros(at as string)].join('|');
    this.#sum += BigInt(`0x${createHash(this.#digest).update(text).digest('hex').slice(0, 13)}`);
  }
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
