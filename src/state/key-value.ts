export type Operation = { readonly type: 'put'; readonly key: string; readonly value: Uint8Array } | { readonly type: 'del'; readonly key: string };

/** What the store needs of a storage engine. `level.ts` is the real one; a simulator brings its own. */
export interface KeyValueStore {
  /** The value, or null if there is none. */
  get(key: string): Promise<Uint8Array | null>;
  /** Atomic; resolves when all of it would survive a power failure. */
  batch(operations: readonly Operation[]): Promise<void>;
  /** Every entry whose key begins with `prefix`, in key order (UTF-8). */
  iterate(prefix: string): AsyncIterable<readonly [key: string, value: Uint8Array]>;
  close(): Promise<void>;
}

/** Why an engine could not be opened. Anything else that it throws is a failing disk or a missing right. */
export class EngineError extends Error {
  readonly problem: 'locked' | 'missing' | 'corrupt';

  constructor(problem: 'locked' | 'missing' | 'corrupt', message: string, cause: unknown) {
    super(message, { cause });
    this.problem = problem;
  }
}

/**
 * Opens the engine in a directory and locks it against every other opener. `create`: make a new, empty one if there is none; without it that
 * throws EngineError `missing`. Throws EngineError `locked` before it looks at anything else.
 */
export type OpenEngine = (location: string, create: boolean) => Promise<KeyValueStore>;
