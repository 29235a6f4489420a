import { describe, expect, it } from 'vitest';
import { brokenBounds, figuresOf, SOAK_BOUNDS, type SoakSample } from '../support/soak-figures.ts';
import { differencesOf, SoakLedger, type SoakVerdict } from '../support/soak-ledger.ts';
import { changeHash } from '../support/soak-load.ts';

interface Change {
  readonly xid: number;
  readonly op: 'c' | 'u' | 'd' | 'tombstone';
  readonly id: number;
  readonly v: number;
}

/** Three transactions over two keys, one of which is removed and comes back. */
const COMMITTED: readonly Change[] = [
  { xid: 701, op: 'c', id: 1, v: 1 },
  { xid: 701, op: 'c', id: 2, v: 1 },
  { xid: 701, op: 'u', id: 1, v: 2 },
  { xid: 703, op: 'd', id: 1, v: 3 },
  { xid: 703, op: 'tombstone', id: 1, v: 3 },
  { xid: 703, op: 'u', id: 2, v: 2 },
  { xid: 704, op: 'c', id: 1, v: 4 },
];

describe('the ledger of a soak', () => {
  it('finds nothing where nothing is wrong', () => {
    const verdict = judge(COMMITTED);
    expect(verdict).toMatchObject({ messages: 7, changes: 6, tombstones: 1, rows: 2, examples: [] });
    expect(differencesOf(verdict)).toBe(0);
  });

  it.each(COMMITTED.map((change, at) => [`${change.op} ${change.id} v${change.v}`, at] as const))('notices that %s is missing', (_, at) => {
    // The tombstone of a delete that is not there belongs to nothing.
    const phantoms = COMMITTED[at]?.op === 'd' ? 1 : 0;
    expect(judge(COMMITTED.toSpliced(at, 1))).toMatchObject({ lost: 1, duplicates: 0, phantoms });
  });

  it.each(COMMITTED.map((change, at) => [`${change.op} ${change.id} v${change.v}`, at] as const))('notices that %s stands there twice', (_, at) => {
    const change = COMMITTED[at] as Change;
    expect(judge(COMMITTED.toSpliced(at, 0, change))).toMatchObject({ duplicates: 1, lost: 0, phantoms: 0 });
    if (change.op !== 'tombstone') expect(judge([...COMMITTED, change])).toMatchObject({ duplicates: 1, lost: 0, phantoms: 0 });
  });

  it('notices a change that comes behind a later one of its key, and does not call it lost or doubled', () => {
    const [first, second, third, ...others] = COMMITTED as [Change, Change, Change, ...Change[]];
    expect(judge([third, second, first, ...others])).toMatchObject({ disordered: 1, lost: 0, duplicates: 0, phantoms: 0 });
  });

  it('notices what nobody committed: another transaction, another key, another text', () => {
    expect(judge([...COMMITTED, { xid: 702, op: 'u', id: 2, v: 3 }])).toMatchObject({ phantoms: 1, lost: 0 });
    expect(judge([...COMMITTED, { xid: 704, op: 'c', id: -1, v: 1 }])).toMatchObject({ phantoms: 1, lost: 0 });
    expect(judge(COMMITTED, (change) => (change.v === 2 ? 'other' : text(change)))).toMatchObject({ altered: 2, rowsDiffer: 1, lost: 0 });
  });

  it('notices that a row of the source was not rebuilt', () => {
    expect(judge(COMMITTED, text, [{ id: 1, v: 4 }])).toMatchObject({ rowsDiffer: 1 });
    expect(
      judge(COMMITTED, text, [
        { id: 1, v: 4 },
        { id: 2, v: 1 },
      ]),
    ).toMatchObject({ rowsDiffer: 1 });
    expect(
      judge(COMMITTED, text, [
        { id: 1, v: 4 },
        { id: 2, v: 2 },
        { id: 7, v: 1 },
      ]).rowsDiffer,
    ).toBeGreaterThan(0);
  });
});

describe('the bounds of a soak', () => {
  const steady = Array.from({ length: 1200 }, (_, second) => sample(second, {}));

  it('are held by a run that is even', () => {
    expect(brokenBounds(steady, SOAK_BOUNDS)).toEqual([]);
    expect(figuresOf(steady, SOAK_BOUNDS)).toMatchObject({
      residentMB: [150, 150, 150, 150],
      lagSeconds: { nats: { p50: 0.02, max: 0.02, unknown: 0 } },
    });
  });

  it('are broken by memory that grows, once the run is long enough to tell', () => {
    const growing = steady.map((each, second) => ({ ...each, residentBytes: 150e6 + second * 100e3 }));
    expect(brokenBounds(growing, SOAK_BOUNDS)).toEqual([expect.stringContaining('memory grew')]);
    expect(brokenBounds(growing.slice(0, 300), { ...SOAK_BOUNDS })).toEqual([]);
  });

  it('are broken by lag, by silence and by a slot that stands still, but not right after a kill', () => {
    const at = (sinceKillMs: number, change: Partial<SoakSample>): string[] =>
      brokenBounds(steady.with(700, sample(700, { sinceKillMs, ...change })), SOAK_BOUNDS);
    for (const change of [{ lag: { kafka: 0.1, nats: 3 } }, { lag: { kafka: null, nats: 0.1 } }, { slotLag: { kafka: 9, nats: 0 } }]) {
      expect(at(60_000, change)).toHaveLength(1);
      expect(at(5_000, change)).toEqual([]);
    }
  });
});

function text({ id, v }: Pick<Change, 'id' | 'v'>): string {
  return `text ${id} ${v}`;
}

/** `arrived` against what was committed; `textOf`: what stands in the messages. */
function judge(
  arrived: readonly Change[],
  textOf: (change: Change) => string = text,
  rows: readonly { id: number; v: number }[] = [
    { id: 1, v: 4 },
    { id: 2, v: 2 },
  ],
): SoakVerdict {
  const ledger = new SoakLedger(701, 704);
  for (const xid of [701, 703, 704]) {
    const changes = COMMITTED.filter((change) => change.xid === xid && change.op !== 'tombstone');
    const hash = changes.reduce((sum, change) => (sum + changeHash(change.op, { ...change, note: text(change) })) >>> 0, 0);
    ledger.expect(xid, changes.length, hash);
  }
  for (const change of arrived) {
    const { xid, op, id, v } = change;
    const row = { id, v: op === 'd' ? v - 1 : v, note: textOf(change) };
    const value = { op, before: op === 'd' ? row : null, after: op === 'd' ? null : row, source: { table: 'item', txId: xid } };
    ledger.take({ id: 'x', key: JSON.stringify({ id }), value: op === 'tombstone' ? null : value });
  }
  for (const { id, v } of rows) ledger.compareRow(id, v, text({ id, v }));
  return ledger.verdict();
}

function sample(second: number, change: Partial<SoakSample>): SoakSample {
  return {
    atMs: second * 1000,
    sinceKillMs: 60_000,
    residentBytes: 150e6,
    lag: { kafka: 0.03, nats: 0.02 },
    slotLag: { kafka: 0.3, nats: 0.3 },
    retainedBytes: 1e6,
    messages: { kafka: second, nats: second },
    rowsCommitted: second,
    machineLoad: 1,
    ...change,
  };
}
