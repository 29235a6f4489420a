import { SluiceError } from '../plugin/error.ts';
import type { Runtime } from '../plugin/runtime.ts';
import type { Progress } from '../record/position.ts';
import type { Copies } from './copies.ts';
import { SIGNAL_UNDER_WAY, SNAPSHOT_NOT_RUNNING, SNAPSHOT_UNDER_WAY, SNAPSHOT_UNKNOWN_TABLE } from './errors.ts';
import { TableCopy } from './table-copy.ts';
import { type CopyView, copyView } from './view.ts';

/** A copy that is asked for. */
export interface CopyRequest {
  readonly table: string;
  /** Only these rows; null: all. */
  readonly where: string | null;
  /** The column by which it is read in chunks, before its key; null: by its key alone. */
  readonly surrogateKey: string | null;
}

/** What a signal asks for: of the tables named, or, where none is, of all. */
export type SignalCommand =
  | { readonly verb: 'start'; readonly requests: readonly CopyRequest[] }
  | { readonly verb: 'pause' | 'resume' }
  | { readonly verb: 'stop'; readonly tables: readonly string[] };

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
  async start(requests: readonly CopyRequest[]): Promise<readonly CopyView[]> {
    for (const { table } of requests) {
      this.#known(table);
      if (this.#isUnderWay(table)) throw new SluiceError(SNAPSHOT_UNDER_WAY, { table });
    }
    return this.#change(requests.map((request) => this.#begun(request)));
  }

  /** Of the tables named, or of all, what is open. */
  async pause(tables: readonly string[]): Promise<readonly CopyView[]> {
    return this.#change(this.#open(tables), HOW.pause);
  }

  async resume(tables: readonly string[]): Promise<readonly CopyView[]> {
    return this.#change(this.#open(tables), HOW.resume);
  }

  /** What was not copied by now is not copied any more. */
  async stop(tables: readonly string[]): Promise<readonly CopyView[]> {
    return this.#change(this.#open(tables), HOW.stop);
  }

  /** Labels of the captured tables. */
  get labels(): readonly string[] {
    return [...new Set(this.#copies.list().map(({ label }) => label))];
  }

  /**
   * Does what a signal in the log asks for, by tables that are captured, as far as it can be done. The caller saves what changed along with the place behind the signal.
   * Gives the tables of which something was done.
   */
  follow(command: SignalCommand): { readonly done: readonly string[]; readonly problems: readonly SluiceError[] } {
    const problems: SluiceError[] = [];
    const copies: TableCopy[] = [];
    if (command.verb !== 'start') copies.push(...this.#open(command.verb === 'stop' ? command.tables : []));
    else {
      for (const request of command.requests) {
        const { table } = request;
        if (this.#isUnderWay(table)) problems.push(new SluiceError(SIGNAL_UNDER_WAY, { table }, { table }));
        else copies.push(this.#begun(request));
      }
    }
    this.#apply(copies, command.verb === 'start' ? undefined : HOW[command.verb]);
    return { done: copies.map(({ label }) => label), problems };
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

  async #change(copies: readonly TableCopy[], how?: (copy: TableCopy) => void): Promise<readonly CopyView[]> {
    if (this.kick === null) throw new SluiceError(SNAPSHOT_NOT_RUNNING, { connector: this.#connector });
    if (copies.length === 0) return [];
    const saved = new Promise<void>((resolve) => this.#waiting.push({ entries: new Set(copies.map(({ entry }) => entry)), resolve }));
    this.#apply(copies, how);
    await saved;
    return copies.map((copy) => this.#view(copy));
  }

  #view(copy: TableCopy): CopyView {
    return copyView(this.#connector, copy, this.#runtime.monotonicMs());
  }

  #apply(copies: readonly TableCopy[], how?: (copy: TableCopy) => void): void {
    for (const copy of copies) {
      how?.(copy);
      this.#copies.add(copy);
    }
    if (copies.length > 0) this.kick?.();
  }

  #begun({ table, where, surrogateKey }: CopyRequest): TableCopy {
    const copy = this.#copies.get(`again/${table}`) ?? new TableCopy(table, 'again');
    copy.reset(where, surrogateKey);
    return copy;
  }

  #isUnderWay(table: string): boolean {
    return this.#ofTable(table).some(({ isOpen }) => isOpen);
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

const HOW = {
  pause: (copy: TableCopy): void => {
    copy.paused = true;
  },
  resume: (copy: TableCopy): void => {
    copy.paused = false;
  },
  stop: (copy: TableCopy): void => {
    copy.state = 'stopped';
  },
} as const;
