import { connect } from '@nats-io/transport-node';
import type { PostgresServer } from '../servers/index.ts';

export interface Latency {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly transactions: number;
}

/**
 * Commit to NATS: transactions are sent at fixed times, whether or not earlier ones have arrived (open loop), and each is measured from the moment its
 * commit was called until a plain subscriber of the subject has the message. Both ends are this process: one clock.
 */
export async function measureLatency(
  postgres: PostgresServer,
  database: string,
  options: { servers: string; subject: string; perSecond: number; seconds: number; firstId: number },
): Promise<Latency> {
  const connection = await connect({ servers: options.servers });
  const sentAt = new Map<number, number>();
  const delays: number[] = [];
  const total = options.perSecond * options.seconds;
  const subscription = connection.subscribe(options.subject, {
    callback: (_error, message) => {
      const arrived = performance.now();
      const id = Number(/"after":\{"id":(\d+)/.exec(message.string())?.[1] ?? Number.NaN);
      const sent = sentAt.get(id);
      if (sent !== undefined) delays.push(arrived - sent);
    },
  });
  await connection.flush();
  const clients = await Promise.all(Array.from({ length: 4 }, () => postgres.connect(database)));
  const started = performance.now();
  let sent = 0;
  while (sent < total) {
    const due = Math.min(total, Math.floor(((performance.now() - started) / 1000) * options.perSecond) + 1);
    for (; sent < due; sent++) {
      const id = options.firstId + sent;
      sentAt.set(id, performance.now());
      void clients[sent % clients.length]?.query(`insert into bench values (${id}, 1, 'latency', 1.00, 'x', now())`);
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const end = performance.now() + 10_000;
  while (delays.length < total && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 20));
  subscription.unsubscribe();
  await Promise.all([connection.close(), ...clients.map((client) => client.end())]);
  if (delays.length !== total) throw new Error(`void: ${delays.length} of ${total} transactions arrived`);
  delays.sort((a, b) => a - b);
  const at = (share: number): number => delays[Math.min(total - 1, Math.floor(total * share))] as number;
  return { p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1), transactions: total };
}
