/**
 * MySQL and MariaDB under TPC-B and sysbench's load, with kill -9 of the daemon, of the server and of the sink, files of the log begun and purged: what arrived rebuilds
 * the tables, and each change finds the row as the change before it left it (I1, I2, I3, I4, I7). The long form is `npm run test:pgbench -- --source mysql-9`.
 */
import { afterEach, describe, expect, it } from 'vitest';
import type { MysqlVersion } from '../servers/index.ts';
import { availableKafkas, availableMysqls } from '../support/available-servers.ts';
import { FAULTLESS, runLoad } from '../support/load-run.ts';
import type { LoadSource } from '../support/load-source.ts';
import { kafkaTarget, type LoadTarget, natsTarget } from '../support/load-target.ts';
import { LONG } from '../support/long-form.ts';
import { mysqlLoadSource } from '../support/mysql-load-source.ts';
import { oltpLoad, tpcbLoad } from '../support/mysql-loads.ts';

const LOADS = { tpcb: () => tpcbLoad(1, LONG ? 100_000 : 2000), oltp: () => oltpLoad(LONG ? 40_000 : 1000) };
const SINKS = {
  nats: () => natsTarget(true),
  platformatic: () => kafkaTarget({ driver: 'platformatic', version: '4', partitions: 6, brokers: 1 }),
  kafkajs: () => kafkaTarget({ driver: 'kafkajs', version: '4', partitions: 6, brokers: 1 }),
};
type Run = readonly [version: MysqlVersion, load: keyof typeof LOADS, sink: keyof typeof SINKS];

/** All of them in the long form; in the short one each server once, which knows each load and each sink. */
const SHORT: readonly Run[] = [
  ['mysql-9', 'oltp', 'platformatic'],
  ['mariadb-11', 'tpcb', 'platformatic'],
  ['mariadb-10.11', 'oltp', 'nats'],
];
const ALL: readonly Run[] = (['mysql-9', 'mariadb-11', 'mariadb-10.11'] as const).flatMap((version) =>
  (['tpcb', 'oltp'] as const).flatMap((load) => (['nats', 'platformatic', 'kafkajs'] as const).map((sink): Run => [version, load, sink])),
);
const RUNS = (LONG ? ALL : SHORT).filter(([version, , sink]) => availableMysqls.includes(version) && (sink === 'nats' || availableKafkas.length > 0));

describe('loads on MySQL and MariaDB', () => {
  let source: LoadSource | null = null;
  let target: LoadTarget | null = null;

  afterEach(async () => {
    await Promise.all([source?.dispose(), target?.dispose()]);
    source = null;
    target = null;
  });

  it.each(RUNS)(
    '%s, %s, into %s: nothing lost, disordered, doubled or changed',
    async (version, load, sink) => {
      [source, target] = await Promise.all([mysqlLoadSource(version, LOADS[load](), LONG ? 8 : 4), SINKS[sink]()]);
      const { log, ...verdict } = await runLoad({ source, target, seconds: LONG ? 60 : 6, kills: LONG ? 20 : 6, say: () => undefined });
      expect(verdict, JSON.stringify(log)).toMatchObject(FAULTLESS);
      expect(verdict.faults).toEqual(expect.arrayContaining(['restart', 'kill', 'rotate', 'purge', 'sink restart']));
      expect(verdict.transactions).toBeGreaterThan(100);
      expect(verdict.messages).toBeGreaterThan(verdict.transactions);
    },
    LONG ? 600_000 : 120_000,
  );
});
