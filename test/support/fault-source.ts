/** The databases of the fault matrix: what a connector reads there, what a load writes, and how far Sluice is with it. */
import type { Daemon } from './daemon.ts';

/** One connection of a load. */
export interface LoadClient {
  /** Several statements in one text arrive at the server whole or not at all; answers with the rows of one that stands alone. */
  query<T = unknown>(sql: string): Promise<readonly T[]>;
  end(): Promise<void>;
}

/** Looks at how far Sluice is with what was committed when this was made. */
export interface Progress {
  isDone(): Promise<boolean>;
  end(): Promise<void>;
}

export interface FaultSource {
  /** A database of its own with the tables of the load; answers with its name. */
  createDatabase(prefix: string): Promise<string>;
  /** For the connector's file. `through`: changes the address that Sluice is given. */
  config(database: string, through: (url: string) => string): Readonly<Record<string, unknown>>;
  connect(database: string): Promise<LoadClient>;
  query<T>(sql: string, database?: string): Promise<readonly T[]>;
  /** Of all that is committed by now: whether it is durable and saved (I5). */
  progress(connector: string, daemon: Daemon, database: string): Promise<Progress>;
  /** Where the server, or the state where the server is told nothing, has the connector. */
  acknowledged(connector: string, daemon: Daemon): Promise<string>;
  /** Takes away what would be kept for a connector that is gone. */
  forget(connector: string): Promise<void>;
}
