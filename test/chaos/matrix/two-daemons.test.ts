/** Two daemons where one should be, and two connectors in one daemon (a part of the fault matrix, docs/guarantees.md). */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type NatsServer, type PostgresServer, startNats, startPostgres } from '../../servers/index.ts';
import { sluice } from '../../support/cli.ts';
import { Daemon } from '../../support/daemon.ts';
import { LIGHT } from '../../support/fault-load.ts';
import { FaultRun, natsFaultSink } from '../../support/fault-run.ts';
import { untouched } from '../../support/fault-state.ts';

describe('two daemons, and two connectors in one (I1, I4, I8)', () => {
  let postgres: PostgresServer;
  let nats: NatsServer;
  let run: FaultRun | null = null;
  let second: Daemon | null = null;

  beforeAll(async () => {
    [postgres, nats] = await Promise.all([startPostgres({ major: 17, own: true, settings: { wal_sender_timeout: '5s' } }), startNats({ own: true })]);
  });

  afterEach(async () => {
    await second?.dispose();
    second = null;
    await run?.dispose();
    run = null;
  });

  afterAll(() => Promise.all([postgres?.dispose(), nats?.dispose()]));

  const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

  /** The same connector file, and a data directory of its own. */
  async function twin(of: FaultRun): Promise<Daemon> {
    const file = JSON.parse(await readFile(join(of.daemon.directory, 'connectors', `${of.name}.json`), 'utf8')) as { name: string };
    second = await Daemon.create([file]);
    return second;
  }

  const holder = async (name: string): Promise<number | null> =>
    (await postgres.query<{ pid: number | null }>(`SELECT active_pid AS pid FROM pg_replication_slots WHERE slot_name = 'sluice_${name}'`))[0]?.pid ??
    null;

  it('a second daemon with a data directory of its own, while nothing is published yet, waits for the slot and takes it over when the first ends', async () => {
    let other: Daemon | null = null;
    let first: number | null = null;
    const start = async (of: FaultRun): Promise<void> => {
      of.daemon.start();
      await of.streams();
      first = await holder('waits');
      other = (await twin(of)).start();
      const line = await other.waitForLog(({ code }) => code === 'SLUICE_PG_SLOT_IN_USE');
      expect([line.level, line.msg]).toEqual(['warn', expect.stringMatching(/Trying again\.$/)]);
      expect(line.remedy).not.toBe('');
      await pause(3_000);
      // It waits, and has not taken the slot from the living one.
      expect(await holder('waits')).toBe(first);
      expect(other.child?.exitCode).toBeNull();
    };
    run = await FaultRun.begin({ load: LIGHT, name: 'waits', postgres, sink: natsFaultSink(nats, 'WAITS'), start });
    await run.pause();
    if ((await run.standing()).messages > 0) return;
    expect(await run.daemon.stop('SIGTERM')).toBe(0);
    run.resume();
    await (other as Daemon | null)?.waitForLog(({ msg }) => msg.startsWith('Streaming'));
  });

  it('a second daemon with a data directory of its own stops, typed, once the stream holds the output of the first: no doubles (I4, I8)', async () => {
    run = await FaultRun.begin({ load: LIGHT, name: 'twins', postgres, sink: natsFaultSink(nats, 'TWINS') });
    await run.committed(50);
    const first = await holder('twins');
    const other = (await twin(run)).start();
    expect(await other.exit()).toBe(3);
    expect(other.log.filter(({ level }) => level === 'error')).toEqual([expect.objectContaining({ code: 'SLUICE_PG_OFFSET_MISSING' })]);
    expect(await holder('twins')).toBe(first);
    await run.committed(50);
    // The first ends for good; by the printed remedy the second goes on in its place.
    expect(await run.daemon.stop('SIGTERM')).toBe(0);
    const [{ remedy = '' } = {}] = other.log.filter(({ level }) => level === 'error');
    const command = /sluice (offsets recover[^`,;.)]*?--from sink)/.exec(remedy)?.[1]?.split(' ') ?? [];
    const recovered = await sluice([...command, other.directory]);
    expect([recovered.exit, recovered.stderr]).toEqual([0, '']);
    other.start();
    await run.committed(50);
    await run.verify('two daemons, two data directories');
  });

  it('a second daemon that knows its place waits for the slot of a living one, and takes over when that is killed (I4, I8, I10)', async () => {
    run = await FaultRun.begin({ load: LIGHT, name: 'standby', postgres, sink: natsFaultSink(nats, 'STANDBY') });
    await run.committed(50);
    await run.caughtUp();
    // Nothing moves, so that what the second one is given stays right for as long as it waits.
    await run.pause();
    const first = await holder('standby');
    const other = await twin(run);
    const recovered = await sluice(['offsets', 'recover', '--connector', 'standby', '--from', 'slot', other.directory]);
    expect([recovered.exit, recovered.stderr]).toEqual([0, '']);
    await untouched(run, async () => {
      other.start();
      const line = await other.waitForLog(({ code }) => code?.startsWith('SLUICE_PG_SLOT_') === true);
      expect(line.code).toMatch(/^SLUICE_PG_SLOT_(IN_USE|AHEAD)$/);
      await pause(1_000);
    }).catch((error: unknown) => {
      // Heartbeats of the first move the slot.
      if (!String(error).includes('acknowledged')) throw error;
    });
    expect(await holder('standby')).toBe(first);
    await run.verify('two daemons, the second with an offset');
  });

  it('a second daemon with the same data directory ends with SLUICE_STATE_LOCKED, exit 3, and the first notices nothing (I4)', async () => {
    run = await FaultRun.begin({ load: LIGHT, name: 'locked', postgres, sink: natsFaultSink(nats, 'LOCKED') });
    await run.committed(50);
    const said = run.daemon.log.length;
    for (let attempt = 0; attempt < 3; attempt++) {
      const { exit, stderr } = await sluice(['run', run.daemon.directory]);
      expect([exit, stderr]).toEqual([3, expect.stringMatching(/code: +SLUICE_STATE_LOCKED\n {2}remedy: .*dataDir/)]);
    }
    await run.committed(50);
    expect(run.daemon.log.slice(said)).toEqual([]);
    await run.verify('two daemons, one data directory');
  });

  it.each([
    ['dropped', ['SLUICE_PG_SLOT_MISSING']],
    // Which of the two it meets first is up to the moment in which its session ends.
    ['taken away with its publication', ['SLUICE_PG_PUBLICATION_AFTER_SLOT', 'SLUICE_PG_SLOT_MISSING']],
  ] as const)(
    'of two connectors in one daemon one loses its slot (%s): a typed stop of it, and only of it; the other goes on (I8, design §10)',
    async (how, codes) => {
      const name = how === 'dropped' ? 'sound' : 'soundtoo';
      const broken = `${name}-broken`;
      const slot = `sluice_${broken.replaceAll('-', '_')}`;
      const start = async (of: FaultRun): Promise<void> => {
        const source = { type: 'postgres', url: postgres.url(of.database), tables: ['public.item'] };
        const sink = natsFaultSink(nats, broken.toUpperCase()).config;
        await writeFile(join(of.daemon.directory, 'connectors', `${broken}.json`), JSON.stringify({ name: broken, source, sink }));
        of.daemon.start();
        for (const connector of [name, broken])
          await of.daemon.waitForLog((line) => line.connector === connector && line.msg.startsWith('Streaming'));
      };
      run = await FaultRun.begin({ load: LIGHT, name, postgres, sink: natsFaultSink(nats, name.toUpperCase()), start });
      const { daemon } = run;
      await run.committed(50);
      const said = daemon.log.length;
      // The daemon comes back at once: whoever drops a slot ends its session and drops it in one go, again and again.
      const drop = `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '${slot}'; SELECT pg_drop_replication_slot('${slot}')`;
      if (how !== 'dropped') await postgres.query(`DROP PUBLICATION ${slot}`, run.database);
      await expect
        .poll(
          () =>
            postgres.query(drop).then(
              () => true,
              () => false,
            ),
          { timeout: 20_000, interval: 10 },
        )
        .toBe(true);
      const line = await daemon.waitForLog(({ level }) => level === 'error');
      expect(line.connector).toBe(broken);
      expect(codes).toContain(line.code);
      await run.committed(50);
      const ready = (await (await fetch(`${await daemon.healthUrl()}/readyz`)).json()) as { connectors: { name: string; state: string }[] };
      expect(Object.fromEntries(ready.connectors.map((each) => [each.name, each.state]))).toEqual({ [name]: 'running', [broken]: 'failed' });
      await run.verify(`the other connector's slot was ${how}`);
      expect(daemon.log.slice(said).filter(({ connector }) => connector === name)).toEqual([]);
      expect(await daemon.stop('SIGTERM')).toBe(3);
    },
  );
});
