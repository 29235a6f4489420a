import type { SluiceError } from '../plugin/error.ts';
import type { Runtime } from '../plugin/runtime.ts';
import type { Position } from '../record/position.ts';
import type { Digest } from './digest.ts';
import { writeError } from './errors.ts';
import { frameJson } from './frame.ts';
import { type Root, STATE_FORMAT } from './integrity.ts';
import type { KeyValueStore, Operation } from './key-value.ts';
import { LOST_KEY, parseKey, ROOT_KEY } from './keys.ts';
import { writeSideFile } from './side-file.ts';

export interface Change {
  readonly operations: readonly Operation[];
  /** The connector's position after this, for the side file; left out: it stays. */
  readonly position?: { readonly connector: string; readonly value: Position | null };
}

interface Waiting {
  readonly change: Change;
  readonly resolve: () => void;
  readonly reject: (error: SluiceError) => void;
}

export interface CommitterState {
  readonly instance: string;
  readonly generation: number;
  readonly digest: Digest;
  readonly positions: Map<string, Position>;
  readonly lost: Set<string>;
}

/**
 * The only writer. Changes that wait while one batch is being synced go into the next one together: with many connectors one sync serves all.
 * A promise resolves when LevelDB and the side file are both synced (I5).
 */
export class Committer {
  readonly #directory: string;
  readonly #stateDirectory: string;
  readonly #runtime: Runtime;
  readonly #engine: KeyValueStore;
  readonly #instance: string;
  readonly #digest: Digest;
  readonly #positions: Map<string, Position>;
  readonly #lost: Set<string>;
  #generation: number;
  #waiting: Waiting[] = [];
  #running: Promise<void> | null = null;
  #failure: SluiceError | null = null;

  constructor(directory: string, stateDirectory: string, runtime: Runtime, engine: KeyValueStore, state: CommitterState) {
    this.#directory = directory;
    this.#stateDirectory = stateDirectory;
    this.#runtime = runtime;
    this.#engine = engine;
    this.#instance = state.instance;
    this.#generation = state.generation;
    this.#digest = state.digest;
    this.#positions = state.positions;
    this.#lost = state.lost;
  }

  /** What ended it; null: it works. */
  get failure(): SluiceError | null {
    return this.#failure;
  }

  commit(change: Change): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ change, resolve, reject });
      this.#running ??= this.#run();
    });
  }

  /** Writes what waits and then, unless something failed, that this was an orderly end. The store commits nothing afterwards. */
  async close(): Promise<void> {
    await this.#running;
    if (this.#failure === null) {
      await this.#write([], true).catch((error: unknown) => {
        this.#failure = writeError(this.#directory, error);
        throw this.#failure;
      });
    }
  }

  async #run(): Promise<void> {
    // Lets everything that is saved in this turn of the event loop share the batch.
    await null;
    while (this.#waiting.length > 0) {
      const group = this.#waiting;
      this.#waiting = [];
      try {
        await this.#write(group, false);
        for (const each of group) each.resolve();
      } catch (error) {
        // After a failed sync nobody knows what is on the disk, and a second one may succeed without having written it: never tried again (I5).
        this.#failure = writeError(this.#directory, error);
        for (const each of [...group, ...this.#waiting]) each.reject(this.#failure);
        this.#waiting = [];
      }
    }
    this.#running = null;
  }

  async #write(group: readonly Waiting[], clean: boolean): Promise<void> {
    // A key that is written twice in a group has its last value; LevelDB would apply both in order, the digest must see one.
    const operations = new Map<string, Operation>();
    for (const { change } of group) {
      for (const operation of change.operations) {
        operations.set(operation.key, operation);
        this.#digest.apply(operation);
        const at = parseKey(operation.key);
        if (at?.rest === LOST_KEY) this.#lost[operation.type === 'put' ? 'add' : 'delete'](at.connector);
      }
      if (change.position === undefined) continue;
      if (change.position.value === null) this.#positions.delete(change.position.connector);
      else this.#positions.set(change.position.connector, change.position.value);
    }
    const generation = this.#generation + 1;
    const root: Root = { format: STATE_FORMAT, instance: this.#instance, generation, clean, digest: this.#digest.sum };
    await this.#engine.batch([...operations.values(), { type: 'put', key: ROOT_KEY, value: frameJson(root) }]);
    const side = { format: STATE_FORMAT, instance: this.#instance, generation, positions: this.#positions, lost: [...this.#lost] };
    await writeSideFile(this.#runtime.files, this.#stateDirectory, side);
    this.#generation = generation;
  }
}
