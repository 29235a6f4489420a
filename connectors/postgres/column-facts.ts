/** What the catalogue says of a column beside its type, for schemas. */
import type { ColumnFacts, LogicalType } from '#plugin';
import { MALFORMED, normalise } from './log/cells.ts';
import type { ColumnType } from './types.ts';

/** A constant and its type, as `pg_get_expr` spells them: `'a''b'::character varying`, `B'101'::"bit"`, `'1.50'::numeric(10,2)`. */
const QUOTED = /^\(?B?'((?:[^']|'')*)'(?:::(?:"[^"]+"|[a-z_][\w$ .]*)(?:\(\d+(?:,-?\d+)?\))?(?: with(?:out)? time zone)?)*\)?$/;
const NUMBER = /^\(?(-?\d+(?:\.\d+)?(?:e[-+]?\d+)?)\)?$/;

/** Types whose default is not told: bytes are no text, and a text of the others would have to be read first. */
const UNTOLD: ReadonlySet<LogicalType> = new Set(['bytes', 'array', 'map', 'point', 'other']);

/** `expression` as `pg_get_expr` spells the default; null = there is none. */
export function columnFacts(type: ColumnType, attnum: number, required: boolean, expression: string | null): ColumnFacts {
  const about = { required, labels: type.labels ?? null, id: String(attnum) };
  if (expression === null || /^\(?NULL(::|$)/.test(expression)) return { ...about, default: null, computed: false };
  const text = constant(expression);
  if (text === null || isRounded(type, text)) return { ...about, default: null, computed: true };
  return { ...about, default: UNTOLD.has(type.type) ? null : cellOf(type, text), computed: false };
}

function constant(expression: string): string | null {
  if (expression === 'true' || expression === 'false') return expression.slice(0, 1);
  return NUMBER.exec(expression)?.[1] ?? QUOTED.exec(expression)?.[1]?.replaceAll("''", "'") ?? null;
}

/** Not the value that rows get: the server casts it for each (`integer DEFAULT 1.5`, `numeric(5,2) DEFAULT 1.555`). */
function isRounded({ type, scale }: ColumnType, text: string): boolean {
  if (type === 'int16' || type === 'int32' || type === 'int64') return !/^-?\d+$/.test(text);
  if (type !== 'decimal' || !NUMBER.test(text)) return false;
  return /e/.test(text) || (scale !== null && (text.split('.')[1]?.length ?? 0) > Math.max(scale, 0));
}

/** The constant as a cell. The session prints constants inside expressions as it prints values. */
function cellOf(type: ColumnType, text: string): string | null {
  const bytes = Buffer.from(text, 'utf8');
  // Years before Christ get a sign in front.
  const room = Buffer.concat([bytes, Buffer.alloc(1)]);
  const end = normalise(type.normalise, room, 0, bytes.length);
  return end === MALFORMED ? null : room.toString('utf8', 0, end);
}
