/** A wall clock that an operator or NTP sets: `Date` of the daemon jumps, its monotonic clock goes on (POSIX; libuv's timers use the latter). */
import { access, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const LIBFAKETIME = ['/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1', '/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1'];

export class SteppedClock {
  readonly environment: Readonly<Record<string, string>>;
  readonly #directory: string;
  readonly #file: string;

  private constructor(directory: string, library: string | null) {
    this.#directory = directory;
    this.#file = join(directory, 'offset');
    this.environment =
      library === null
        ? { NODE_OPTIONS: `--import ${new URL('fault-clock-preload.mjs', import.meta.url)}`, SLUICE_TEST_CLOCK: this.#file }
        : { LD_PRELOAD: library, FAKETIME_TIMESTAMP_FILE: this.#file, FAKETIME_DONT_FAKE_MONOTONIC: '1', FAKETIME_NO_CACHE: '1' };
  }

  /** `machine`: the whole C library is given the other time (libfaketime, Debian's package `faketime`); else only JavaScript's `Date`. */
  static async create({ machine }: { machine: boolean }): Promise<SteppedClock> {
    const clock = new SteppedClock(await mkdtemp(join(tmpdir(), 'sluice-clock-')), machine ? await libfaketime() : null);
    await clock.set(0);
    return clock;
  }

  /** Sets the clock so many seconds off the machine's. */
  async set(seconds: number): Promise<void> {
    const next = `${this.#file}.next`;
    await writeFile(next, `${seconds < 0 ? '-' : '+'}${Math.abs(seconds)}`);
    await rename(next, this.#file);
  }

  async dispose(): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
  }
}

/** Null: not installed. */
export async function libfaketime(): Promise<string | null> {
  for (const path of LIBFAKETIME) {
    const found = await access(path).then(
      () => true,
      () => false,
    );
    if (found) return path;
  }
  return null;
}
