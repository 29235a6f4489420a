import { chmod, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Files, Runtime, Timer } from '../plugin/runtime.ts';
import { nodeCredentials } from './node-credentials.ts';

/** setTimeout takes a 32-bit number of milliseconds; more would fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * The clock, timers, randomness, files and secrets of the machine.
 * @param hide is told each secret that was got anew (I12)
 */
export function nodeRuntime(hide: (secret: string) => void = () => undefined): Runtime {
  return {
    nowMicros: wallClock(),
    monotonicMs: () => performance.now(),
    random: Math.random,
    setTimer,
    files,
    credentials: nodeCredentials(hide, setTimer),
  };
}

/**
 * Date.now() says what time it is, in milliseconds; the monotonic clock adds the digits below. Never further from Date.now() than its own
 * resolution, so that a stepped clock shows at once (`performance.timeOrigin` would keep the old one for the life of the process).
 */
function wallClock(): () => number {
  let anchorMicros = Date.now() * 1000;
  let anchorMs = performance.now();
  return () => {
    const wallMicros = Date.now() * 1000;
    const nowMs = performance.now();
    const micros = anchorMicros + Math.floor((nowMs - anchorMs) * 1000);
    if (micros >= wallMicros && micros < wallMicros + 1000) return micros;
    anchorMicros = micros < wallMicros ? wallMicros : wallMicros + 999;
    anchorMs = nowMs;
    return anchorMicros;
  };
}

function setTimer(callback: () => void, ms: number, background = false): Timer {
  const start = (leftMs: number): NodeJS.Timeout => {
    const next = leftMs > LONGEST_TIMER_MS ? () => (timeout = start(leftMs - LONGEST_TIMER_MS)) : callback;
    const started = setTimeout(next, Math.min(leftMs, LONGEST_TIMER_MS));
    if (background) started.unref();
    return started;
  };
  let timeout = start(ms);
  return { clear: () => clearTimeout(timeout) };
}

const files: Files = {
  async read(path) {
    return orNull(readFile(path));
  },

  async state(path) {
    const found = await orNull(stat(path, { bigint: true }));
    return found === null ? null : { length: Number(found.size), identity: `${found.dev}:${found.ino}` };
  },

  async replace(path, bytes) {
    const temporary = `${path}.tmp`;
    const file = await open(temporary, 'w', 0o600);
    try {
      // The mode above is only for a file that is created; a crash may have left one.
      await file.chmod(0o600);
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    await syncDirectory(dirname(path));
  },

  async makeDirectory(path) {
    const first = await mkdir(path, { recursive: true, mode: 0o700 });
    if (first === undefined) return;
    await chmod(path, 0o700);
    // A new directory survives a power failure only once its parent is synced; that of the first one made existed before.
    const top = dirname(resolve(first));
    for (let parent = dirname(resolve(path)); ; parent = dirname(parent)) {
      await syncDirectory(parent);
      if (parent === top) return;
    }
  },

  async list(path) {
    return orNull(readdir(path));
  },

  async rename(from, to) {
    await rename(from, to);
    await syncDirectory(dirname(to));
    if (dirname(from) !== dirname(to)) await syncDirectory(dirname(from));
  },

  async append(path, bytes) {
    const file = await open(path, 'a', 0o600);
    let isNew: boolean;
    try {
      isNew = (await file.stat()).size === 0;
      await file.writeFile(bytes);
      await file.datasync();
    } finally {
      await file.close();
    }
    if (isNew) await syncDirectory(dirname(path));
  },

  async truncate(path, length) {
    const file = await open(path, 'r+');
    try {
      await file.truncate(length);
      await file.sync();
    } finally {
      await file.close();
    }
  },

  async remove(path) {
    await rm(path, { force: true });
    await syncDirectory(dirname(path));
  },
};

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

async function orNull<T>(result: Promise<T>): Promise<T | null> {
  try {
    return await result;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
