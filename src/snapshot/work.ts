import type { Part, TableCopy } from './table-copy.ts';

/** What a worker is to do next: plan a table, or copy a part of one. */
export type Task = { readonly copy: TableCopy; readonly part: Part | null };

/** Divides open copies among workers: table after table, and the parts of one table among all who are free. */
export class Work {
  readonly #copies: Iterable<TableCopy>;
  readonly #taken = new Set<Part | TableCopy>();
  /** Not in this run. */
  readonly #put = new Set<TableCopy>();
  #under = 0;
  #changed: (() => void)[] = [];

  /** May become more; `wake` then. */
  constructor(copies: Iterable<TableCopy>) {
    this.#copies = copies;
  }

  /** Null: nothing is left. Waits while what is left is in other hands and may become more. */
  async next(): Promise<Task | null> {
    for (;;) {
      for (const copy of this.#copies) {
        if (!copy.isOpen || copy.paused || this.#put.has(copy)) continue;
        if (copy.parts === null) {
          if (this.#taken.has(copy)) continue;
          return this.#take({ copy, part: null }, copy);
        }
        const part = copy.parts.find((each) => !each.done && !this.#taken.has(each));
        if (part !== undefined) return this.#take({ copy, part }, part);
        // What moved meanwhile comes last, and may come again.
        if (copy.partsAreRead && copy.moved.size > 0 && !this.#taken.has(copy.rest)) return this.#take({ copy, part: copy.rest }, copy.rest);
      }
      if (this.#under === 0) return null;
      await new Promise<void>((resolve) => this.#changed.push(resolve));
    }
  }

  /** A worker has left it: planned, done, or because the copy was put off, ended or failed. */
  done({ copy, part }: Task): void {
    this.#under--;
    this.#taken.delete(part ?? copy);
    this.wake();
  }

  /** The same of a part that is read and counts as done only once its rows were handed on: nobody takes it meanwhile. */
  read(): void {
    this.#under--;
    this.wake();
  }

  /** Leaves the table for later. */
  putAside(copy: TableCopy): void {
    this.#put.add(copy);
    this.wake();
  }

  wake(): void {
    for (const wake of this.#changed.splice(0)) wake();
  }

  #take(task: Task, what: Part | TableCopy): Task {
    this.#taken.add(what);
    this.#under++;
    return task;
  }
}
