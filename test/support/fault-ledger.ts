/** Compares what was committed, by the ledger that was written in the same transactions, with what arrived. */
import type { FaultSource } from './fault-source.ts';
import type { StoredMessage } from './stream-ledger.ts';

export interface FaultVerdict {
  /** Changes by the ledger. */
  readonly committed: number;
  readonly messages: number;
  /** I1 */
  readonly lost: number;
  /** I2 */
  readonly phantoms: number;
  /** I3 */
  readonly disordered: number;
  /** I4: messages whose id stands twice. */
  readonly duplicates: number;
  /** The first few of what is wrong, in words. */
  readonly examples: readonly string[];
}

/** `messages`: of one sink, those of one key in the order in which they stand there. */
export async function judge(source: Pick<FaultSource, 'query'>, database: string, messages: Iterable<StoredMessage>): Promise<FaultVerdict> {
  const expected = await expectedChanges(source, database);
  const counts = { committed: 0, messages: 0, lost: 0, phantoms: 0, disordered: 0, duplicates: 0 };
  const examples: string[] = [];
  const wrong = (what: 'lost' | 'phantoms' | 'disordered' | 'duplicates', text: string): void => {
    counts[what]++;
    if (examples.length < 10) examples.push(`${what}: ${text}`);
  };
  const ids = new Set<string>();
  const arrived = new Map<string, string[]>();
  for (const message of messages) {
    counts.messages++;
    if (ids.has(message.id)) {
      wrong('duplicates', message.id);
      continue;
    }
    ids.add(message.id);
    const change = changeOf(message);
    if (change === null) continue;
    const list = arrived.get(change.key) ?? [];
    list.push(change.step);
    arrived.set(change.key, list);
  }
  for (const [key, steps] of expected) {
    counts.committed += steps.length;
    compare(key, steps, arrived.get(key) ?? [], wrong);
  }
  for (const [key, steps] of arrived) if (!expected.has(key)) for (const step of steps) wrong('phantoms', `${key} ${step}`);
  return { ...counts, examples };
}

type Wrong = (what: 'lost' | 'phantoms' | 'disordered', text: string) => void;

function compare(key: string, expected: readonly string[], arrived: readonly string[], wrong: Wrong): void {
  const place = new Map(expected.map((step, index) => [step, index]));
  let highest = -1;
  const seen = new Set<string>();
  for (const step of arrived) {
    const at = place.get(step);
    seen.add(step);
    if (at === undefined) wrong('phantoms', `${key} ${step}`);
    else if (at < highest) wrong('disordered', `${key} ${step} behind ${expected[highest]}`);
    else highest = at;
  }
  for (const step of expected) if (!seen.has(step)) wrong('lost', `${key} ${step}`);
}

/** Per key the steps in commit order: of one item they are committed in the order of their versions, since each holds the row's lock. */
async function expectedChanges(source: Pick<FaultSource, 'query'>, database: string): Promise<Map<string, string[]>> {
  const changes = new Map<string, string[]>();
  const add = (key: string, step: string): void => void (changes.get(key)?.push(step) ?? changes.set(key, [step]));
  const items = await source.query<{ id: string; version: string; op: string }>('SELECT id, version, op FROM ledger ORDER BY id, version', database);
  for (const { id, version, op } of items) add(`item ${id}`, `${op}${version}`);
  const entries = await source.query<{ writer: number; n: string }>('SELECT writer, n FROM entry_ledger ORDER BY writer, n', database);
  for (const { writer, n } of entries) add(`entry ${writer}`, `c${n}`);
  return changes;
}

function changeOf({ value }: StoredMessage): { readonly key: string; readonly step: string } | null {
  // A tombstone: the delete before it says all.
  if (value === null) return null;
  const { op, before, after, source } = value;
  // A copied row is no change.
  if (op === 'r') return null;
  if (source['table'] === 'entry') return { key: `entry ${after?.['writer']}`, step: `c${after?.['n']}` };
  if (source['table'] !== 'item') return { key: String(source['table']), step: op };
  if (op === 'd') return { key: `item ${before?.['id']}`, step: `d${Number(before?.['version']) + 1}` };
  return { key: `item ${after?.['id']}`, step: `${op}${after?.['version']}` };
}
