import { SluiceError } from '../plugin/error.ts';
import { isPatternError, parsePattern, type TablePattern } from '../plugin/patterns.ts';
import { OP_NAMES } from '../record/batch.ts';
import type { RecordCursor } from '../record/cursor.ts';
import { TAIL_FILTER } from './errors.ts';

/** Behind which step of the pipeline a change is shown. */
export const STAGES = ['read', 'mapped', 'encoded', 'durable'] as const;
export type Stage = (typeof STAGES)[number];
export const OPERATIONS = OP_NAMES;

/** What somebody wants to see. Lists that are empty: everything. */
export interface TailWish {
  readonly stages: readonly string[];
  /** Table patterns, as in a connector file. */
  readonly tables: readonly string[];
  readonly operations: readonly string[];
  /** `column=text`: the value that the column has, before or after the change. */
  readonly where: readonly string[];
}

interface Condition {
  readonly column: string;
  readonly value: Buffer;
}

/** Chooses changes. Decides by table and operation first, so that what nobody wants to see costs little. */
export class TailFilter {
  readonly stages: ReadonlySet<Stage>;
  readonly #tables: readonly TablePattern[];
  readonly #operations: ReadonlySet<number>;
  readonly #where: readonly Condition[];

  /** Throws SLUICE_TAIL_FILTER. */
  constructor({ stages, tables, operations, where }: TailWish) {
    this.stages = new Set(stages.map((stage) => oneOf(stage, STAGES, 'stage')));
    this.#operations = new Set(operations.map((name) => OP_NAMES.indexOf(oneOf(name, OP_NAMES, 'operation'))));
    this.#tables = tables.map((text) => {
      const pattern = parsePattern(text);
      if (isPatternError(pattern)) throw new SluiceError(TAIL_FILTER, { reason: pattern.message, remedy: pattern.remedy });
      return pattern;
    });
    this.#where = where.map(conditionOf);
    if (where.length > 0 && (this.stages.has('encoded') || this.stages.has('durable'))) {
      const reason = 'behind the stage "mapped" a change is one message, whose columns only its reader knows';
      throw new SluiceError(TAIL_FILTER, { reason, remedy: 'Ask for a value at the stages "read" and "mapped" only' });
    }
  }

  /** @param label as `TableVersion.label`; '' = of no table */
  takes(label: string, op: number): boolean {
    if (this.#operations.size > 0 && (label === '' || !this.#operations.has(op))) return false;
    if (this.#tables.length === 0) return true;
    const dot = label.indexOf('.');
    return dot > 0 && this.#tables.some((pattern) => pattern.matches(label.slice(0, dot), label.slice(dot + 1)));
  }

  takesValues(record: RecordCursor): boolean {
    return this.#where.every((condition) => hasValue(record, condition));
  }
}

function oneOf<T extends string>(text: string, all: readonly T[], what: string): T {
  const found = all.find((each) => each === text);
  if (found === undefined) throw new SluiceError(TAIL_FILTER, { reason: `"${text}" is no ${what}`, remedy: `Name one of ${all.join(', ')}` });
  return found;
}

function conditionOf(text: string): Condition {
  const at = text.indexOf('=');
  if (at > 0) return { column: text.slice(0, at), value: Buffer.from(text.slice(at + 1)) };
  throw new SluiceError(TAIL_FILTER, { reason: `"${text}" names no column and value`, remedy: 'Write column=value' });
}

function hasValue(record: RecordCursor, { column, value }: Condition): boolean {
  const index = record.table.columns.findIndex(({ name }) => name === column);
  if (index < 0) return false;
  return [record.before, record.after].some((image) => {
    if (image < 0) return false;
    const start = record.start(image, index);
    return start >= 0 && record.arena.subarray(start, record.end(image, index)).equals(value);
  });
}
