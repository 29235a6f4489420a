import { SluiceError } from '../plugin/error.ts';
import { type ColumnShape, type TableShape, type TableVersion, tableId } from '../record/table.ts';
import { SCHEMA_INCOMPATIBLE } from './errors.ts';

/** What happens to rows of a shape that is not allowed. */
export type PolicyAction = 'stopTable' | 'stop' | 'deadLetter' | 'continue';

/** Rows that may not go as they are. */
export interface Refusal {
  readonly error: SluiceError;
  readonly action: Exclude<PolicyAction, 'continue'>;
}

/** What the connector's file says. */
export interface PolicyRules {
  readonly connector: string;
  /** `none`, or a level of compatibility. */
  levelOf(table: TableVersion): string;
  actionOf(table: TableVersion): PolicyAction;
  /** Why a version is not compatible with one before it; empty: it is. A level that is not `none`, without `-transitive`. */
  judge(level: string, now: TableShape, before: TableShape): readonly string[];
}

/** Of each table, the versions whose rows may go, by `tableId`; `anew`: the last of them that was let through without a look at those before it (0: none was): a transitive level reaches back to it. */
export type AcceptedVersions = Readonly<Record<string, { readonly versions: readonly number[]; readonly anew: number }>>;

/** Reasons that an error tells; the rest are counted. */
const TOLD = 5;
const TRANSITIVE = '-transitive';

/**
 * Decides which versions of the captured tables may go to the sink. The first version of a table may; each later one is compared with those that were accepted before it, once: what
 * is decided is saved before a row of it goes, so that a start in between decides no other way (I4).
 */
export class SchemaPolicy {
  readonly #rules: PolicyRules;
  readonly #say: (error: SluiceError) => void;
  readonly #histories = new Map<string, TableVersion[]>();
  readonly #accepted = new Map<string, { readonly versions: Set<number>; anew: number }>();
  readonly #refusals = new Map<TableVersion, Refusal | null>();
  #unsaved: { readonly table: TableVersion; readonly isAnew: boolean }[] = [];

  /** `say`: of a change that is let through all the same (`continue`). */
  constructor(rules: PolicyRules, accepted: AcceptedVersions, history: readonly TableVersion[], say: (error: SluiceError) => void) {
    this.#rules = rules;
    this.#say = say;
    for (const [id, { versions, anew }] of Object.entries(accepted)) this.#accepted.set(id, { versions: new Set(versions), anew });
    for (const table of history) this.#historyOf(tableId(table)).push(table);
  }

  /** What keeps rows of a version from the sink; null: nothing. */
  refusal(table: TableVersion): Refusal | null {
    const known = this.#refusals.get(table);
    if (known !== undefined) return known;
    // Without columns there are no rows that a schema could fit or not: the table was truncated before it was seen.
    const refusal = table.kind === 'table' && table.columns.length > 0 ? this.#judge(table) : null;
    this.#refusals.set(table, refusal);
    return refusal;
  }

  /** As `refusal`, by what a message says of itself; a version that is forgotten may go. */
  refusalOf(label: string, version: number): Refusal | null {
    for (const history of this.#histories.values()) {
      const table = history.find((each) => each.version === version && each.label === label);
      if (table !== undefined) return this.refusal(table);
    }
    return null;
  }

  get hasChanges(): boolean {
    return this.#unsaved.length > 0;
  }

  /** What was accepted since the last call. */
  takeAccepted(): readonly { readonly table: TableVersion; readonly isAnew: boolean }[] {
    const taken = this.#unsaved;
    this.#unsaved = [];
    return taken;
  }

  #judge(table: TableVersion): Refusal | null {
    const id = tableId(table);
    const history = this.#historyOf(id);
    if (!history.includes(table)) history.push(table);
    const accepted = this.#accepted.get(id) ?? { versions: new Set<number>(), anew: 0 };
    this.#accepted.set(id, accepted);
    if (accepted.versions.has(table.version)) return null;
    const error = this.#compare(
      table,
      history.filter(({ version }) => version >= accepted.anew && accepted.versions.has(version)),
    );
    const action = this.#rules.actionOf(table);
    if (error !== null && action !== 'continue') return { error, action };
    if (error !== null) {
      this.#say(error);
      accepted.anew = table.version;
    }
    accepted.versions.add(table.version);
    this.#unsaved.push({ table, isAnew: error !== null });
    return null;
  }

  #compare(table: TableVersion, earlier: readonly TableVersion[]): SluiceError | null {
    const { connector, levelOf, judge } = this.#rules;
    const level = levelOf(table);
    if (level === 'none') return null;
    const isTransitive = level.endsWith(TRANSITIVE);
    const compared = (isTransitive ? earlier.toReversed() : earlier.slice(-1)).map((before) => {
      const reasons = judge(isTransitive ? level.slice(0, -TRANSITIVE.length) : level, withFactsOf(table, before), withFactsOf(before, table));
      return { before, reasons };
    });
    const found = compared.find(({ reasons }) => reasons.length > 0);
    if (found === undefined) return null;
    const { before, reasons } = found;
    const more = reasons.length > TOLD ? `; and ${reasons.length - TOLD} more` : '';
    return new SluiceError(
      SCHEMA_INCOMPATIBLE,
      {
        connector,
        table: table.label,
        version: table.version,
        against: before.version,
        level,
        reasons: reasons.slice(0, TOLD).join('; ') + more,
      },
      { table: table.label },
    );
  }

  #historyOf(id: string): TableVersion[] {
    const known = this.#histories.get(id);
    if (known !== undefined) return known;
    const history: TableVersion[] = [];
    this.#histories.set(id, history);
    return history;
  }
}

/** What the system did not tell of a column (the catalogue was ahead of the log, or nobody had asked) is as in the other version: it is no change. */
function withFactsOf(table: TableShape, other: TableShape): TableShape {
  const told = new Map(other.columns.map((column) => [column.name, column.facts]));
  const filled = (column: ColumnShape): ColumnShape => {
    const facts = column.facts ?? told.get(column.name);
    return facts === undefined ? column : { ...column, facts };
  };
  return { ...table, columns: table.columns.map(filled) };
}
