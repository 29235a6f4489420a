import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';

export async function deleteStream(servers: string, stream: string): Promise<void> {
  const connection = await connect({ servers });
  await (await jetstreamManager(connection)).streams.delete(stream);
  await connection.close();
}

/** The newest message of a subject, as text; empty: there is none. */
export async function lastOf(servers: string, stream: string, subject: string): Promise<string> {
  const connection = await connect({ servers });
  const message = await (await jetstreamManager(connection)).streams.getMessage(stream, { last_by_subj: subject }).catch(() => null);
  await connection.close();
  return message?.string() ?? '';
}

/** How many messages stand under a subject; 0 too where there is no such stream yet. */
export async function countOf(servers: string, stream: string, subject: string): Promise<number> {
  const connection = await connect({ servers });
  const info = await (await jetstreamManager(connection)).streams.info(stream, { subjects_filter: subject }).catch(() => null);
  await connection.close();
  return info?.state.subjects?.[subject] ?? 0;
}
