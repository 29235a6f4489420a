import { SluiceError } from '../plugin/error.ts';
import type { Runtime } from '../plugin/runtime.ts';
import type { Progress } from '../record/position.ts';
import type { Copies } from './copies.ts';
import { SNAPSHOT_NOT_RUNNING, SNAPSHOT_UNDER_WAY, SNAPSHOT_UNKNOWN_TABLE } from './errors.ts';
import { TableCopy } from './table-copy.ts';
import { type CopyView, copyView } from './view.ts';

/** What an operator asks of the copies of a connector that runs. */
export class SnapshotCommands {
  readonly #connector: string;
  readonly #copies: Copies;
  readonly #runtime: Pick<Runtime, 'monotonicMs'>;
  /** Entries that are on their way to the disk, and who waits for them. */
  #waiting: { readonly entries: Set<string>; readonly resolve: () => void }[] = [];
  /** Null: the log is not read. */
  kick: (() => void) | null = null;

  constructor(connector: string, copies: Copies, runtime: Pick<Runtime, 'monotonicMs'>) {
    this.#connector = connector;
    this.#copies = copies;
    this.#runtime = runtime;
  }

  views(): readonly CopyView[] {
    return this.#copies.list().map((copy) => this.#view(copy));
  }

  /** Copies tables once more, or those rows of them that a condition takes. Durable when it resolves. Throws typed errors, and then begins none. */
  async start(tables: readonly string[], where: string | null): Promise<readonly CopyView[]> {
    for (const table of tables) {
      this.#known(table);
      if (this.#ofTable(table).some(({ isOpen }) => isOpen)) throw new SluiceError(SNAPSHOT_UNDER_WAY, { table });
    }
    return this.#change(
      tables.map((table) => {
        const copy = this.#copies.get(`again/${table}`) ?? new TableCopy(table, 'again');
        copy.reset(where);
        return copy;
      }),
    );
  }

  /** Of the tables named, or of all, what is open. */
  async pause(tables: readonly string[]): Promise<readonly CopyView[]> {
    return this.#change(this.#open(tables), (copy) => {
      copy.paused = true;
    });
  }

  async resume(tables: readonly string[]): Promise<readonly CopyView[]> {
    return this.#change(this.#open(tables), (copy) => {
      copy.paused = false;
    });
  }

  /** What was not copied by now is not copied any more. */
  async stop(tables: readonly string[]): Promise<readonly CopyView[]> {
    return this.#change(this.#open(tables), (copy) => {
      copy.state = 'stopped';
    });
  }

  /** What is known of copies was saved. */
  saved(progress: Progress | null): void {
    if (progress === null || this.#waiting.length === 0) return;
    this.#waiting = this.#waiting.filter(({ entries, resolve }) => {
      for (const entry of Object.keys(progress)) entries.delete(entry);
      if (entries.size === 0) resolve();
      return entries.size > 0;
    });
  }

  /** Nothing more will be saved in this life. */
  end(): void {
    this.kick = null;
    for (const { resolve } of this.#waiting.splice(0)) resolve();
  }

  async #change(copies: readonly TableCopy[], how: (copy: TableCopy) => void = () => undefined): Promise<readonly CopyView[]> {
    if (this.kick === null) throw new SluiceError(SNAPSHOT_NOT_RUNNING, { connector: this.#connector });
    if (copies.length === 0) return [];
    for (const copy of copies) {
      how(copy);
      this.#copies.add(copy);
    }
    const saved = new Promise<void>((resolve) => this.#waiting.push({ entries: new Set(copies.map(({ entry }) => entry)), resolve }));
    this.kick();
    await saved;
    return copies.map((copy) => this.#view(copy));
  }

  #view(copy: TableCopy): CopyView {
    return copyView(this.#connector, copy, this.#runtime.monotonicMs());
  }

  #open(tables: readonly string[]): readonly TableCopy[] {
    for (const table of tables) this.#known(table);
    return this.#copies.list().filter(({ label, isOpen }) => isOpen && (tables.length === 0 || tables.includes(label)));
  }

  #ofTable(table: string): readonly TableCopy[] {
    return this.#copies.list().filter(({ label }) => label === table);
  }

  #known(table: string): void {
    if (this.#ofTable(table).length === 0) throw new SluiceError(SNAPSHOT_UNKNOWN_TABLE, { connector: this.#connector, table });
  }
}
