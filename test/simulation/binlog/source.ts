/** The real source of a binary log, over a server that is simulated. */
import { Charsets } from '../../../connectors/mysql/charset-tables.ts';
import type { Client } from '../../../connectors/mysql/client.ts';
import type { MysqlConfig } from '../../../connectors/mysql/config.ts';
import { asSluiceError } from '../../../connectors/mysql/connection-error.ts';
import { positionUnreadable, recoverUnsafe, startedWithOutput } from '../../../connectors/mysql/errors.ts';
import { type LogLook, NOTHING_KNOWN } from '../../../connectors/mysql/headroom.ts';
import { mariadb, mysql } from '../../../connectors/mysql/index.ts';
import type { Library } from '../../../connectors/mysql/log/library.ts';
import { type LogPosition, NO_PROOF, readPosition } from '../../../connectors/mysql/log/position.ts';
import { type Question, UnknownCollation } from '../../../connectors/mysql/log/table-map.ts';
import { UnknownFileEnd } from '../../../connectors/mysql/log/torn.ts';
import type { Prepared } from '../../../connectors/mysql/prepare.ts';
import { MysqlLogSource } from '../../../connectors/mysql/source.ts';
import type { Known, Upstream } from '../../../connectors/mysql/upstream.ts';
import type { SourceContext } from '../../../src/plugin/context.ts';
import { SluiceError } from '../../../src/plugin/error.ts';
import type { ReadOptions, RecoverOptions, Source, SourcePlugin, SourcePreflight } from '../../../src/plugin/source.ts';
import type { Position } from '../../../src/record/position.ts';
import type { TableShape } from '../../../src/record/table.ts';
import type { Plan } from '../plan.ts';
import { TABLES_WITHOUT_SCHEMAS } from '../tables.ts';
import type { Owner, World } from '../world.ts';
import { UUID } from './layout.ts';
import { SimulatedLibrary } from './library.ts';
import type { BinlogServer } from './server.ts';

const FIRST_EVENT = 4;

interface Around {
  readonly world: World;
  readonly plan: Plan;
  readonly owner: Owner;
  readonly server: BinlogServer;
}

function configOf({ heartbeatMs }: Plan): MysqlConfig {
  return {
    url: 'mysql://sim@localhost:3306',
    tls: {},
    tables: ['shop.*'],
    serverId: 77,
    snapshot: { mode: 'no_data', include: [], exclude: [], where: {}, order: 'listed', parallelism: 1, maxRowsPerSecond: 0, maxLag: 0 },
    acceptUnloggedCascades: false,
    includeQuery: false,
    heartbeat: { interval: heartbeatMs },
    connectTimeout: 1000,
  };
}

/** Character sets of the server: two, one of which the reader must ask for. */
const CLIENT = {
  rows: async (what: string, sql: string): Promise<unknown[]> => {
    if (what === 'its character sets')
      return [
        { name: 'utf8mb4', width: '4' },
        { name: 'latin1', width: '1' },
      ];
    if (what === 'its collations')
      return [
        { id: '255', name: 'utf8mb4' },
        { id: '8', name: 'latin1' },
      ];
    const bytes = Buffer.from(/x'([0-9a-f]*)'/.exec(sql)?.[1] ?? '', 'hex');
    const points = Buffer.alloc(4 * bytes.length);
    for (const [index, byte] of bytes.entries()) points.writeUInt32BE(byte, 4 * index);
    return [{ points: points.toString('hex') }];
  },
} as unknown as Client;

class SimulatedUpstream implements Upstream {
  readonly #around: Around;
  readonly #context: SourceContext;

  constructor(around: Around, context: SourceContext) {
    this.#around = around;
    this.#context = context;
  }

  async preflight(): Promise<SourcePreflight> {
    await this.#reach('preflight');
    return { findings: [], tables: TABLES_WITHOUT_SCHEMAS.map(([first]) => first as TableShape) };
  }

  async prepare({ from, published, sinkHoldsOutput }: ReadOptions, signal: AbortSignal): Promise<Prepared> {
    const { server, world } = this.#around;
    const { connector } = this.#context;
    await this.#reach('what is asked before the log is read');
    signal.throwIfAborted();
    for (const id of published) {
      if (!server.log.transactions.some(({ transaction }) => transaction.id === id)) world.violated('I2', `${id} was published`);
    }
    if (from === null && sinkHoldsOutput) throw new SluiceError(startedWithOutput, { connector });
    const known = from === null ? this.#beginning() : readPosition(from, server.system);
    if (known === null) throw new SluiceError(positionUnreadable, { connector, system: server.system });
    const { layout } = server;
    const facts = { system: server.system, version: '9.7.4', versionNumber: 90_704, identity: this.#identity, settings: {}, executed: layout.state };
    const file = server.files.at(-1);
    return {
      server: { ...facts, hasGtids: server.hasGtids },
      end: { file: file?.name ?? '', pos: String(FIRST_EVENT) },
      // As the real one does.
      from: server.hasGtids ? known : { ...known, by: 'file' },
      charsets: await Charsets.load(CLIENT, layout.isMariadb),
      names: [],
      wanted: [],
    };
  }

  async learn(question: Question, { charsets, fileEnds }: Known): Promise<void> {
    const { server } = this.#around;
    await this.#reach(`the answer about ${question.message}`);
    if (question instanceof UnknownCollation) await charsets.learn(CLIENT, question.collation, 'a captured table');
    else if (question instanceof UnknownFileEnd) {
      const { files } = server;
      const at = files.findIndex(({ name }) => name === question.file);
      fileEnds.know(question.file, at < 0 ? null : (files[at + 1]?.list.join(',') ?? null));
    }
  }

  async look(position: LogPosition): Promise<LogLook> {
    const { server } = this.#around;
    return { ...NOTHING_KNOWN, lagBytes: Math.max(0, server.log.head - server.layout.offsetOf(position.file, Number(position.pos))) };
  }

  /** No sink with many lanes tells its last transaction: an operator has the offset that was acknowledged last. */
  async recover({ from }: RecoverOptions): Promise<Position> {
    await this.#reach('recover');
    if (from === 'slot') throw new SluiceError(recoverUnsafe, { connector: this.#context.connector, why: 'these servers have no slots' });
    return this.#around.server.noted ?? this.#beginning();
  }

  async library(): Promise<Library> {
    const { world, owner, server } = this.#around;
    return new SimulatedLibrary(world, owner, server);
  }

  toError(error: unknown, by: LogPosition['by']): SluiceError {
    const stream = { connector: this.#context.connector, serverId: 77, by };
    return asSluiceError(error, { config: configOf(this.#around.plan), doing: 'the request for its log', stream });
  }

  get #identity(): string {
    return this.#around.server.layout.isMariadb ? '1' : UUID;
  }

  /** The connector was made before anything of it was committed. */
  #beginning(): LogPosition {
    const { server } = this.#around;
    const { layout } = server;
    const [file] = layout.files;
    const begun = { system: server.system, server: this.#identity, gtid: layout.executed, file: file?.name ?? '', ...NO_PROOF };
    if (layout.dialect === 'gtid' || layout.isMariadb) return { ...begun, by: 'gtid', pos: '0' };
    return { ...begun, by: layout.dialect === 'file' ? 'file' : 'gtid', pos: String(layout.units[0]?.end), created: String(file?.created) };
  }

  #reach(what: string): Promise<void> {
    const { server, owner } = this.#around;
    return server.reach(owner, what);
  }
}

export function binlogSource(around: Around): SourcePlugin {
  const { plan, server } = around;
  const { snapshot: _, ...plugin } = server.system === 'mysql' ? mysql : mariadb;
  return {
    ...plugin,
    create: (_config: unknown, context: SourceContext): Source => {
      const own = { ...context, maxBufferedBytes: plan.queueBytes };
      const source: Source = new MysqlLogSource(configOf(plan), server.system, own, new SimulatedUpstream(around, own));
      const acknowledge = source.acknowledge.bind(source);
      // The server is told nothing: it is counted.
      source.acknowledge = (checkpoint) => {
        acknowledge(checkpoint);
        server.acknowledged(checkpoint);
      };
      return source;
    },
  } as unknown as SourcePlugin;
}
