/** A table that is no longer published is no longer sent, and the log does not say so: it is noticed, and is a typed stop (I1, I8). */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type NatsServer, type PostgresServer, startNats, startPostgres } from '../../servers/index.ts';
import { FAULT_TABLES } from '../../support/fault-load.ts';
import { carryOut, goesOn, sqlOf, stopped } from '../../support/fault-postgres.ts';
import { FaultRun, natsFaultSink } from '../../support/fault-run.ts';
import { slotOf } from '../../support/postgres-fault-source.ts';

// From 18 on the server passes over a publication that is gone, where it had an error before.
describe.each([17, 18] as const)('faults of the publication, PostgreSQL %i (I1, I2, I8)', (major) => {
  let postgres: PostgresServer;
  let nats: NatsServer;
  let run: FaultRun | null = null;

  beforeAll(async () => {
    [postgres, nats] = await Promise.all([startPostgres({ major, own: true }), startNats({ own: true })]);
  });

  afterEach(async () => {
    await run?.dispose();
    run = null;
  });

  afterAll(() => Promise.all([postgres.dispose(), nats.dispose()]));

  const begin = async (name: string): Promise<FaultRun> => {
    run = await FaultRun.begin({ name, postgres, sink: natsFaultSink(nats, name.toUpperCase()), load: { pauseMs: 15 } });
    await run.committed(30);
    return run;
  };

  const sql = (text: string) => postgres.query(text, run?.database);

  /** Does what the remedy says, word for word, and sees that the connector streams again. */
  const remedied = async (each: FaultRun, remedy: string): Promise<void> => {
    await each.pause();
    await each.daemon.exit();
    for (const statement of sqlOf(remedy.slice(0, remedy.indexOf('sluice offsets')))) {
      // Put back by hand before Sluice looked: then the remedy's first half is done.
      await sql(statement).catch((error: Error) => expect(error.message).toContain('already member'));
    }
    await carryOut(each, remedy);
    await goesOn(each);
  };

  it('publication dropped while running', async () => {
    const each = await begin('gone');
    await sql(`DROP PUBLICATION ${slotOf('gone')}`);
    const remedy = await stopped(each, postgres, 'gone', 'SLUICE_PG_PUBLICATION_AFTER_SLOT');
    await remedied(each, remedy);
  });

  it('publication dropped while Sluice is down', async () => {
    const each = await begin('gone-down');
    await each.daemon.stop();
    await sql(`DROP PUBLICATION ${slotOf('gone-down')}`);
    each.daemon.start();
    const remedy = await stopped(each, postgres, 'gone-down', 'SLUICE_PG_PUBLICATION_AFTER_SLOT');
    await remedied(each, remedy);
  });

  it('publication dropped and made again while running', async () => {
    const each = await begin('remade');
    await sql(`DROP PUBLICATION ${slotOf('remade')}`);
    await each.committed(5);
    await sql(`CREATE PUBLICATION ${slotOf('remade')} FOR TABLE item WITH (publish_via_partition_root = true)`);
    // The walsender of 17 fails where it reads the gap; 18 passes over it, and the catalogue tells.
    const code = major < 18 ? 'SLUICE_PG_PUBLICATION_AFTER_SLOT' : 'SLUICE_PG_TABLE_UNPUBLISHED';
    await stopped(each, postgres, 'remade', code);
  });

  it('a table taken out of the publication while running', async () => {
    const each = await begin('narrowed');
    await sql(`ALTER PUBLICATION ${slotOf('narrowed')} DROP TABLE item`);
    const remedy = await stopped(each, postgres, 'narrowed', 'SLUICE_PG_TABLE_UNPUBLISHED');
    await remedied(each, remedy);
  });

  it('a table taken out and put back while running', async () => {
    const each = await begin('blink');
    await sql(`ALTER PUBLICATION ${slotOf('blink')} DROP TABLE item`);
    await each.committed(5);
    await sql(`ALTER PUBLICATION ${slotOf('blink')} ADD TABLE item`);
    const remedy = await stopped(each, postgres, 'blink', 'SLUICE_PG_TABLE_UNPUBLISHED');
    await remedied(each, remedy);
  });

  it('a table taken out while Sluice is down: it is not put back as if nothing had been', async () => {
    const each = await begin('narrowed-down');
    await each.daemon.stop();
    await sql(`ALTER PUBLICATION ${slotOf('narrowed-down')} DROP TABLE item`);
    each.daemon.start();
    const remedy = await stopped(each, postgres, 'narrowed-down', 'SLUICE_PG_TABLE_UNPUBLISHED');
    expect(await sql(`SELECT FROM pg_publication_tables WHERE pubname = '${slotOf('narrowed-down')}'`)).toEqual([]);
    await remedied(each, remedy);
  });

  it('a captured table dropped and made again under load: the other one is captured, and copied whole', async () => {
    const each = await begin('reborn');
    await sql(
      `DROP TABLE item, ledger; ${FAULT_TABLES.split('\n')
        .filter((line) => /item|CREATE TABLE ledger/.test(line))
        .join('\n')}`,
    );
    await each.daemon.waitForLog(({ code, table }) => code === 'SLUICE_PG_TABLE_MADE_ANEW' && table === 'public.item', 30_000);
    await each.daemon.waitForLog(({ msg }) => msg.startsWith('Copied public.item:'), 30_000);
    await each.committed(20);
    await each.pause();
    await each.caughtUp();
  });

  it('a captured table dropped, made again and published in one transaction: goes on, nothing lost', async () => {
    const each = await begin('migrated');
    // The ledger keeps what was written before: the new rows have ids of their own.
    await each.pause();
    await sql(`BEGIN; DROP TABLE item; CREATE TABLE item (id bigint PRIMARY KEY, version bigint NOT NULL, note text NOT NULL);
      ALTER TABLE item REPLICA IDENTITY FULL; ALTER PUBLICATION ${slotOf('migrated')} ADD TABLE item; COMMIT`);
    await sql(
      `INSERT INTO item SELECT g, 1, 'new' FROM generate_series(90001, 90100) g; INSERT INTO ledger SELECT g, 1, 'c' FROM generate_series(90001, 90100) g`,
    );
    await each.daemon.waitForLog(({ msg }) => msg.startsWith('Copied public.item:'), 30_000);
    await each.verify(`table made anew and published at once, PostgreSQL ${major}`);
  });
});
