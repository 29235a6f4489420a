import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { nodeRuntime } from '../../../src/daemon/node-runtime.ts';

const directories: string[] = [];

async function directory(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'sluice-runtime-'));
  directories.push(made);
  return made;
}

afterEach(async () => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  await Promise.all(directories.splice(0).map((each) => rm(each, { recursive: true })));
});

describe('the clock', () => {
  it('is the wall clock in whole microseconds, finer than milliseconds', () => {
    const { nowMicros } = nodeRuntime();
    const below = new Set<number>();
    for (let i = 0; i < 2000; i++) {
      const before = Date.now();
      const micros = nowMicros();
      const after = Date.now();
      expect(Number.isSafeInteger(micros)).toBe(true);
      expect(micros).toBeGreaterThanOrEqual(before * 1000);
      expect(micros).toBeLessThan((after + 1) * 1000);
      below.add(micros % 1000);
    }
    expect(below.size).toBeGreaterThan(20);
  });

  it('follows a stepped system clock at once, forwards and back, unlike performance.timeOrigin', () => {
    const now = vi.spyOn(Date, 'now').mockReturnValue(1_700_000_000_000);
    const { nowMicros, monotonicMs } = nodeRuntime();
    const started = monotonicMs();
    for (const wall of [1_700_000_000_000, 1_800_000_000_000, 1_600_000_000_000]) {
      now.mockReturnValue(wall);
      expect(Math.floor(nowMicros() / 1000)).toBe(wall);
    }
    expect(monotonicMs() - started).toBeGreaterThanOrEqual(0);
    expect(monotonicMs() - started).toBeLessThan(60_000);
  });
});

describe('timers', () => {
  it('fire once after their time, not if they are cleared, and not at once for more milliseconds than 32 bits hold', () => {
    vi.useFakeTimers();
    const { setTimer } = nodeRuntime();
    const fired: string[] = [];
    setTimer(() => fired.push('short'), 10);
    setTimer(() => fired.push('cleared'), 20).clear();
    const month = 30 * 24 * 3_600_000;
    setTimer(() => fired.push('month'), month);
    const long = setTimer(() => fired.push('long, cleared'), month);
    vi.advanceTimersByTime(11);
    expect(fired).toEqual(['short']);
    vi.advanceTimersByTime(2 ** 31);
    expect(fired).toEqual(['short']);
    long.clear();
    vi.advanceTimersByTime(month);
    expect(fired).toEqual(['short', 'month']);
  });

  it('keep the process alive unless they are in the background', () => {
    const unref = vi.fn();
    vi.spyOn(globalThis, 'setTimeout').mockImplementation((() => ({ unref })) as never);
    const { setTimer } = nodeRuntime();
    setTimer(() => undefined, 1);
    expect(unref).not.toHaveBeenCalled();
    setTimer(() => undefined, 1, true);
    expect(unref).toHaveBeenCalledOnce();
  });
});

describe('files', () => {
  const { files } = nodeRuntime();

  it('replaces a file whole, for its user only, whatever a crash left beside it', async () => {
    const path = join(await directory(), 'file');
    await writeFile(`${path}.tmp`, 'a longer one that a crash left', { mode: 0o644 });
    await files.replace(path, Buffer.from('one'));
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    await files.replace(path, Buffer.from('2'));
    expect((await files.read(path))?.toString()).toBe('2');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readdir(join(path, '..'))).toEqual(['file']);
  });

  it('keeps the old file if the new one cannot be written', async () => {
    const path = join(await directory(), 'file');
    await files.replace(path, Buffer.from('old'));
    await mkdir(`${path}.tmp`);
    await expect(files.replace(path, Buffer.from('new'))).rejects.toThrow();
    expect(await readFile(path, 'utf8')).toBe('old');
  });

  it('makes directories with their parents, for their user only, and leaves one that exists as it is', async () => {
    const top = await directory();
    await files.makeDirectory(join(top, 'a/b/c'));
    for (const each of ['a', 'a/b', 'a/b/c']) expect((await stat(join(top, each))).mode & 0o777).toBe(0o700);
    await mkdir(join(top, 'open'), { mode: 0o755 });
    await files.makeDirectory(join(top, 'open'));
    expect((await stat(join(top, 'open'))).mode & 0o777).toBe(0o755);
  });

  it('says null for what does not exist, and throws for the rest', async () => {
    const top = await directory();
    expect(await files.read(join(top, 'none'))).toBeNull();
    expect(await files.list(join(top, 'none'))).toBeNull();
    expect(await files.list(top)).toEqual([]);
    await expect(files.read(top)).rejects.toThrow('EISDIR');
  });

  it('renames a directory', async () => {
    const top = await directory();
    await files.makeDirectory(join(top, 'a/x'));
    await files.makeDirectory(join(top, 'b'));
    await files.rename(join(top, 'a/x'), join(top, 'b/y'));
    expect(await files.list(join(top, 'b'))).toEqual(['y']);
    expect(await files.list(join(top, 'a'))).toEqual([]);
  });
});
