/** Records of the statements that define captured tables anew. What the tables are by them is asked of the catalogue, while the stream is held. */
import type { BatchWriter, TableChange, TableDefinition, TableVersion } from '#plugin';
import type { ColumnPlan } from './columns.ts';
import { markOf, shownDefinition } from './definition-columns.ts';
import { type DefinitionPart, definitionParts, type Statement, type TableName } from './definition-statements.ts';
import { Question } from './table-map.ts';

/** What the catalogue has of tables by now; null: there is no such table. */
export class DefinitionsWanted extends Question {
  readonly tables: readonly TableName[];
  readonly answers = new Map<string, TableDefinition | null>();

  constructor(tables: readonly TableName[]) {
    super('definitions of tables');
    this.tables = tables;
  }

  static key({ database, name }: TableName): string {
    return JSON.stringify([database, name]);
  }
}

/** What statements are told of. */
export interface DefinitionScope {
  tells(database: string, table: string): boolean;
  /** Whether tables of a database may be captured. */
  tellsIn(database: string): boolean;
}

/** What is told of tables whose rows have not been seen since, for no more of them than that. */
const MOST_TOLD = 1000;

/**
 * Decides what is told of statements. The catalogue may be ahead of the log: what was told of a table is kept, over restarts too, until its next row shows what it was then;
 * if that is something else, it is told before the row.
 */
export class Definitions {
  /** Null: nothing is told. */
  readonly #scope: DefinitionScope | null;
  /** Asked about the event that is given again. */
  #asked: DefinitionsWanted | null = null;
  /** By label, the marks of the definitions that were told since the table's last row. */
  readonly #told: Map<string, string>;
  #saved: string | undefined;

  /** `told` as it was saved. */
  constructor(scope: DefinitionScope | null, told: string | undefined) {
    this.#scope = scope;
    this.#told = new Map(told === undefined ? [] : (JSON.parse(told) as [string, string][]));
    this.#saved = told;
  }

  /** For a position: what the next rows are compared with; undefined: nothing. */
  get told(): string | undefined {
    if (this.#saved === undefined && this.#told.size > 0) this.#saved = JSON.stringify([...this.#told]);
    return this.#saved;
  }

  /**
   * What is to be told of a statement; a part that is not is null: it is counted, so that ordinals do not depend on what is captured. Throws a Question.
   */
  of(statement: Statement): readonly (DefinitionRecord | null)[] {
    const parts = definitionParts(statement);
    const told = parts.map((part) => (this.#isTold(part) ? part : null));
    const answers = this.#ask(told.flatMap((part) => (part?.change == null || part.change.kind === 'DROP' ? [] : [part.change])));
    return told.map((part) => (part === null ? null : this.#recordOf(part, parts, answers)));
  }

  /** What rows of a captured table show that was told otherwise; null: nothing. Throws a Question. */
  shown(table: TableVersion, plans: readonly ColumnPlan[]): DefinitionRecord | null {
    const { label, catalog: database, name, version } = table;
    const told = this.#told.get(label);
    if (told === undefined) return null;
    if (told === markOf(shownDefinition(table, plans, null))) {
      this.#forget(label);
      return null;
    }
    const answers = this.#ask([{ database, name }]);
    this.#forget(label);
    const shown = shownDefinition(table, plans, answers.get(DefinitionsWanted.key({ database, name })) ?? null);
    return { text: '', database, tables: [name], label, changes: [{ kind: 'ALTER', database, name, table: shown }], version: String(version) };
  }

  #ask(tables: readonly TableName[]): DefinitionsWanted['answers'] {
    const asked = this.#asked;
    this.#asked = null;
    if (asked !== null || tables.length === 0) return asked?.answers ?? new Map();
    this.#asked = new DefinitionsWanted(tables);
    throw this.#asked;
  }

  #isTold({ tables, database }: DefinitionPart): boolean {
    const scope = this.#scope;
    if (scope === null) return false;
    return tables.length === 0 ? scope.tellsIn(database) : tables.some((table) => scope.tells(table.database, table.name));
  }

  #recordOf(part: DefinitionPart, parts: readonly DefinitionPart[], answers: DefinitionsWanted['answers']): DefinitionRecord {
    const { text, database, change } = part;
    const names = parts.flatMap((other) => (other.database === database && other.change !== null ? [other.change.name] : []));
    const label = this.#labelOf(part);
    const changes = change === null ? [] : changesOf(change, answers);
    if (change !== null) this.#remember(`${change.database}.${change.name}`, change.kind === 'DROP' ? null : (changes[0]?.table ?? null));
    return { text, database, tables: [...new Set(names)], label, changes, version: '' };
  }

  #remember(label: string, table: TableDefinition | null): void {
    this.#forget(label);
    this.#told.set(label, table === null ? '' : markOf(table));
    const [oldest] = this.#told.keys();
    if (this.#told.size > MOST_TOLD && oldest !== undefined) this.#told.delete(oldest);
  }

  #forget(label: string): void {
    this.#told.delete(label);
    this.#saved = undefined;
  }

  /** Of the captured table that it tells of; '' = of none. */
  #labelOf({ tables }: DefinitionPart): string {
    const captured = tables.find(({ database, name }) => this.#scope?.tells(database, name));
    return captured === undefined ? '' : `${captured.database}.${captured.name}`;
  }
}

/** A table that is there no more by now was dropped or renamed behind the statement: what it was between is not known. */
function changesOf(change: NonNullable<DefinitionPart['change']>, answers: DefinitionsWanted['answers']): TableChange[] {
  if (change.kind === 'DROP') return [{ ...change, table: null }];
  const table = answers.get(DefinitionsWanted.key(change)) ?? null;
  return table === null ? [] : [{ ...change, table }];
}

export interface DefinitionRecord {
  readonly text: string;
  readonly database: string;
  readonly tables: readonly string[];
  readonly label: string;
  readonly changes: readonly TableChange[];
  /** Of the table of the row that shows it; empty: it is a statement. */
  readonly version: string;
}

/** Its cells, behind `writer.record`. */
export function writeDefinition(writer: BatchWriter, { text, tables, label, changes, version }: DefinitionRecord): void {
  writer.image('after');
  for (const cell of [text, JSON.stringify(tables), label, JSON.stringify(changes), version]) {
    const start = writer.append(Buffer.from(cell, 'utf8'));
    writer.cell(start, writer.arenaLength);
  }
}
