/** What the sinks' part of the fault matrix shares: raw clients that say when a server works again (I10), and the operator's steps. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { type Admin, Kafka, logLevel } from 'kafkajs';
import { expect } from 'vitest';
import type { KafkaServer } from '../servers/index.ts';
import { overWire, readMetadata } from '../servers/kafka-protocol.ts';
import { sluice } from './cli.ts';
import type { LogLine } from './daemon.ts';
import type { FaultRun, FaultSink } from './fault-run.ts';
import { writeRecords } from './kafka-topics.ts';
import type { StoredMessage } from './stream-ledger.ts';

/** A load that no fault here leaves so far behind that catching up would be measured instead of recovery. */
export const MODEST = { writers: 2, pauseMs: 40 } as const;

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A raw client reaches the stream's leader. */
export async function natsWorks(url: string, stream: string): Promise<void> {
  const connection = await connect({ servers: url, reconnect: false, timeout: 2_000 });
  try {
    const manager = await jetstreamManager(connection, { checkAPI: false, timeout: 2_000 });
    await manager.streams.info(stream);
  } finally {
    await connection.close();
  }
}

/** One request to the server, as the `nats` command makes them. */
export async function askNats(url: string, subject: string): Promise<Record<string, unknown>> {
  const connection = await connect({ servers: url });
  try {
    return (await connection.request(subject, '', { timeout: 5_000 })).json();
  } finally {
    await connection.close();
  }
}

/** A raw client writes a record, acknowledged by all, to a topic like those of the run. */
export function kafkaWorks(server: KafkaServer, topic: string): Promise<void> {
  return writeRecords(server, topic, 0, [{ key: null, value: 'raw' }]);
}

/** A raw client is answered at this address. */
export async function kafkaAnswers(address: string): Promise<void> {
  await overWire(address, (connection) => readMetadata(connection), { timeoutMs: 2_000 });
}

export async function withAdmin<T>(server: KafkaServer, work: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = new Kafka({ brokers: server.nodes.map((node) => node.direct), logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.disconnect();
  }
}

/** A sink whose messages so far can be kept, for where a fault takes them away: what was acknowledged there is not published again. */
export function keeping(sink: FaultSink): FaultSink & { keep(): Promise<void> } {
  const kept: StoredMessage[] = [];
  return {
    config: sink.config,
    messages: async () => [...kept, ...(await sink.messages())],
    keep: async () => void kept.push(...(await sink.messages())),
  };
}

/** Runs a `sluice …` command line that a remedy names, on the configuration of the run. */
export async function carryOut(run: FaultRun, remedy: string, command: string): Promise<void> {
  expect(remedy).toContain(command);
  await run.daemon.exit();
  const answer = await sluice([...command.split(' ').slice(1), run.daemon.directory]);
  expect(answer, `${command}: ${answer.stderr}`).toMatchObject({ exit: 0 });
}

/** Lines of level warn, without those of the preflight, that fit. */
export function warnings(run: FaultRun, pattern: RegExp): readonly LogLine[] {
  return run.daemon.log.filter(({ level, msg }) => level === 'warn' && pattern.test(msg));
}

/** Puts a second connector into the daemon of the run, which is started again with it. */
export async function addConnector(run: FaultRun, connector: { readonly name: string; readonly [option: string]: unknown }): Promise<void> {
  const streamed = run.streamed;
  await run.daemon.stop('SIGTERM');
  await writeFile(join(run.daemon.directory, 'connectors', `${connector.name}.json`), JSON.stringify(connector));
  run.daemon.start();
  await streamsSoon(run, streamed + 1);
}

/** The daemon is started again after its only connector stopped for good. */
export async function startAgain(run: FaultRun): Promise<void> {
  await run.daemon.exit();
  const streamed = run.streamed;
  run.daemon.start();
  await streamsSoon(run, streamed);
}

/** As `run.streams`, for a machine that does much else at the same time. */
async function streamsSoon(run: FaultRun, times: number): Promise<void> {
  await expect.poll(() => run.streamed, { timeout: 90_000, interval: 50 }).toBeGreaterThan(times);
}

/** Ends a run; what its daemon said goes to the directory that the environment names, to look at afterwards. */
export async function endRun(run: FaultRun | null): Promise<void> {
  if (run === null) return;
  const directory = process.env['SLUICE_CHAOS_LOGS'];
  if (directory !== undefined) await writeFile(join(directory, `${run.database}.log`), run.daemon.stderr);
  await run.dispose();
}
