import { describe, expect, it } from 'vitest';
import type { ConnectorDefinition } from '../../../src/config/load.ts';
import { figuresOf, type Pressure, type ProtectFigures, Protection } from '../../../src/daemon/protection.ts';
import type { SluiceError } from '../../../src/plugin/error.ts';

const NOTHING: ProtectFigures = { retained: null, headroom: null, freePercent: null, timeLeft: null };
const QUIET = { warn: { retained: 0, freePercent: 0 }, pauseSnapshot: { freePercent: 0 }, patience: 60_000 };

/** Looks every ten seconds, and notes what is done. */
function protectedBy(protect: Partial<ConnectorDefinition['protect']>) {
  const done: string[] = [];
  let isHeld = false;
  const say = (level: string) => (message: string) => void done.push(`${level}: ${message.replace(/:.*/, '')}`);
  const log = { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') };
  const plugin = { protection: { figures: [], givesUp: true, remedy: () => 'DROP IT' } };
  const definition = { name: 'shop', source: { plugin, config: {} }, protect: { ...QUIET, ...protect } } as unknown as ConnectorDefinition;
  const protection = new Protection(definition, log);
  let atMs = 0;
  const errors: SluiceError[] = [];
  const hands = {
    hold: (why: unknown) => {
      if (isHeld !== (why !== null)) done.push(why === null ? 'copies go on' : 'copies are held');
      isHeld = why !== null;
    },
    stop: (error: SluiceError, givesUp: boolean) => {
      errors.push(error);
      done.push(givesUp ? 'stopped, given up' : 'stopped');
    },
  };
  const look = (figures: Partial<ProtectFigures>): Pressure | null => {
    atMs += 10_000;
    protection.observed({ ...NOTHING, ...figures }, atMs, hands);
    return protection.pressure;
  };
  return { done, errors, look, gap: (ms: number) => (atMs += ms) };
}

describe('what protects a source', () => {
  it('comes in its order as what the server keeps grows', () => {
    const { done, errors, look } = protectedBy({
      warn: { retained: 10, freePercent: 0 },
      pauseSnapshot: { retained: 20, freePercent: 0 },
      stop: { retained: 30 },
      dropSlot: { retained: 40 },
      patience: 20_000,
    });
    expect(look({ retained: 9 })).toBeNull();
    expect(look({ retained: 10 })).toEqual({
      action: 'warn',
      reason: 'its server keeps 10 bytes of log for it, and "protect.warn.retained" is 10 bytes',
    });
    expect(look({ retained: 25 })?.action).toBe('pauseSnapshot');
    expect(look({ retained: 30 })?.action).toBe('stop');
    look({ retained: 31 });
    expect(done).toEqual(['warn: The connector is far behind', 'copies are held']);
    look({ retained: 32 });
    expect(done.at(-1)).toBe('stopped');
    // Started again it has its patience once more.
    expect(look({ retained: 50 })?.action).toBe('dropSlot');
    expect(errors).toHaveLength(1);
    look({ retained: 51 });
    look({ retained: 52 });
    look({ retained: 53 });
    expect(done).toEqual(['warn: The connector is far behind', 'copies are held', 'stopped', 'stopped, given up']);
    expect(errors.map(({ code }) => code)).toEqual(['SLUICE_SOURCE_PROTECTED', 'SLUICE_SOURCE_GIVEN_UP']);
    expect(errors[0]?.remedy).toContain('DROP IT');
    expect(errors[1]?.remedy).toContain('new snapshot');
  });

  it('is over only when there is a fifth more room than the bound', () => {
    const { done, look } = protectedBy({ warn: { retained: 100, freePercent: 0 }, pauseSnapshot: { freePercent: 20 } });
    look({ retained: 100, freePercent: 19 });
    look({ retained: 81, freePercent: 24 });
    look({ retained: 100, freePercent: 19 });
    expect(done).toEqual(['warn: The connector is far behind', 'copies are held']);
    look({ retained: 79, freePercent: 26 });
    expect(done.slice(2)).toEqual([expect.stringContaining('no longer so far behind'), 'copies go on']);
    expect(look({ retained: 99, freePercent: 21 })).toBeNull();
  });

  it('lets one that catches up alone, however far it is beyond the bound', () => {
    const { done, look, gap } = protectedBy({ stop: { retained: 100 }, patience: 30_000 });
    for (let retained = 1_000; retained > 200; retained -= 10) {
      look({ retained });
      look({ retained });
      look({ retained });
    }
    // Nobody looked for an hour: what was not looked at does not count.
    look({ retained: 205 });
    gap(3_600_000);
    look({ retained: 300 });
    look({ retained: 300 });
    expect(done).toEqual([]);
    look({ retained: 300 });
    expect(done).toEqual(['stopped']);
  });

  it('any bound is enough, and what is not known or turned off passes none', () => {
    const { look } = protectedBy({ warn: { retained: 0, freePercent: 10, timeLeft: 3_600_000, headroom: 1000 } });
    expect(look({})).toBeNull();
    expect(look({ retained: 1e15, freePercent: 11, timeLeft: 4_000_000, headroom: 2000 })).toBeNull();
    expect(look({ timeLeft: 1_800_000 })?.reason).toContain('in 30 min, and "protect.warn.timeLeft" is 1 h 0 min');
    expect(look({ headroom: 0 })?.reason).toContain('"protect.warn.headroom"');
    expect(look({ freePercent: 0 })?.reason).toContain('0.0 % of what its server keeps');
  });

  it('reads its figures from what the source tells', () => {
    const health = { lagBytes: 1, retainedBytes: 2, slotState: null, connected: true };
    expect(figuresOf(health, Number.POSITIVE_INFINITY)).toEqual({ ...NOTHING, retained: 2 });
    expect(figuresOf({ ...health, freeShare: 0.25, headroomBytes: 7, headroomSeconds: 9 }, 12)).toEqual({
      retained: 2,
      headroom: 7,
      freePercent: 25,
      timeLeft: 9_000,
    });
    // What is read of a file that is still written: no time is running, however short the server keeps its log.
    expect(figuresOf({ ...health, freeShare: 1, headroomSeconds: 9 }, Number.POSITIVE_INFINITY).timeLeft).toBeNull();
  });
});
