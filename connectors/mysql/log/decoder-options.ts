/** What the decoder of the log needs of the world. */
import type { BatchWriter } from '#plugin';
import type { Arrivals } from './arrivals.ts';
import type { DefinitionScope } from './definitions.ts';
import type { LogPosition, System } from './position.ts';
import type { CharsetOf } from './table-map.ts';
import type { FileEnds } from './torn.ts';

/** Where records go: `BatchQueue`. */
interface Target {
  readonly writer: BatchWriter;
  /** Another for each batch. */
  readonly batchNumber: number;
  recordAdded(): void;
  checkpoint(): void;
}

export interface DecoderOptions {
  readonly connector: string;
  readonly system: System;
  readonly from: LogPosition;
  readonly captures: (database: string, table: string) => boolean;
  /** Statements that change rows are told with them. */
  readonly includesQuery: boolean;
  /** Of which tables statements that define them anew are told; null: of none. */
  readonly definitions: DefinitionScope | null;
  readonly charsetOf: CharsetOf;
  readonly charsetOfStatement: CharsetOf;
  readonly areBinary: (key: string) => boolean;
  readonly described: boolean;
  /** The server's catalogue has to be asked about some definitions (CatalogueChanged). */
  readonly asksCatalogue: boolean;
  readonly fileEnds: FileEnds;
  readonly arrivals: Arrivals;
  readonly target: Target;
}
