/** The part of kafkajs under its clients: what its admin client asks is not all that a broker can tell. */
import type { Kafka } from 'kafkajs';

const READ_UNCOMMITTED = 0;
/** ListOffsets: special timestamp. */
const LATEST = -1;

interface Broker {
  listOffsets(request: {
    readonly replicaId: number;
    readonly isolationLevel: number;
    readonly topics: readonly {
      readonly topic: string;
      readonly partitions: readonly { readonly partition: number; readonly timestamp: number }[];
    }[];
  }): Promise<{ readonly responses: readonly { readonly partitions: readonly { readonly partition: number; readonly offset: string }[] }[] }>;
}

/** kafkajs 2.2.4, src/cluster/index.js. */
export interface KafkajsCluster {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  addTargetTopic(topic: string): Promise<void>;
  refreshMetadata(): Promise<void>;
  findTopicPartitionMetadata(topic: string): readonly { readonly partitionId: number; readonly leader: number }[];
  findBroker(which: { readonly nodeId: string }): Promise<Broker>;
}

type Make = (options: { readonly allowAutoTopicCreation: boolean; readonly isolationLevel: number }) => KafkajsCluster;

/** The library keeps it under a symbol; versions are exact, so that it is there. */
export function clusterOf(kafka: Kafka): KafkajsCluster {
  const symbol = Object.getOwnPropertySymbols(kafka).find(({ description }) => description === 'private:Kafka:createCluster');
  if (symbol === undefined) throw new Error('this version of kafkajs keeps its clusters elsewhere');
  return (kafka as unknown as Record<symbol, Make>)[symbol]?.({ allowAutoTopicCreation: false, isolationLevel: READ_UNCOMMITTED }) as KafkajsCluster;
}

/** Where partitions of a topic end, for a consumer or for a follower (committed-end.ts), by number. */
export async function endsOf(cluster: KafkajsCluster, topic: string, replicaId: number): Promise<ReadonlyMap<number, number>> {
  await cluster.addTargetTopic(topic);
  // Leaders move, and partitions are added.
  await cluster.refreshMetadata();
  const byLeader = new Map<number, number[]>();
  for (const { partitionId, leader } of cluster.findTopicPartitionMetadata(topic))
    byLeader.set(leader, [...(byLeader.get(leader) ?? []), partitionId]);
  const ends = new Map<number, number>();
  for (const [leader, partitions] of byLeader) {
    const broker = await cluster.findBroker({ nodeId: String(leader) });
    const asked = partitions.map((partition) => ({ partition, timestamp: LATEST }));
    const { responses } = await broker.listOffsets({ replicaId, isolationLevel: READ_UNCOMMITTED, topics: [{ topic, partitions: asked }] });
    for (const { partitions: told } of responses) for (const { partition, offset } of told) ends.set(partition, Number(offset));
  }
  return ends;
}
