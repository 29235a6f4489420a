import { expect } from 'vitest';
import type { PostgresServer } from '../servers/index.ts';
import { differencesOfTpcb } from './compare-tpcb.ts';
import { Daemon } from './daemon.ts';
import type { StreamLedger } from './stream-ledger.ts';
import { CREATE_TABLES, fillTables, type Load, startLoad, TPCB_TABLES } from './tpcb.ts';

export interface TpcbRunOptions {
  readonly postgres: PostgresServer;
  readonly name: string;
  readonly sink: Readonly<Record<string, unknown>>;
  readonly ledger: () => Promise<StreamLedger>;
  readonly scale: number;
  /** Of `sluice.json`. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Of each branch. */
  readonly accounts: number;
}

/** A database with pgbench's tables, a daemon that captures them, and the check that what arrived rebuilds them. */
export class TpcbRun {
  readonly daemon: Daemon;
  readonly #options: TpcbRunOptions;
  readonly database: string;

  private constructor(options: TpcbRunOptions, database: string, daemon: Daemon) {
    this.#options = options;
    this.database = database;
    this.daemon = daemon;
  }

  /** Resolves when the daemon streams and the tables are filled. */
  static async begin(options: TpcbRunOptions): Promise<TpcbRun> {
    const { postgres, name, sink, scale, accounts } = options;
    const database = await postgres.createDatabase(name);
    await postgres.query(CREATE_TABLES, database);
    const source = {
      type: 'postgres',
      url: postgres.url(database),
      tables: TPCB_TABLES.map((table) => `public.${table}`),
      insertOnly: ['public.pgbench_history'],
      snapshot: { mode: 'no_data' },
      heartbeat: { interval: '1s' },
    };
    const daemon = await Daemon.create([{ name, source, sink }], options.settings ?? {});
    daemon.start();
    await daemon.waitForLog(({ msg }) => msg.startsWith('Streaming'));
    await postgres.query(fillTables(scale, accounts), database);
    return new TpcbRun(options, database, daemon);
  }

  load(): Load {
    const { postgres, scale, accounts } = this.#options;
    return startLoad(postgres.url(this.database), { clients: 4, scale, accounts });
  }

  /** Waits until everything that is committed now is acknowledged to the slot, which is after it is durable and saved (I5). */
  async caughtUp(timeoutMs: number): Promise<void> {
    const { postgres, name } = this.#options;
    const [{ lsn }] = (await postgres.query<{ lsn: string }>('select pg_current_wal_lsn()::text as lsn')) as [{ lsn: string }];
    const end = Date.now() + timeoutMs;
    for (;;) {
      const [row] = await postgres.query<{ done: boolean }>(
        `select confirmed_flush_lsn >= '${lsn}'::pg_lsn as done from pg_replication_slots where slot_name = 'sluice_${name}'`,
      );
      if (row?.done === true) return;
      if (Date.now() > end) throw new Error(`not caught up: ${JSON.stringify(this.daemon.log.slice(-10), null, 1)}`);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  async check(): Promise<void> {
    const { postgres, scale, accounts } = this.#options;
    const ledger = await this.#options.ledger();
    expect(await differencesOfTpcb(postgres, this.database, ledger)).toEqual([]);
    expect({ duplicates: ledger.duplicates, disordered: ledger.disordered }).toEqual({ duplicates: 0, disordered: 0 });
    expect(ledger.messages).toBeGreaterThan(scale * accounts);
  }

  dispose(): Promise<void> {
    return this.daemon.dispose();
  }
}
