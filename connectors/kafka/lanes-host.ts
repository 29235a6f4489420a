import type { SinkContext } from '#plugin';
import type { KafkaConfig } from './config.ts';
import type { KafkaDriver } from './drivers/driver.ts';
import type { Topics } from './topics.ts';
import type { Trouble } from './trouble.ts';

/** What the lanes of a sink work with. */
export interface LanesHost {
  readonly config: KafkaConfig;
  readonly context: SinkContext;
  readonly driver: KafkaDriver;
  readonly topics: Topics;
  readonly trouble: Trouble;
  readonly cluster: string;
}
