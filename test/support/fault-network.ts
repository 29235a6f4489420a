/** Faults of the network between Sluice and a sink: the same for every sink. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type FaultProxy, type PostgresServer, startPostgres } from '../servers/index.ts';
import type { FaultLink } from './fault-link.ts';
import { FaultRun, type FaultSink } from './fault-run.ts';
import { endRun, MODEST, sleep, warnings } from './fault-sinks.ts';
import { LONG } from './long-form.ts';

/** The sink's side of it: Sluice reaches the server over `link`, and behind it `proxy`. */
export interface NetworkSide {
  readonly link: FaultLink;
  readonly proxy: FaultProxy;
  /** `timeout`: after which a request is given up. */
  sink(name: string, timeout: string): FaultSink;
  /** A raw client succeeds over the same link. */
  works(name: string): Promise<unknown>;
  dispose(): Promise<unknown>;
}

const RATE = 100_000;
const WATCHED_MS = 8_000;
/** Messages of about 5 kB: more than the link carries. */
const HEAVY = { writers: 2, bytes: 2_000, pauseMs: 40 };
const LIGHT = { writers: 1, pauseMs: 150 };
/** A request is given up after this time by the sinks' options, but where the link is slower than that. */
const REQUEST_MS = 2_000;

interface Load {
  readonly writers?: number;
  readonly pauseMs?: number;
  readonly bytes?: number;
}

export function networkFaults(what: string, setUp: () => Promise<NetworkSide>): void {
  describe(`the network between Sluice and ${what} (I1, I2, I3, I4, I10)`, () => {
    let postgres: PostgresServer;
    let side: NetworkSide;
    let run: FaultRun | null = null;

    beforeAll(async () => {
      [postgres, side] = await Promise.all([startPostgres({ major: 17, own: true }), setUp()]);
    });

    afterEach(async () => {
      side.proxy.heal();
      side.link.bytesPerSecond = Number.POSITIVE_INFINITY;
      side.link.latencyMs = 0;
      await endRun(run);
      run = null;
    });

    afterAll(() => Promise.all([postgres.dispose(), side.dispose()]));

    async function begin(name: string, load: Load = MODEST, timeout = `${REQUEST_MS}ms`): Promise<FaultRun> {
      run = await FaultRun.begin({ name, postgres, sink: side.sink(name, timeout), load });
      await run.committed(20);
      await run.caughtUp();
      return run;
    }

    it('connections are reset again and again, in the middle of whatever they carry', async () => {
      const at = await begin('resets');
      for (let round = 0; round < (LONG ? 200 : 15); round++) {
        await sleep(50 + Math.random() * 250);
        if (round % 2 === 0) side.proxy.cut();
        else side.proxy.cutAfter(Math.floor(Math.random() * 1_500));
      }
      side.proxy.heal();
      await at.recovers(`network: resets (${what})`, () => side.works('resets'));
      await at.verify(`network: resets (${what})`);
    });

    const silences = [
      ['longer', REQUEST_MS * 3],
      ['shorter', REQUEST_MS / 2],
    ] as const;
    it.each(LONG ? silences : silences.slice(0, 1))('nothing gets through, for %s than the time-out of a request', async (which, durationMs) => {
      const name = `silence-${which}`;
      const at = await begin(name);
      for (let round = 0; round < (LONG ? 10 : 1); round++) {
        await at.committed(20);
        side.proxy.blackhole();
        await sleep(durationMs);
        side.proxy.heal();
        await at.recovers(`network: black hole ${which} than the time-out (${what})`, () => side.works(name));
      }
      await at.verify(`network: black hole ${which} than the time-out (${what})`);
    });

    it('a latency of 2 s: slower, but it goes on, while it lasts', async () => {
      const at = await begin('latency', LIGHT, '5s');
      side.link.latencyMs = 2_000;
      await sleep(LONG ? 60_000 : 3_000);
      await at.recovers(`network: latency of 2 s, while it lasts (${what})`, () => Promise.resolve(), 20_000);
      side.link.latencyMs = 0;
      await at.recovers(`network: latency of 2 s, over (${what})`, () => side.works('latency'));
      await at.verify(`network: latency of 2 s (${what})`);
    });

    it('100 kB/s, less than is committed: goes on at that rate, and catches up when it is over', async () => {
      const at = await begin('slow', HEAVY, '5s');
      side.link.bytesPerSecond = RATE;
      await sleep(2_000);
      for (let round = 0; round < (LONG ? 6 : 1); round++) {
        const before = (await at.verdict()).messages;
        await sleep(WATCHED_MS);
        const after = (await at.verdict()).messages;
        // Half of what the link can carry, at least, of messages that have less than 6 kB.
        expect(after - before, `round ${round}`).toBeGreaterThan(((WATCHED_MS / 1000) * RATE) / 2 / 6_000);
      }
      // Slow is no trouble.
      expect(warnings(at, /confirm|lost|reach/)).toEqual([]);
      side.link.bytesPerSecond = Number.POSITIVE_INFINITY;
      await at.recovers(`network: 100 kB/s (${what})`, () => side.works('slow'), 15_000);
      await at.verify(`network: 100 kB/s (${what})`);
    });

    const moments = ['under load', 'while idle'] as const;
    it.each(LONG ? moments : moments.slice(0, 1))('a half-open connection %s: the other end is gone without a word', async (when) => {
      const name = when === 'under load' ? 'half-open' : 'half-open-idle';
      const at = await begin(name);
      for (let round = 0; round < (LONG ? 10 : 1); round++) {
        if (when === 'while idle') await at.pause();
        else await at.committed(20);
        side.link.strand();
        at.resume();
        await at.committed(1);
        // It can be known only when a request has waited for its time.
        await at.recovers(`network: half-open ${when} (${what})`, () => side.works(name), REQUEST_MS + 5_000);
      }
      expect(warnings(at, /./).filter(({ code }) => code === undefined).length).toBeLessThan(LONG ? 40 : 4);
      await at.verify(`network: half-open ${when} (${what})`);
    });

    it('SIGKILL at random moments while the link carries 100 kB/s: bytes still on their way arrive after the death, nothing twice (algorithms §4)', async () => {
      const at = await begin('killed-slow', HEAVY, '5s');
      const before = side.link.deliveredAfterEnd;
      for (let kill = 0; kill < (LONG ? 300 : 3); kill++) {
        side.link.bytesPerSecond = RATE;
        await sleep(700 + Math.random() * 1_500);
        await at.kill();
        // Every now and then it catches up: the next one begins from a new place.
        if (kill % 5 === 4) {
          side.link.bytesPerSecond = Number.POSITIVE_INFINITY;
          await at.caughtUp();
        }
      }
      side.link.bytesPerSecond = Number.POSITIVE_INFINITY;
      await at.caughtUp();
      await at.verify(`SIGKILL, link at 100 kB/s (${what})`);
      expect(side.link.deliveredAfterEnd - before).toBeGreaterThan(0);
    });
  });
}
