import type { ConfigOf, FieldTable } from '../plugin/field.ts';
import type { FormatPlugin } from '../plugin/format.ts';
import type { SinkPlugin } from '../plugin/sink.ts';
import type { SourcePlugin } from '../plugin/source.ts';
import type { connectorFields } from './connector-fields.ts';

type CommonConfig = ConfigOf<typeof connectorFields>;

/** A plug-in with its validated section. */
export interface Part<P> {
  readonly plugin: P;
  readonly config: ConfigOf<FieldTable>;
}

/** One connector as the daemon runs it. Durations are milliseconds, sizes are bytes. */
export interface ConnectorDefinition {
  readonly name: string;
  /** The file it was read from, as the user wrote it. */
  readonly file: string;
  /** It was created through the API or a command, and its file stands in the data directory. Left out: it is a file of the configuration. */
  readonly isStored?: true;
  readonly source: Part<SourcePlugin>;
  readonly format: Part<FormatPlugin>;
  readonly sink: Part<SinkPlugin>;
  readonly batch: CommonConfig['batch'];
  readonly checkpoint: CommonConfig['checkpoint'];
  readonly retry: CommonConfig['retry'];
  readonly onError: CommonConfig['onError'];
  readonly deadLetter: CommonConfig['deadLetter'];
  readonly spool: CommonConfig['spool'];
  readonly schemaChanges: CommonConfig['schemaChanges'];
  readonly compatibility: CommonConfig['compatibility'];
  readonly mapping: CommonConfig['mapping'];
  readonly protect: CommonConfig['protect'];
  /** Left out: there is none. */
  readonly freshness?: NonNullable<CommonConfig['freshness']>;
  readonly maxInFlightBytes: number;
}
