import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';

export async function deleteStream(servers: string, stream: string): Promise<void> {
  const connection = await connect({ servers });
  await (await jetstreamManager(connection)).streams.delete(stream);
  await connection.close();
}
