/** Which captured tables the log shows coming: what it creates is empty, so that all rows of it are told, and it need not be copied. */
import type { ComingTable } from '#plugin';
import { definitionParts, type Statement } from './definition-statements.ts';

/** Rows come, or go, with a file or a partition: nothing in the log tells them. */
const UNTOLD_ROWS = /\b(?:IMPORT|EXCHANGE|CONVERT)\b/i;
/** The log has the statement too where the table was there, with rows of its own. */
const MAY_BE_THERE = /\bIF\b[\s\S]*\bNOT\b[\s\S]*\bEXISTS\b/i;

export class Arrivals {
  readonly #captures: (database: string, table: string) => boolean;
  readonly #seen: (database: string, table: string, label: string) => void;
  #come: ComingTable[] = [];

  /** `seen` is called for each table that comes. */
  constructor(captures: (database: string, table: string) => boolean, seen: (database: string, table: string, label: string) => void) {
    this.#captures = captures;
    this.#seen = seen;
  }

  /** A statement of the log. The same one again changes nothing. */
  see(statement: Statement): void {
    for (const { change, tables, text } of definitionParts(statement)) {
      if (change?.kind === 'ALTER' && UNTOLD_ROWS.test(text)) this.#come.push({ label: null, identity: '', isWhole: false });
      if (change == null || change.kind === 'DROP' || !this.#captures(change.database, change.name)) continue;
      const label = `${change.database}.${change.name}`;
      if (change.kind === 'CREATE') {
        this.#seen(change.database, change.name, label);
        if (!MAY_BE_THERE.test(text)) this.#come.push({ label, identity: '', isWhole: true });
      } else if (tables.length > 1) {
        this.#seen(change.database, change.name, label);
        // What it had under its old name may have been told under that, or not at all.
        this.#come.push({ label, identity: '', isWhole: false });
      }
    }
  }

  take(): readonly ComingTable[] {
    if (this.#come.length === 0) return this.#come;
    const come = this.#come;
    this.#come = [];
    return come;
  }
}
