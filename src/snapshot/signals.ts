/** What a row of the signal table asks for, in Debezium's words. */
import { type Context, createContext, Script } from 'node:vm';
import { type ErrorParameters, SluiceError } from '../plugin/error.ts';
import type { CopyRequest, SignalCommand } from './commands.ts';
import { SIGNAL_BLOCKING, SIGNAL_DATA, SIGNAL_NO_TABLE, SIGNAL_TYPE } from './errors.ts';

/** A row of the signal table, as it was inserted. */
export interface Signal {
  readonly type: string;
  readonly data: string | null;
}

export interface Understood {
  /** Null: there is nothing to do. */
  readonly command: SignalCommand | null;
  /** Why it is passed over, or what of it. They hold nothing of the row (I12). */
  readonly problems: readonly SluiceError[];
}

const TYPES = ['execute-snapshot', 'stop-snapshot', 'pause-snapshot', 'resume-snapshot'] as const;
type Type = (typeof TYPES)[number];
/** Debezium writes these for itself where it shares the table. */
const WATERMARKS = ['snapshot-window-open', 'snapshot-window-close'];
/** Fields of `data`; one that is none of these is a slip of the pen, and without it more would be copied than was meant. */
const FIELDS: readonly string[] = ['type', 'data-collections', 'additional-conditions', 'surrogate-key'];

/** An expression that takes longer for one name would take longer than anyone waits: what it costs may double with each letter, and all connectors stand still meanwhile. */
const MATCH_MS = 100;
/** Nothing but a script with a time limit ends a match. */
const MATCH = new Script('regex.test(label)');
let context: Context | null = null;

/** Why the data of a signal cannot be used: goes into a SLUICE_SIGNAL_DATA. */
class Unusable extends Error {}

/** `table`: the signal table; `labels`: of the captured tables. */
export function understand({ type, data }: Signal, table: string, labels: readonly string[]): Understood {
  if (WATERMARKS.includes(type)) return { command: null, problems: [] };
  const known = TYPES.find((each) => each === type);
  if (known === undefined) return passedOver(new SluiceError(SIGNAL_TYPE, { table, types: TYPES.join(', ') }));
  const problems: SluiceError[] = [];
  try {
    const command = commandOf(known, data, labels, (none) => problems.push(new SluiceError(SIGNAL_NO_TABLE, { table, type, ...none })));
    if (command === 'blocking') return passedOver(new SluiceError(SIGNAL_BLOCKING, { table }));
    return { command, problems };
  } catch (error) {
    if (!(error instanceof Unusable)) throw error;
    return passedOver(new SluiceError(SIGNAL_DATA, { table, type, detail: error.message }));
  }
}

function passedOver(problem: SluiceError): Understood {
  return { command: null, problems: [problem] };
}

function commandOf(
  type: Type,
  data: string | null,
  labels: readonly string[],
  none: (which: ErrorParameters) => void,
): SignalCommand | null | 'blocking' {
  // Debezium ignores the data of these two.
  if (type === 'pause-snapshot') return { verb: 'pause' };
  if (type === 'resume-snapshot') return { verb: 'resume' };
  const fields = fieldsOf(data);
  const kind = text(fields, 'type')?.toLowerCase() ?? 'incremental';
  if (kind === 'blocking') return 'blocking';
  if (kind !== 'incremental') throw new Unusable('"type" is neither incremental nor blocking');
  const expressions = collections(fields);
  if (type === 'stop-snapshot') {
    if (expressions.length === 0) return { verb: 'stop', tables: [] };
    const tables = matching(expressions, labels, none);
    return tables.length === 0 ? null : { verb: 'stop', tables };
  }
  if (expressions.length === 0) throw new Unusable('"data-collections" is missing or empty');
  const surrogateKey = text(fields, 'surrogate-key');
  const tables = matching(expressions, labels, none);
  const whereOf = conditions(fields, tables);
  const requests: CopyRequest[] = tables.map((table) => ({ table, where: whereOf(table), surrogateKey }));
  return requests.length === 0 ? null : { verb: 'start', requests };
}

function fieldsOf(data: string | null): Readonly<Record<string, unknown>> {
  if (data === null || data.trim() === '') return {};
  const fields = parsed(data);
  if (!isObject(fields)) throw new Unusable('its data is no JSON object');
  if (Object.hasOwn(fields, 'additional-condition'))
    throw new Unusable('"additional-condition" is of an older Debezium: write "additional-conditions"');
  if (Object.keys(fields).some((name) => !FIELDS.includes(name))) throw new Unusable(`a field of its data is none of ${FIELDS.join(', ')}`);
  return fields;
}

function parsed(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    // The parser's message has a piece of the text in it.
    throw new Unusable('its data is no JSON');
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Null: it is left out, or blank. */
function text(fields: Readonly<Record<string, unknown>>, name: string): string | null {
  const value = fields[name] ?? null;
  if (value !== null && typeof value !== 'string') throw new Unusable(`"${name}" is no text`);
  return value === null || value.trim() === '' ? null : value.trim();
}

function list(fields: Readonly<Record<string, unknown>>, name: string): readonly unknown[] {
  const value = fields[name] ?? [];
  if (!Array.isArray(value)) throw new Unusable(`"${name}" is no list`);
  return value as unknown[];
}

type Matches = (label: string) => boolean;

function collections(fields: Readonly<Record<string, unknown>>): readonly Matches[] {
  return list(fields, 'data-collections').map((value, at) => {
    if (typeof value !== 'string') throw new Unusable(`"data-collections[${at}]" is no text`);
    return expression(value.trim(), '', `data-collections[${at}]`);
  });
}

/** A name as it is, or a regular expression that must match the whole of it. */
function expression(pattern: string, flags: string, where: string): Matches {
  try {
    const regex = new RegExp(`^(?:${pattern})$`, flags);
    return (label) => label === pattern || isMatch(regex, label, where);
  } catch {
    return (label) => {
      if (label === pattern) return true;
      throw new Unusable(`"${where}" is no regular expression`);
    };
  }
}

function isMatch(regex: RegExp, label: string, where: string): boolean {
  try {
    context ??= createContext({});
    Object.assign(context, { regex, label });
    return MATCH.runInContext(context, { timeout: MATCH_MS }) as boolean;
  } catch (error) {
    if ((error as { code?: string }).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error;
    throw new Unusable(`the regular expression of "${where}" takes too long to match a name`);
  }
}

/** Tables that are matched, each once, in the order of the expressions. */
function matching(expressions: readonly Matches[], labels: readonly string[], none: (which: ErrorParameters) => void): readonly string[] {
  const found = new Set<string>();
  for (const [at, matches] of expressions.entries()) {
    const matched = labels.filter(matches);
    if (matched.length === 0) none({ number: at + 1 });
    for (const label of matched) found.add(label);
  }
  return [...found];
}

/** The condition of a table: of the first entry that matches it. */
function conditions(fields: Readonly<Record<string, unknown>>, tables: readonly string[]): (table: string) => string | null {
  const entries = list(fields, 'additional-conditions').map((entry, at) => {
    const where = `additional-conditions[${at}]`;
    if (!isObject(entry)) throw new Unusable(`"${where}" is no JSON object`);
    const [collection, filter] = [text(entry, 'data-collection'), text(entry, 'filter')];
    if (collection === null || filter === null) throw new Unusable(`"${where}" has not both "data-collection" and "filter"`);
    const matches = expression(collection, 'i', `${where}.data-collection`);
    // Without it more would be copied than was meant.
    if (tables.length > 0 && !tables.some(matches)) throw new Unusable(`"${where}.data-collection" matches none of its tables`);
    return { matches, filter };
  });
  return (table) => entries.find(({ matches }) => matches(table))?.filter ?? null;
}
