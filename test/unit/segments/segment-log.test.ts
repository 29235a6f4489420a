import { appendFile, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { nodeRuntime } from '../../../src/daemon/node-runtime.ts';
import { type Mark, SegmentLog, type SegmentLogOptions, segmentPath } from '../../../src/segments/segment-log.ts';
import { OUTSIDE_DAMAGE } from '../../support/outside-damage.ts';

describe('segment log (I8: what was confirmed is there, or it says so)', () => {
  let directory: string;
  let mark: Mark | null;

  beforeEach(async () => {
    directory = join(await mkdtemp(join(tmpdir(), 'sluice-segments-')), 'log');
    mark = null;
  });

  afterEach(() => rm(join(directory, '..'), { recursive: true, force: true }));

  const keep = (now: Mark): Promise<void> => {
    mark = now;
    return Promise.resolve();
  };

  const options = (changes: Partial<SegmentLogOptions> = {}): SegmentLogOptions => ({
    files: nodeRuntime().files,
    connector: 'shop',
    directory,
    segmentBytes: 200,
    maxBytes: 100_000,
    mark: { get: () => Promise.resolve(mark), set: keep },
    ...changes,
  });

  const open = async (changes: Partial<SegmentLogOptions> = {}): Promise<{ log: SegmentLog; found: string[] }> => {
    const found: string[] = [];
    const log = await SegmentLog.open(options(changes), (payload) => found.push(payload.toString()));
    return { log, found };
  };

  const fill = async (count: number): Promise<string[]> => {
    const { log } = await open();
    const all = Array.from({ length: count }, (_, n) => `entry ${n} ${'x'.repeat(n % 50)}`);
    for (const text of all) await log.append([Buffer.from(text)]);
    return all;
  };

  const codeOf = (work: Promise<unknown>): Promise<string> =>
    work.then(
      () => 'fine',
      (error: { code?: string }) => error.code ?? 'untyped',
    );

  it('gives back in order what was appended, over several segments', async () => {
    const all = await fill(40);
    expect((await open()).found).toEqual(all);
    expect(mark?.segment).toBeGreaterThan(3);
  });

  it('cleared it is empty, and goes on in a segment of its own', async () => {
    await fill(10);
    const { log } = await open();
    await log.clear();
    expect((await open()).found).toEqual([]);
    await log.append([Buffer.from('next')]);
    const again = await open();
    expect(again.found).toEqual(['next']);
    expect(again.log.bytes).toBe(8 + 8 + 4);
  });

  it('reads single entries by address, and appends in call order', async () => {
    const { log } = await open();
    const addresses = await Promise.all(['a', 'b', 'c'].map((text) => log.append([Buffer.from(text), Buffer.from(`${text}${text}`)])));
    const texts = await Promise.all(addresses.flat().map(async (address) => (await log.read(address)).toString()));
    expect(texts).toEqual(['a', 'aa', 'b', 'bb', 'c', 'cc']);
  });

  it('a tail that was cut off at any byte while it was written is repaired', async () => {
    const all = await fill(3);
    const path = segmentPath(directory, 1);
    const whole = await readFile(path);
    const { log } = await open();
    const confirmed = mark;
    await log.append([Buffer.from('never confirmed')]);
    const longer = await readFile(path);
    for (let length = whole.length; length < longer.length; length++) {
      await writeFile(path, longer.subarray(0, length));
      mark = confirmed;
      const { found, log: repaired } = await open();
      expect(found).toEqual(all);
      await repaired.append([Buffer.from('after')]);
      expect((await open()).found).toEqual([...all, 'after']);
      await writeFile(path, whole);
    }
  });

  it('what was written whole and not confirmed is kept', async () => {
    const all = await fill(3);
    const confirmed = mark;
    const { log } = await open();
    await log.append([Buffer.from('whole')]);
    mark = confirmed;
    expect((await open()).found).toEqual([...all, 'whole']);
  });

  it('zeros behind the end (a file that was grown and not written) are no entries', async () => {
    const all = await fill(3);
    await appendFile(segmentPath(directory, 1), Buffer.alloc(64));
    expect((await open()).found).toEqual(all);
  });

  it('a flipped bit, a lost tail and a lost segment of what was confirmed are a typed stop', async () => {
    await fill(40);
    const path = segmentPath(directory, 2);
    const whole = await readFile(path);
    for (let at = 0; at < whole.length; at += 7) {
      const flipped = Buffer.from(whole);
      flipped[at] = (flipped[at] as number) ^ 4;
      await writeFile(path, flipped);
      expect(await codeOf(open())).toBe('SLUICE_SEGMENTS_DAMAGED');
    }
    await writeFile(path, whole);
    const last = segmentPath(directory, mark?.segment ?? 0);
    const tail = await readFile(last);
    await truncate(last, tail.length - 1);
    expect(await codeOf(open())).toBe('SLUICE_SEGMENTS_DAMAGED');
    await writeFile(last, tail);
    await rm(path);
    expect(await codeOf(open())).toBe('SLUICE_SEGMENTS_DAMAGED');
  });

  describe.each(Object.entries(OUTSIDE_DAMAGE))('trap: a file that is %s while it is open is a typed stop at the next append', (_, damage) => {
    it('the last segment: nothing is written to it, nor confirmed', async () => {
      const { log } = await open({ segmentBytes: 10_000 });
      await log.append([Buffer.from('confirmed')]);
      const confirmed = mark;
      await damage(segmentPath(directory, 1));
      const found = await nodeRuntime().files.read(segmentPath(directory, 1));
      expect(await codeOf(log.append([Buffer.from('behind it')]))).toBe('SLUICE_SEGMENTS_DAMAGED');
      expect(await codeOf(log.append([Buffer.from('behind it')]))).toBe('SLUICE_SEGMENTS_DAMAGED');
      expect(mark).toEqual(confirmed);
      expect(await nodeRuntime().files.read(segmentPath(directory, 1))).toEqual(found);
    });

    it('while the append is under way', async () => {
      const { files } = nodeRuntime();
      let is = false;
      const append = async (path: string, bytes: Uint8Array): Promise<void> => {
        await files.append(path, bytes);
        if (is) await damage(path);
      };
      const { log } = await open({ segmentBytes: 10_000, files: { ...files, append } });
      await log.append([Buffer.from('confirmed')]);
      const confirmed = mark;
      is = true;
      expect(await codeOf(log.append([Buffer.from('behind it')]))).toBe('SLUICE_SEGMENTS_DAMAGED');
      expect(mark).toEqual(confirmed);
    });

    it('an earlier segment: in its turn', async () => {
      await fill(40);
      const { log } = await open();
      const segments = mark?.segment as number;
      expect(segments).toBeGreaterThan(3);
      await damage(segmentPath(directory, 2));
      const codes: string[] = [];
      for (let turn = 0; turn < segments; turn++) codes.push(await codeOf(log.append([Buffer.from('x')])));
      expect(codes.at(-1)).toBe('SLUICE_SEGMENTS_DAMAGED');
    });
  });

  it('what was not there when it was opened is no damage: the file of a new segment, a trim, a repaired tail', async () => {
    await fill(40);
    await appendFile(segmentPath(directory, mark?.segment ?? 0), 'cut off');
    const { log } = await open();
    for (let n = 0; n < 40; n++) {
      await log.append([Buffer.alloc(60)]);
      if (n % 7 === 0) await log.trim((mark?.segment ?? 0) - 1);
    }
    await log.clear();
    await log.append([Buffer.from('next')]);
    expect((await open()).found).toEqual(['next']);
  });

  it('trap: what comes after all was let go has addresses that nothing had before', async () => {
    await fill(40);
    const last = mark?.segment as number;
    await writeFile(segmentPath(directory, last), 'no segment');
    await SegmentLog.forget(options());
    const { log, found } = await open();
    expect(found).toEqual([]);
    const [address] = await log.append([Buffer.from('next')]);
    expect(address?.segment).toBe(last + 1);
    expect((await open()).found).toEqual(['next']);
  });

  it('is bounded, and says so', async () => {
    const { log } = await open({ maxBytes: 300 });
    await log.append([Buffer.alloc(200)]);
    expect(await codeOf(log.append([Buffer.alloc(200)]))).toBe('SLUICE_SEGMENTS_FULL');
    // Opened anew: what failed left nothing behind.
    expect((await open({ maxBytes: 300 })).found).toHaveLength(1);
  });

  it('gives back what is not needed any more, also after a crash in the middle of it', async () => {
    const all = await fill(40);
    const { log } = await open();
    const before = log.bytes;
    const removed = await readFile(segmentPath(directory, 1));
    await log.trim(3);
    expect(log.bytes).toBeLessThan(before);
    const { found } = await open();
    expect(all.slice(-found.length)).toEqual(found);
    expect(found.length).toBeLessThan(all.length);
    // The mark was set and the file not removed yet.
    await writeFile(segmentPath(directory, 1), removed);
    expect((await open()).found).toEqual(found);
    expect(await nodeRuntime().files.read(segmentPath(directory, 1))).toBeNull();
  });
});
