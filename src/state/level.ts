import { Level } from 'level';
import { rootMessage } from '../plugin/error.ts';
import { isOutOfFiles } from './errors.ts';
import { EngineError, type KeyValueStore, type Operation } from './key-value.ts';

/**
 * LevelDB through the `level` package (its Node engine is classic-level with LevelDB 1.20, one process at a time, locked by the file LOCK).
 *
 * What it does not do, so that the store does it: a damaged log opens without an error and forgets synced writes; values of a damaged table file
 * come back as they are; without `CURRENT` a default open makes a new, empty database. Never repairs anything.
 */
export async function openLevel(location: string, create: boolean): Promise<KeyValueStore> {
  const level = new Level<string, Uint8Array>(location, { keyEncoding: 'utf8', valueEncoding: 'view', createIfMissing: create });
  try {
    await level.open();
  } catch (error) {
    throw openingError(error);
  }
  return new LevelStore(level);
}

class LevelStore implements KeyValueStore {
  readonly #level: Level<string, Uint8Array>;

  constructor(level: Level<string, Uint8Array>) {
    this.#level = level;
  }

  async get(key: string): Promise<Uint8Array | null> {
    return (await corruptionTyped(this.#level.get(key))) ?? null;
  }

  async batch(operations: readonly Operation[]): Promise<void> {
    // `sync` is off by default in LevelDB: an acknowledged write would then be lost with the power (I5).
    await this.#level.batch([...operations], { sync: true });
  }

  async *iterate(prefix: string): AsyncGenerator<readonly [string, Uint8Array]> {
    // U+FFFF sorts behind every character that a key may hold: keys are ASCII.
    const iterator = this.#level.iterator({ gte: prefix, lt: `${prefix}\uffff` });
    try {
      for (;;) {
        const entries = await corruptionTyped(iterator.nextv(256));
        if (entries.length === 0) return;
        yield* entries;
      }
    } finally {
      await iterator.close();
    }
  }

  async close(): Promise<void> {
    await this.#level.close();
  }
}

/** abstract-level wraps every failure of opening: the code that tells them apart is its cause's. */
function openingError(error: unknown): unknown {
  const cause = (error as { cause?: { code?: string } }).cause;
  const message = rootMessage(error);
  if (cause?.code === 'LEVEL_LOCKED') return new EngineError('locked', message, error);
  if (cause?.code === 'LEVEL_CORRUPTION') return new EngineError('corrupt', message, error);
  // LevelDB's status for a database without CURRENT has no code of its own.
  if (message.includes('does not exist (create_if_missing is false)'))
    return new EngineError('missing', 'LevelDB holds no database (CURRENT is missing)', error);
  // CURRENT or a manifest names a file that is gone.
  if (cause?.code === 'LEVEL_IO_ERROR' && message.endsWith('No such file or directory')) return new EngineError('missing', message, error);
  return error;
}

async function corruptionTyped<T>(result: Promise<T>): Promise<T> {
  try {
    return await result;
  } catch (error) {
    // Not damage: they come back.
    if (isOutOfFiles(error)) throw error;
    const code = (error as { code?: string }).code;
    if (code === 'LEVEL_CORRUPTION' || code === 'LEVEL_IO_ERROR') throw new EngineError('corrupt', rootMessage(error), error);
    throw error;
  }
}
