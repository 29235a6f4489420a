/** Faults of the data directory and of what the process gets from its machine (the second part of the fault matrix, docs/guarantees.md). */
import { execFileSync } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type KafkaServer, type NatsServer, type PostgresServer, startKafka, startNats, startPostgres } from '../../servers/index.ts';
import { LIGHT } from '../../support/fault-load.ts';
import { FaultRun, type FaultSink, kafkaFaultSink, natsFaultSink } from '../../support/fault-run.ts';
import { carryOut, copyState, DAMAGES, refused, untouched } from '../../support/fault-state.ts';
import { LONG } from '../../support/long-form.ts';

/** A volume of its own, where the user may mount one. */
function mountable(): boolean {
  const directory = join(tmpdir(), `sluice-mount-${process.pid}`);
  try {
    execFileSync('mkdir', ['-p', directory]);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', directory], { stdio: 'ignore' });
    execFileSync('umount', [directory]);
    return true;
  } catch {
    return false;
  } finally {
    execFileSync('rm', ['-rf', directory]);
  }
}
const MOUNTABLE = mountable();

describe('faults of the data directory (I1, I4, I5, I6, I8, I10)', () => {
  let postgres: PostgresServer;
  let nats: NatsServer;
  /** Made by the first test that needs it. */
  let kafka: Promise<KafkaServer> | null = null;
  let run: FaultRun | null = null;
  const mounted: string[] = [];

  beforeAll(async () => {
    [postgres, nats] = await Promise.all([startPostgres({ major: 17, own: true, settings: { wal_sender_timeout: '5s' } }), startNats({ own: true })]);
  });

  afterEach(async () => {
    await run?.daemon.stop('SIGKILL');
    for (const directory of mounted.splice(0)) execFileSync('umount', ['-l', directory]);
    await run?.dispose();
    run = null;
  });

  afterAll(async () => Promise.all([postgres?.dispose(), nats?.dispose(), (await kafka)?.dispose()]));

  const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
  const sink = async (to: 'nats' | 'kafka', name: string): Promise<FaultSink> => {
    if (to === 'nats') return natsFaultSink(nats, name);
    kafka ??= startKafka({ own: true });
    return kafkaFaultSink(await kafka, name);
  };
  const SINKS = ['nats', 'kafka'] as const;

  function mount(directory: string, size: string): void {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=700`, 'tmpfs', directory]);
    mounted.push(directory);
  }

  const damages = SINKS.flatMap((to) => DAMAGES.map(([what, codes, damage], index) => [what, to, codes, damage, index] as const));
  it.each(damages.filter(([, to, , , index]) => LONG || (to === 'nats' ? index % 3 === 0 : index % 9 === 4)))(
    '%s, to %s: a typed stop (SLUICE_STATE_%s) with nothing written, and the remedy that it prints goes on without loss or doubles (I1, I4, I5, I8)',
    async (what, to, codes, damage, index) => {
      const name = `damage${index}${to}`;
      run = await FaultRun.begin({ load: LIGHT, name, postgres, sink: await sink(to, name) });
      await run.committed(20);
      // LevelDB turns its log into a table when it is opened: one life more, and there is one.
      const before = run.streamed;
      await run.kill();
      await run.streams(before, 60_000);
      await run.committed(20);
      await run.daemon.stop('SIGKILL');
      await damage(join(run.daemon.dataDir, 'state'));
      const remedy = await refused(run, codes);
      const from = to === 'nats' && index % 2 === 0 ? 'sink' : 'slot';
      const recovered = await carryOut(run, remedy, from);
      expect([recovered.exit, recovered.stderr], `offsets recover --from ${from}`).toEqual([0, '']);
      const streamed = run.streamed;
      run.daemon.start();
      await run.streams(streamed, 60_000);
      await run.committed(20);
      await run.verify(what);
    },
  );

  it('state that was set back to an older copy of itself is recognised by the slot, and the remedy goes on (I6, I8)', async () => {
    run = await FaultRun.begin({ load: LIGHT, name: 'rolledback', postgres, sink: await sink('nats', 'rolledback') });
    const copy = join(run.daemon.directory, 'copy');
    await run.committed(50);
    await run.daemon.stop('SIGKILL');
    await copyState(run, copy);
    run.daemon.start();
    await run.committed(50);
    await run.caughtUp();
    await run.daemon.stop('SIGKILL');
    await rm(run.daemon.dataDir, { recursive: true });
    execFileSync('cp', ['-r', copy, run.daemon.dataDir]);
    const { daemon } = run;
    await untouched(run, async () => {
      daemon.start();
      expect(await daemon.exit()).toBe(3);
    });
    const { remedy } = await run.stopsWith('SLUICE_PG_SLOT_AHEAD');
    const recovered = await carryOut(run, remedy, 'sink');
    expect([recovered.exit, recovered.stderr]).toEqual([0, '']);
    daemon.start();
    await run.committed(20);
    await run.verify('state set back');
  });

  const lost = SINKS.flatMap((to) => (['sink', 'slot'] as const).map((from) => [to, from] as const));
  it.each(lost)('the data directory lost, to %s: a typed stop; offsets recover --from %s (I1, I4, I8)', async (to, from) => {
    const name = `lost${to}${from}`;
    run = await FaultRun.begin({ load: LIGHT, name, postgres, sink: await sink(to, name) });
    await run.committed(50);
    await run.daemon.stop('SIGKILL');
    const { daemon } = run;
    await rm(daemon.dataDir, { recursive: true });
    // An empty volume where the user may mount one, else a directory.
    await mkdir(daemon.dataDir, { mode: 0o700 });
    if (MOUNTABLE) mount(daemon.dataDir, '16m');
    await untouched(run, async () => {
      daemon.start();
      expect(await daemon.exit()).toBe(3);
    });
    const { remedy } = await run.stopsWith('SLUICE_PG_OFFSET_MISSING');
    let recovered = await carryOut(run, remedy, from);
    if (to === 'kafka' && from === 'sink') {
      // Partitions have no order among each other: it says so, and what to use.
      expect([recovered.exit, recovered.stderr]).toEqual([expect.any(Number), expect.stringContaining('SLUICE_PG_RECOVER_NO_TAIL')]);
      recovered = await carryOut(run, recovered.stderr, 'slot');
    }
    expect([recovered.exit, recovered.stderr]).toEqual([0, '']);
    daemon.start();
    await run.streams(1, 60_000);
    await run.recovers('data directory lost', () => Promise.resolve());
    await run.verify(`data directory lost, --from ${from}`);
  });

  it.runIf(MOUNTABLE)(
    'a full disk: SLUICE_STATE_FULL, nothing acknowledged that is not saved, and on by itself when there is space (I1, I5, I10)',
    async () => {
      const start = async (of: FaultRun): Promise<void> => {
        await mkdir(of.daemon.dataDir, { mode: 0o700 });
        mount(of.daemon.dataDir, '24m');
        of.daemon.start();
      };
      run = await FaultRun.begin({ load: LIGHT, name: 'full', postgres, sink: await sink('nats', 'full'), start });
      const { daemon } = run;
      await run.committed(20);
      for (let round = 1; round <= (LONG ? 5 : 1); round++) {
        const filler = join(daemon.dataDir, 'filler');
        await fill(filler);
        await daemon.waitForLog(({ code, msg }) => code === 'SLUICE_STATE_FULL' && msg.endsWith('Trying again.'));
        await run.committed(20);
        await pause(1_500);
        const { acknowledged } = await run.standing();
        await pause(500);
        expect((await run.standing()).acknowledged).toBe(acknowledged);
        expect(daemon.child?.exitCode).toBeNull();
        const gone = filler;
        await run.recovers('disk full', () => rm(gone, { force: true }));
      }
      await run.verify('disk full');
    },
  );

  it.runIf(MOUNTABLE).each(['SIGTERM', 'SIGKILL'] as const)(
    'a start with a full disk, after %s: it is said and waited for, as it is while it runs (I1, I5, I10)',
    async (signal) => {
      const name = `fullstart${signal.toLowerCase()}`;
      const start = async (of: FaultRun): Promise<void> => {
        await mkdir(of.daemon.dataDir, { mode: 0o700 });
        mount(of.daemon.dataDir, '24m');
        of.daemon.start();
      };
      run = await FaultRun.begin({ load: LIGHT, name, postgres, sink: await sink('nats', name), start });
      const { daemon } = run;
      await run.committed(20);
      await daemon.stop(signal);
      const filler = join(daemon.dataDir, 'filler');
      await fill(filler);
      daemon.start();
      await expect
        .poll(() => daemon.logSinceStart.some(({ code, msg }) => code === 'SLUICE_STATE_FULL' && msg.endsWith('Trying again.')), { timeout: 20_000 })
        .toBe(true);
      await run.committed(20);
      await pause(1_500);
      expect(daemon.child?.exitCode).toBeNull();
      await run.recovers('start with a full disk', () => rm(filler, { force: true }));
      await run.verify('start with a full disk');
    },
  );

  it.runIf(MOUNTABLE)('a first start with a full disk: it is waited for, and ends when it is told to', async () => {
    const start = async (of: FaultRun): Promise<void> => {
      await mkdir(of.daemon.dataDir, { mode: 0o700 });
      mount(of.daemon.dataDir, '24m');
      const filler = join(of.daemon.dataDir, 'filler');
      await fill(filler);
      of.daemon.start();
      await of.daemon.waitForLog(({ code, msg }) => code === 'SLUICE_STATE_FULL' && msg.endsWith('Trying again.'));
      expect(await of.daemon.stop('SIGTERM')).toBe(0);
      of.daemon.start();
      await pause(1_000);
      await rm(filler);
    };
    run = await FaultRun.begin({ load: LIGHT, name: 'fullfirst', postgres, sink: await sink('nats', 'fullfirst'), start });
    await run.committed(20);
    await run.recovers('first start with a full disk', () => Promise.resolve());
    await run.verify('first start with a full disk');
  });

  /** Until not one byte is left. */
  async function fill(path: string): Promise<void> {
    for (let size = 1024 * 1024; size >= 1; size = Math.floor(size / 4)) {
      for (;;) {
        const written = await writeFile(path, Buffer.alloc(size), { flag: 'a' }).then(
          () => true,
          () => false,
        );
        if (!written) break;
      }
    }
  }

  /** Only the soft limit: the hard one cannot be raised again. */
  const limitFiles = (of: FaultRun, count: number): void => {
    execFileSync('prlimit', ['--pid', String(of.daemon.pid), `--nofile=${count}:`]);
  };

  // Finding 1 (SLUICE_STATE_WRITE is a stop for good).
  it('out of file descriptors: it waits, typed, and goes on when it has them back (I1, I4, I10)', async () => {
    run = await FaultRun.begin({ load: LIGHT, name: 'descriptors', postgres, sink: await sink('nats', 'descriptors') });
    const of = run;
    const { daemon } = run;
    for (let round = 0; round < (LONG ? 5 : 1); round++) {
      await run.committed(50);
      const said = daemon.log.length;
      limitFiles(run, 10);
      await expect.poll(() => daemon.log.slice(said).some(({ level }) => level === 'warn' || level === 'error'), { timeout: 20_000 }).toBe(true);
      await run.committed(50);
      await pause(1_000);
      expect(daemon.log.filter(({ level }) => level === 'error')).toEqual([]);
      expect(daemon.child?.exitCode).toBeNull();
      await run.recovers('out of file descriptors', async () => limitFiles(of, 1024));
    }
    await run.verify('out of file descriptors');
  });

  async function startWithFewFiles(of: FaultRun, after: string): Promise<void> {
    const { daemon } = of;
    const lines = (): number => daemon.log.filter(({ msg }) => msg.startsWith(after)).length;
    for (let round = 0; round < (LONG ? 5 : 1); round++) {
      await of.committed(20);
      await daemon.stop('SIGKILL');
      const before = lines();
      daemon.start();
      await expect.poll(lines, { timeout: 20_000, interval: 1 }).toBe(before + 1);
      limitFiles(of, 10);
      await pause(3_000);
      expect(daemon.stderr, `limited after "${after}"`).not.toMatch(/SLUICE_INTERNAL|SLUICE_STATE_(CORRUPT|MISSING|BEHIND)|^\s+at /m);
      if (daemon.child?.exitCode === null) limitFiles(of, 1024);
      else daemon.start();
    }
    await of.pause();
    await of.caughtUp();
    const { lost, phantoms, disordered, duplicates } = await of.verdict();
    expect({ lost, phantoms, disordered, duplicates }).toEqual({ lost: 0, phantoms: 0, disordered: 0, duplicates: 0 });
  }

  it('out of file descriptors when it opens its state: typed, nothing taken for damage, and the next start goes on (I1, I8)', async () => {
    run = await FaultRun.begin({ load: LIGHT, name: 'fewfiles', postgres, sink: await sink('nats', 'fewfiles') });
    await startWithFewFiles(run, 'Sluice ');
  });

  // Finding 2 (SLUICE_INTERNAL).
  it('out of file descriptors when a connector starts: typed (I8)', async () => {
    run = await FaultRun.begin({ load: LIGHT, name: 'fewlater', postgres, sink: await sink('nats', 'fewlater') });
    await startWithFewFiles(run, 'Health and metrics');
  });
});
