/** The databases of the load runs: what a connector reads, a load on it, what can happen to the server, and what the tables hold in the end. */
import type { Daemon } from './daemon.ts';
import type { LedgerOptions, StreamLedger } from './stream-ledger.ts';
import type { Load } from './tpcb.ts';

export interface LoadSource {
  /** For the connector's file. */
  readonly source: Readonly<Record<string, unknown>>;
  /** Captured, each with its schema, or its database where there are none. */
  readonly tables: readonly string[];
  readonly ledgerOptions: LedgerOptions;
  /** Fills the tables: once the daemon streams, which then has seen all. */
  fill(): Promise<void>;
  startLoad(): Pick<Load, 'stop'>;
  /** Faults by name, each of which is over when its promise resolves. */
  readonly faults: Readonly<Record<string, (daemon: Daemon) => Promise<void>>>;
  /** The faults of a run with kills for which none are named. */
  readonly usualFaults: readonly string[];
  /** Where its log ends now. */
  end(): Promise<string>;
  /** Whether the daemon has saved all that stands before such an end. */
  hasSaved(daemon: Daemon, end: string): Promise<boolean>;
  /** What differs between the tables and what was rebuilt from the messages. */
  differences(ledger: StreamLedger): Promise<readonly string[]>;
  dispose(): Promise<void>;
}
