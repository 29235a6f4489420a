/** The server whose log is read, as the source asks it for everything beside the log itself. */
import ZongJi from '@vlasky/zongji';
import {
  type Position,
  type ReadOptions,
  type RecoverOptions,
  rootMessage,
  type SluiceError,
  type SourceContext,
  type SourcePreflight,
  type StoredPosition,
} from '#plugin';
import type { Charsets } from './charset-tables.ts';
import { Client, connectionOptions } from './client.ts';
import { type MysqlConfig, serverIdOf } from './config.ts';
import { asSluiceError } from './connection-error.ts';
import { readDefinitions } from './definitions.ts';
import { Headroom, type LogLook } from './headroom.ts';
import { DefinitionsWanted } from './log/definitions.ts';
import type { Library } from './log/library.ts';
import type { LogPosition, System } from './log/position.ts';
import { CatalogueChanged, type Question, UnknownBinaries, UnknownCollation, UnknownTable } from './log/table-map.ts';
import { type FileEnds, UnknownFileEnd } from './log/torn.ts';
import { preflightMysql } from './preflight.ts';
import { type Prepared, prepareLog } from './prepare.ts';
import { recoverPosition } from './recover.ts';
import { type ServerFacts, wholeIn } from './server.ts';
import { registerTable } from './snapshot/readable-table.ts';
import { demandBinaries, hidesProblems, matchTables } from './tables.ts';

/** What is learnt while a log is read. */
export interface Known {
  readonly charsets: Charsets;
  readonly server: ServerFacts;
  readonly fileEnds: FileEnds;
  /** Tables of which the catalogue has said that what looks binary is (`UnknownBinaries.key`). */
  readonly binaries: Set<string>;
}

/** Everything throws SluiceErrors. */
export interface Upstream {
  preflight(signal: AbortSignal, stored?: StoredPosition): Promise<SourcePreflight>;
  prepare(options: ReadOptions, signal: AbortSignal): Promise<Prepared>;
  /** Adds the answer to what is known. */
  learn(question: Question, known: Known): Promise<void>;
  /** How the log stands to that place. */
  look(position: LogPosition): Promise<LogLook>;
  recover(options: RecoverOptions, signal: AbortSignal): Promise<Position>;
  /** What one session reads the log with. */
  library(): Promise<Library>;
  /** Of what came of the stream, which was asked for in this way. */
  toError(error: unknown, by: LogPosition['by']): SluiceError;
}

export class MysqlUpstream implements Upstream {
  readonly #config: MysqlConfig;
  readonly #system: System;
  readonly #context: SourceContext;
  readonly #headroom: Headroom;

  constructor(config: MysqlConfig, system: System, context: SourceContext) {
    this.#config = config;
    this.#system = system;
    this.#context = context;
    this.#headroom = new Headroom(config, system, context.runtime);
  }

  preflight(signal: AbortSignal, stored?: StoredPosition): Promise<SourcePreflight> {
    return preflightMysql(this.#config, this.#system, this.#context, signal, stored);
  }

  prepare(options: ReadOptions, signal: AbortSignal): Promise<Prepared> {
    return prepareLog(this.#config, this.#system, this.#context, options, signal);
  }

  async learn(question: Question, { charsets, server, fileEnds, binaries }: Known): Promise<void> {
    const client = await Client.connect(this.#config, this.#context.runtime);
    try {
      if (question instanceof UnknownCollation) await charsets.learn(client, question.collation, 'a captured table');
      else if (question instanceof DefinitionsWanted) await readDefinitions(client, this.#system, question);
      else if (question instanceof CatalogueChanged) await this.#checkTables(client, server);
      else if (question instanceof UnknownTable) await this.#register(client, charsets, question);
      else if (question instanceof UnknownFileEnd) fileEnds.know(question.file, await wholeIn(client, question.file));
      else if (question instanceof UnknownBinaries) {
        await demandBinaries(client, question);
        binaries.add(question.key);
      }
    } finally {
      client.close();
    }
  }

  async look(position: LogPosition): Promise<LogLook> {
    const client = await Client.connect(this.#config, this.#context.runtime);
    try {
      return await this.#headroom.look(client, position);
    } catch (error) {
      throw asSluiceError(error, { config: this.#config, doing: 'how its log stands' });
    } finally {
      client.close();
    }
  }

  recover(options: RecoverOptions, signal: AbortSignal): Promise<Position> {
    return recoverPosition(this.#config, this.#system, this.#context, options, signal);
  }

  async library(): Promise<Library> {
    const options = await connectionOptions(this.#config, this.#context.runtime);
    return new ZongJi(options as ConstructorParameters<typeof ZongJi>[0]);
  }

  toError(error: unknown, by: LogPosition['by']): SluiceError {
    const { connector, instance } = this.#context;
    const serverId = serverIdOf(this.#config, connector, instance);
    return asSluiceError(error, { config: this.#config, doing: 'the request for its log', stream: { connector, serverId, by } });
  }

  async #register(client: Client, charsets: Charsets, { database, table: name }: UnknownTable): Promise<void> {
    const { connector, tables: registry } = this.#context;
    const table = { database, name, label: `${database}.${name}` };
    try {
      await registerTable(client, table, { connector, system: this.#system, charsets, registry });
    } catch (error) {
      // It is gone, or may not be read, or has columns that nothing is known of: then there is nothing to be known of it here.
      this.#context.log.debug('The columns of a table that was truncated are not known.', { table: table.label, detail: rootMessage(error) });
    }
  }

  /** Throws a SluiceError if a table has by now what it is refused for. */
  async #checkTables(client: Client, server: ServerFacts): Promise<void> {
    if (!hidesProblems(server)) return;
    const { problems } = await matchTables(client, this.#config, server);
    if (problems[0] !== undefined) throw problems[0];
  }
}
