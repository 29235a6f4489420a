import type { Runtime } from '#plugin';
import type { Client } from '../client.ts';
import type { MysqlConfig } from '../config.ts';
import type { LogEnd, ServerFacts } from '../server.ts';

/** The server whose log is to be read, and what it is asked with. */
export interface Here {
  readonly client: Client;
  readonly config: MysqlConfig;
  readonly runtime: Runtime;
  readonly connector: string;
  readonly server: ServerFacts;
  /** Where its log ends. */
  readonly end: LogEnd;
}
