/** Records of the statements that define captured tables anew. What the tables are by them is asked of the catalogue, while the stream is held. */
import { type BatchWriter, definitionTable, type TableChange, type TableDefinition, type TableVersion } from '#plugin';
import { type DefinitionPart, definitionParts, type TableName } from './definition-statements.ts';
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

export interface DefinitionOptions {
  readonly captures: (database: string, table: string) => boolean;
  readonly capturesIn: (database: string) => boolean;
  /** Records are wanted. */
  readonly isTold: boolean;
}

/** Parts of a message's id (`DEFINITION.part`). */
const FIRST_PART = 0;

export class Definitions {
  readonly #options: DefinitionOptions;
  /** Asked about the statement that is given again. */
  #asked: DefinitionsWanted | null = null;

  constructor(options: DefinitionOptions) {
    this.#options = options;
  }

  /**
   * What is to be told of a statement; a part that is not is null: it is counted, so that ordinals do not depend on what is captured. Throws a Question.
   * @param database of the session
   */
  of(sql: string, database: string): readonly (DefinitionRecord | null)[] {
    const parts = definitionParts(sql, database);
    const told = parts.map((part) => (this.#isTold(part) ? part : null));
    const tables = told.flatMap((part) => (part?.change == null || part.change.kind === 'DROP' ? [] : [part.change]));
    if (tables.length > 0 && this.#asked === null) {
      this.#asked = new DefinitionsWanted(tables);
      throw this.#asked;
    }
    const answers = this.#asked?.answers;
    this.#asked = null;
    return told.map((part) => (part === null ? null : this.#recordOf(part, parts, answers)));
  }

  #isTold({ tables, database }: DefinitionPart): boolean {
    const { isTold, captures, capturesIn } = this.#options;
    if (!isTold) return false;
    return tables.length === 0 ? capturesIn(database) : tables.some((table) => captures(table.database, table.name));
  }

  #recordOf(part: DefinitionPart, parts: readonly DefinitionPart[], answers: DefinitionsWanted['answers'] | undefined): DefinitionRecord {
    const { text, database, change } = part;
    const names = parts.flatMap((other) => (other.database === database && other.change !== null ? [other.change.name] : []));
    return { text, database, tables: [...new Set(names)], label: this.#labelOf(part), changes: change === null ? [] : changesOf(change, answers) };
  }

  /** Of the captured table that it tells of; '' = of none. */
  #labelOf({ tables }: DefinitionPart): string {
    const captured = tables.find(({ database, name }) => this.#options.captures(database, name));
    return captured === undefined ? '' : `${captured.database}.${captured.name}`;
  }
}

/** A table that is there no more by now was dropped or renamed behind the statement: what it was between is not known. */
function changesOf(change: NonNullable<DefinitionPart['change']>, answers: DefinitionsWanted['answers'] | undefined): TableChange[] {
  if (change.kind === 'DROP') return [{ ...change, table: null }];
  const table = answers?.get(DefinitionsWanted.key(change)) ?? null;
  return table === null ? [] : [{ ...change, table }];
}

export interface DefinitionRecord {
  readonly text: string;
  readonly database: string;
  readonly tables: readonly string[];
  readonly label: string;
  readonly changes: readonly TableChange[];
}

/** Its cells, behind `writer.record`. */
export function writeDefinition(writer: BatchWriter, { text, tables, label, changes }: DefinitionRecord): void {
  writer.image('after');
  for (const cell of [text, JSON.stringify(tables), label, JSON.stringify(changes), String(FIRST_PART)]) {
    const start = writer.append(Buffer.from(cell, 'utf8'));
    writer.cell(start, writer.arenaLength);
  }
}

/** Tables under which statements are told, by database. */
export class DefinitionTables {
  readonly #known = new Map<string, TableVersion>();

  of(database: string, writer: BatchWriter): TableVersion {
    const known = this.#known.get(database) ?? writer.table(definitionTable(database));
    this.#known.set(database, known);
    return known;
  }
}
