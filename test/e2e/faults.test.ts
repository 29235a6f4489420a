/** Faults that were found by trying to break the whole of it on real servers. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { parseLsn } from '../../connectors/postgres/log/position.ts';
import { nodeRuntime } from '../../src/daemon/node-runtime.ts';
import type { Runtime } from '../../src/plugin/runtime.ts';
import type { Position } from '../../src/record/position.ts';
import { type PostgresServer, startPostgres } from '../servers/index.ts';
import { LogReader, readToEnd } from '../support/log-reader.ts';

describe('Postgres', () => {
  let postgres: PostgresServer;
  let readers: LogReader[] = [];

  beforeAll(async () => {
    postgres = await startPostgres({ major: 17, own: true });
  }, 240_000);

  afterEach(async () => {
    for (const reader of readers) await reader.close();
    readers = [];
  });

  afterAll(() => postgres.dispose(), 60_000);

  /**
   * The server decodes from `restart_lsn`, and while it does its keepalives tell a place before the one that was asked for. Saved as a checkpoint it
   * set the stored offset back behind the slot, and the next start was a stop for good (SLUICE_PG_SLOT_AHEAD).
   */
  it('an offset never moves back while the server decodes old log (I6)', async () => {
    const database = await postgres.createDatabase('catch_up');
    await postgres.query('CREATE TABLE t (id bigint PRIMARY KEY); CREATE TABLE other (id bigint, v text)', database);
    const options = {
      url: postgres.url(database),
      acknowledge: false,
      config: { tables: ['public.t'], slot: 'catch_up', publication: 'catch_up', heartbeat: { enabled: false, interval: 10_000 } },
    };
    const first = new LogReader(options);
    readers.push(first);
    await first.until(() => first.checkpoint !== null, 'the beginning');
    // Nothing of it is confirmed, so that the server decodes all of it again.
    await postgres.query(`INSERT INTO other SELECT i, repeat('x', 200) FROM generate_series(1, 400000) i; INSERT INTO t VALUES (1)`, database);
    await first.until(() => first.records.length === 1, 'the row');
    await first.until(() => typeof first.checkpoint?.['lastCommit'] === 'string', "a checkpoint behind the row's commit");
    const from = first.checkpoint;
    await first.close();
    const checkpoints: string[] = [];
    // `once` asks the server again and again how far it has come; what it answers is handed on at once.
    const real = nodeRuntime();
    const impatient: Runtime = { ...real, setTimer: (call, ms, unref) => real.setTimer(call, ms > 1_000 ? ms : Math.min(ms, 2), unref) };
    const onCheckpoint = (checkpoint: Position): void => void checkpoints.push(checkpoint['lsn'] ?? '');
    await postgres.query('INSERT INTO t VALUES (2)', database);
    const second = await readToEnd({ ...options, from, context: { runtime: impatient }, onCheckpoint });
    const start = parseLsn(from?.['lsn'] ?? '') as bigint;
    expect(second.records.map(({ after }) => after?.['id'])).toEqual(['2']);
    expect(checkpoints.filter((lsn) => (parseLsn(lsn) as bigint) < start)).toEqual([]);
  }, 40_000);
});
