import { fileURLToPath } from 'node:url';
import type { KafkaServer, NatsServer } from '../servers/index.ts';
import { Measured } from './measure.ts';

/** The built product. */
export const MAIN = fileURLToPath(new URL('../../dist/src/main.js', import.meta.url));

export interface Answer {
  readonly rows: number;
  readonly seconds: number;
  readonly cpuMicros: number;
  readonly peakBytes: number;
}

/** Runs a program of this folder, which measures itself and prints one line. */
export async function program(name: string, args: readonly string[]): Promise<Answer> {
  const path = fileURLToPath(new URL(name, import.meta.url));
  const usage = await new Measured(process.execPath, ['--conditions=source', '--import', 'tsx', path, ...args]).done;
  if (usage.exitCode !== 0) throw new Error(`${name}: ${usage.stderr}`);
  return JSON.parse(usage.stdout) as Answer;
}

export function natsSink({ url }: NatsServer, stream: string): Record<string, unknown> {
  return { type: 'nats', servers: [url], stream, subject: `${stream}.{schema}.{table}` };
}

export function kafkaSink({ brokers }: KafkaServer, topic: string, partitions: number, driver = 'platformatic'): Record<string, unknown> {
  return { type: 'kafka', driver, brokers, topic, partitions };
}
