import pg from 'pg';

/** The tables and the transaction of pgbench's standard load (TPC-B-like; PostgreSQL manual, pgbench, "What is the transaction"). */
export const TPCB_TABLES = ['pgbench_branches', 'pgbench_tellers', 'pgbench_accounts', 'pgbench_history'] as const;
export const TPCB_KEYS: Readonly<Record<string, string>> = { pgbench_branches: 'bid', pgbench_tellers: 'tid', pgbench_accounts: 'aid' };

/** As `pgbench -i -I dtp`. */
export const CREATE_TABLES = `
  create table pgbench_history(tid int, bid int, aid int, delta int, mtime timestamp, filler char(22));
  create table pgbench_tellers(tid int not null primary key, bid int, tbalance int, filler char(84)) with (fillfactor=100);
  create table pgbench_accounts(aid int not null primary key, bid int, abalance int, filler char(84)) with (fillfactor=100);
  create table pgbench_branches(bid int not null primary key, bbalance int, filler char(88)) with (fillfactor=100);`;

/** As `pgbench -i -I G`, with `accounts` rows a branch. */
export function fillTables(scale: number, accounts: number): string {
  return `begin; truncate pgbench_accounts, pgbench_branches, pgbench_history, pgbench_tellers;
    insert into pgbench_branches(bid, bbalance) select b, 0 from generate_series(1, ${scale}) b;
    insert into pgbench_tellers(tid, bid, tbalance) select t, (t - 1) / 10 + 1, 0 from generate_series(1, ${scale * 10}) t;
    insert into pgbench_accounts(aid, bid, abalance, filler) select a, (a - 1) / ${accounts} + 1, 0, '' from generate_series(1, ${scale * accounts}) a;
    commit;`;
}

export interface Load {
  /** Transactions committed so far. */
  readonly committed: number;
  /** Ends it and resolves with the number of committed transactions. */
  stop(): Promise<number>;
}

/** Runs the standard transaction on `clients` connections until stopped. Connections that break are made again: the server may be restarted meanwhile. */
export function startLoad(url: string, options: { clients: number; scale: number; accounts: number }): Load {
  let running = true;
  let committed = 0;
  const pick = (below: number): number => 1 + Math.floor(Math.random() * below);
  const one = async (client: pg.Client): Promise<void> => {
    const [aid, tid, bid, delta] = [pick(options.scale * options.accounts), pick(options.scale * 10), pick(options.scale), pick(10_000) - 5000];
    await client.query(`begin;
      update pgbench_accounts set abalance = abalance + ${delta} where aid = ${aid};
      select abalance from pgbench_accounts where aid = ${aid};
      update pgbench_tellers set tbalance = tbalance + ${delta} where tid = ${tid};
      update pgbench_branches set bbalance = bbalance + ${delta} where bid = ${bid};
      insert into pgbench_history (tid, bid, aid, delta, mtime) values (${tid}, ${bid}, ${aid}, ${delta}, current_timestamp);
      end;`);
    committed++;
  };
  const clientLoop = async (): Promise<void> => {
    while (running) {
      const client = new pg.Client({ connectionString: url });
      client.on('error', () => undefined);
      try {
        await client.connect();
        while (running) await one(client);
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 100));
      } finally {
        await client.end().catch(() => undefined);
      }
    }
  };
  const loops = Array.from({ length: options.clients }, clientLoop);
  return {
    get committed() {
      return committed;
    },
    stop: async () => {
      running = false;
      await Promise.all(loops);
      return committed;
    },
  };
}
