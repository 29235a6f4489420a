import type { Credentials } from './credential.ts';

/** Clock, timers, randomness, files and secrets come in through here and nowhere else, so that the simulator can replace them. */
export interface Runtime {
  /** Wall clock, microseconds since the epoch. Only for what is shown; never for ordering. */
  nowMicros(): number;
  /** Monotonic clock in milliseconds: for every duration and timeout. */
  monotonicMs(): number;
  /** In [0, 1). */
  random(): number;
  /** Calls back once after `ms`; the handle must be cleared. Does not keep the process alive by itself if `background` is set. */
  setTimer(callback: () => void, ms: number, background?: boolean): Timer;
  readonly files: Files;
  /** Secrets that are got anew for each connection. */
  readonly credentials: Credentials;
}

export interface Timer {
  clear(): void;
}

export interface Files {
  /** The whole file, or null if it does not exist. */
  read(path: string): Promise<Buffer | null>;
  /** The file that stands there now, or null if there is none. */
  state(path: string): Promise<FileState | null>;
  /** Replaces a file durably: temporary file, fsync, rename, fsync of the directory. Mode 0600. */
  replace(path: string, bytes: Uint8Array): Promise<void>;
  /** Creates a directory and its parents, mode 0700. */
  makeDirectory(path: string): Promise<void>;
  /** Names in a directory, or null if it does not exist. */
  list(path: string): Promise<readonly string[] | null>;
  /** Moves a file or directory durably to a name that is free: rename, fsync of both parents. */
  rename(from: string, to: string): Promise<void>;
  /** Writes behind a file's end, making the file (mode 0600) if there is none; durable when it resolves. After a throw any part of it may stand there. */
  append(path: string, bytes: Uint8Array): Promise<void>;
  /** Cuts a file off, durably. */
  truncate(path: string, length: number): Promise<void>;
  /** Removes a file durably; nothing if there is none. */
  remove(path: string): Promise<void>;
}

/** By which a file is known again that nobody else should have touched. */
export interface FileState {
  readonly length: number;
  /** Device and inode: another one is another file, whatever it holds. */
  readonly identity: string;
}

/** Resolves after `ms`, or rejects with the signal's reason as soon as it is aborted. */
export function sleep(runtime: Runtime, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason as Error);
    const timer = runtime.setTimer(() => {
      signal?.removeEventListener('abort', aborted);
      resolve();
    }, ms);
    const aborted = (): void => {
      timer.clear();
      reject(signal?.reason as Error);
    };
    signal?.addEventListener('abort', aborted, { once: true });
  });
}

/** Resolves when the signal is aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
