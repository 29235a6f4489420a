import { appendFile, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { nodeRuntime } from '../../../src/daemon/node-runtime.ts';
import { openStopped } from '../../../src/daemon/stopped-tables.ts';
import { idAt } from '../../../src/record/messages.ts';
import type { Address } from '../../../src/segments/segment-log.ts';
import { openLevel } from '../../../src/state/level.ts';
import type { StateStore } from '../../../src/state/state-store.ts';
import { openStore } from '../../../src/state/store.ts';
import { sinkPlace, spoolEntry } from '../../../src/stopped-tables/place.ts';
import { Spool } from '../../../src/stopped-tables/spool.ts';
import { messageBatch } from '../../support/message-batches.ts';
import { OUTSIDE_DAMAGE } from '../../support/outside-damage.ts';

const TABLE = 'public.orders';
const runtime = nodeRuntime();
const idOf = (n: number): string => `shop/${String(n).padStart(4, '0')}/0/0`;

/** Messages `from` to before `to`, each a transaction of its own. */
const batch = (from: number, to: number, table = TABLE) =>
  messageBatch(Array.from({ length: to - from }, (_, n) => ({ id: idOf(from + n), destination: 'x', key: `${n}`, value: `${from + n}`, table })));
const all = (length: number): number[] => Array.from({ length }, (_, n) => n);

describe('the spool of a stopped table', () => {
  let dataDir: string;
  let store: StateStore;

  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'sluice-spool-'));
    store = await openStore({ directory: dataDir, runtime, openEngine: openLevel });
  });

  afterEach(async () => {
    await store.close();
    await rm(dataDir, { recursive: true, force: true });
  });

  const open = (place: string | null = null, sent: Address | null = null, table = TABLE): Promise<Spool> =>
    Spool.open({ connector: 'shop', table, dataDir, runtime, store, maxBytes: 2 ** 20 }, place, sent);

  async function idsIn(spool: Spool): Promise<string[]> {
    const ids: string[] = [];
    while (spool.messages > 0) {
      const entries = spool.next(5, 2 ** 20);
      for (const entry of entries) {
        const messages = await spool.read(entry);
        ids.push(...all(messages.count).map((index) => idAt(messages, index)));
      }
      await spool.sent(entries.length);
    }
    return ids;
  }

  it('gives back in order what was put there, over openings, from behind what was sent (I1, I3)', async () => {
    const spool = await open();
    for (let n = 0; n < 30; n += 3) await spool.append(batch(n, n + 3), [0, 1, 2]);
    expect(spool.messages).toBe(30);
    const first = spool.next(1, 2 ** 20)[0]?.address as Address;
    const again = await open(null, first);
    expect(again.messages).toBe(27);
    expect(await idsIn(again)).toEqual(all(30).slice(3).map(idOf));
  });

  it('keeps what was sent until a checkpoint covers it: it comes again after a crash, and must be recognised (I4)', async () => {
    const large = (n: number) => messageBatch([{ id: idOf(n), destination: 'x', key: `${n}`, value: 'x'.repeat(9_000_000), table: TABLE }]);
    const options = { connector: 'shop', table: TABLE, dataDir, runtime, store, maxBytes: 2 ** 27 };
    const spool = await Spool.open(options, null, null);
    const places: string[] = [];
    for (let n = 0; n < 6; n++) places.push(await spool.append(large(n), [0]));
    const sent = spool.next(6, 2 ** 30).at(-2)?.address as Address;
    await spool.sent(5);
    const again = await Spool.open(options, null, sent);
    expect(all(6).filter((n) => again.holds(idOf(n)) !== null)).toEqual(all(6));
    const before = spool.bytes;
    await spool.covers(places[4] as string);
    expect(spool.bytes).toBeLessThan(before / 2);
  });

  it('gives out no more bytes at a time than asked, but at least one entry (I9)', async () => {
    const spool = await open();
    for (let n = 0; n < 9; n++) await spool.append(batch(n, n + 1), [0]);
    const bytes = spool.next(1, 2 ** 20)[0]?.bytes as number;
    expect(spool.next(100, bytes * 3.5)).toHaveLength(3);
    expect(spool.next(100, 1)).toHaveLength(1);
  });

  it('knows what stands beyond the place, and only that: it comes again after a crash (I4)', async () => {
    const spool = await open();
    const place = await spool.append(batch(0, 3), [0, 1, 2]);
    const last = await spool.append(batch(3, 6), [0, 2]);
    const again = await open(place);
    expect(all(6).filter((n) => again.holds(idOf(n)) !== null)).toEqual([3, 5]);
    expect(again.messages).toBe(5);
    const uncovered = await open(null);
    expect(all(6).filter((n) => uncovered.holds(idOf(n)) !== null)).toEqual([0, 1, 2, 3, 5]);
    // Only with its last message an entry is covered.
    expect(uncovered.isPassed, 'the last one has come').toBe(true);
    const fresh = await open(null);
    expect([0, 2, 3, 5].map((n) => fresh.holds(idOf(n)))).toEqual(['', place, '', last]);
  });

  it('a tail that was cut off while it was written is left out', async () => {
    const spool = await open();
    await spool.append(batch(0, 3), [0, 1, 2]);
    const [segment] = await readdir(spool.directory);
    await appendFile(join(spool.directory, segment as string), Buffer.from([9, 0, 0, 0, 1, 2]));
    expect(await idsIn(await open())).toEqual(all(3).map(idOf));
  });

  it.each(Object.entries(OUTSIDE_DAMAGE))(
    'trap: a file that is %s while it is open is a typed stop, and nothing is covered behind it (I1, I8)',
    async (_, damage) => {
      const spool = await open();
      const place = await spool.append(batch(0, 3), [0, 1, 2]);
      const [segment] = await readdir(spool.directory);
      await damage(join(spool.directory, segment as string));
      await expect(spool.append(batch(3, 6), [0, 1, 2])).rejects.toMatchObject({ code: 'SLUICE_SEGMENTS_DAMAGED' });
      // Let go, as the remedy says: what comes then is never taken for what was covered before.
      await Spool.forget({ connector: 'shop', table: TABLE, dataDir, runtime, store, maxBytes: 2 ** 20 });
      await (await open(place)).append(batch(3, 6), [0, 1, 2]);
      const again = await open(place);
      expect(all(6).filter((n) => again.holds(idOf(n)) !== null)).toEqual([3, 4, 5]);
      expect(await idsIn(again)).toEqual([3, 4, 5].map(idOf));
    },
  );

  it('full it says so, and keeps what it has', async () => {
    const spool = await open();
    const large = messageBatch([{ id: idOf(0), destination: 'x', value: 'x'.repeat(700_000), table: TABLE }]);
    await spool.append(large, [0]);
    await expect(spool.append(large, [0])).rejects.toMatchObject({ code: 'SLUICE_SEGMENTS_FULL' });
    const [entry] = spool.next(1, 2 ** 20);
    await spool.sent(1);
    // It stands there still, since it may come again; but it takes no room.
    await spool.append(large, [0]);
    await expect(spool.append(large, [0])).rejects.toMatchObject({ code: 'SLUICE_SEGMENTS_FULL' });
    expect((await open()).messages).toBe(2);
    const behind = await open(null, entry?.address);
    expect(behind.messages).toBe(1);
    await expect(behind.append(large, [0])).rejects.toMatchObject({ code: 'SLUICE_SEGMENTS_FULL' });
  });

  it('cleared it is empty, and old places harm nothing', async () => {
    const spool = await open();
    const place = await spool.append(batch(0, 3), [0, 1, 2]);
    await spool.clear();
    await spool.append(batch(3, 5), [0, 1]);
    expect(await idsIn(await open(place))).toEqual([3, 4].map(idOf));
  });

  it('one whose state was lost makes its table a stopped one, whatever its name (I1)', async () => {
    const long = `public.${'ж'.repeat(60)}`;
    for (const table of [TABLE, long]) await (await open(null, null, table)).append(batch(0, 2, table), [0, 1]);
    await (await open(null, null, 'public.done')).clear();
    const found = await openStopped({ definition: { name: 'shop', spool: { maxBytes: 2 ** 20 } }, store, runtime, dataDir }, null);
    expect(found.map(({ table, state, spool }) => [table, state.state, spool.messages]).sort()).toEqual([
      [TABLE, 'stopped', 2],
      [long, 'stopped', 2],
    ]);
    expect([...(await store.getTableStates('shop')).keys()].sort()).toEqual([TABLE, long].sort());
  });

  it('its entries of the place are not the sink’s', () => {
    expect(sinkPlace({ [spoolEntry(TABLE)]: '1:8', '!cluster': 'x' })).toEqual({ '!cluster': 'x' });
    expect(sinkPlace({ [spoolEntry(TABLE)]: '1:8' })).toBeNull();
    expect(sinkPlace(null)).toBeNull();
  });
});
