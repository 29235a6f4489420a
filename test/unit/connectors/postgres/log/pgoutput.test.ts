import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ASK, DONE } from '../../../../../connectors/postgres/log/pgoutput.ts';
import { SluiceError } from '../../../../../src/plugin/error.ts';
import {
  type Bench,
  begin,
  commit,
  decoderBench,
  insert,
  logicalMessage,
  originOf,
  recordsOf,
  relation,
  remove,
  TOAST,
  truncate,
  typeOf,
  update,
} from '../../../../support/pgoutput.ts';

const BASE = 0x1_0000_0000n;
/** 2000-01-01 + 1 s. */
const MICROS = 1_000_000n;
const ORDERS = [{ name: 'id', type: 20, key: true }, { name: 'note' }];

function opened(options: Parameters<typeof decoderBench>[0] = {}): Bench {
  const bench = decoderBench(options);
  bench.feed(BASE, begin(BASE + 0xffn, MICROS, 4_000_000_000));
  bench.feed(0n, relation(7, 'public', 'orders', 'd', ORDERS));
  return bench;
}

function stops(run: () => void, code = 'SLUICE_PG_PROTOCOL'): void {
  let thrown: unknown;
  try {
    run();
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(SluiceError);
  expect((thrown as SluiceError).code).toBe(code);
}

describe('transactions', () => {
  test('identity, ordinal and origin of a row', async () => {
    const bench = opened({ lastCommit: { hi: 0, lo: 99, micros: 5 } });
    bench.feed(BASE + 5n, insert(7, ['1', 'a']));
    bench.feed(BASE + 5n, insert(7, ['2', null]));
    const [first, second] = await bench.take();
    expect(first).toEqual({
      op: 'create',
      table: 'public.orders',
      transaction: '7000/00000001000000FF.4000000000',
      ordinal: 0,
      before: null,
      after: { id: '1', note: 'a' },
      origin: { sequence: '["99","4294967301"]', txId: '4000000000', lsn: '4294967301', xmin: null, origin: null, origin_lsn: null },
    });
    expect(second).toMatchObject({ ordinal: 1, after: { id: '2', note: null }, origin: { lsn: '4294967301' } });
  });

  test('the commit time is in microseconds since 1970, exact', async () => {
    const bench = opened();
    bench.feed(BASE, insert(7, ['1', null]));
    const batch = await bench.queue.next();
    expect(batch?.transactions[0]?.commitMicros).toBe(946_684_801_000_000);
  });

  test('sequence names the previous commit by its end, and null before the first', async () => {
    const bench = opened();
    bench.feed(BASE + 1n, insert(7, ['1', null]));
    bench.feed(BASE + 0xffn, commit(BASE + 0xffn, BASE + 0x120n, MICROS));
    bench.feed(BASE + 0x130n, begin(BASE + 0x200n, MICROS, 5));
    bench.feed(BASE + 0x130n, insert(7, ['2', null]));
    expect((await bench.take()).map(({ origin }) => origin['sequence'])).toEqual(['[null,"4294967297"]', '["4294967584","4294967600"]']);
  });

  test('I6: a checkpoint is the end of a commit, never a place inside a transaction', async () => {
    const bench = opened({ maxRecords: 2 });
    bench.feed(BASE + 1n, insert(7, ['0', null]));
    bench.decoder.reached(1, 0x50);
    for (let i = 1; i < 3; i++) bench.feed(BASE + 1n, insert(7, [`${i}`, null]));
    const first = await bench.queue.next();
    expect([first?.count, first?.checkpoint]).toEqual([2, null]);
    bench.feed(BASE + 0xffn, commit(BASE + 0xffn, BASE + 0x120n, MICROS));
    const second = await bench.queue.next();
    expect([second?.count, second?.checkpoint, second?.checkpointRecords]).toEqual([1, { lsn: String(0x120) }, 1]);
    expect(bench.marks).toEqual([{ hi: 1, lo: 0x120, commitHi: 1, commitLo: 0x120, commitMicros: 946_684_801_000_000 }]);
  });

  test('the checkpoint of a batch that ends inside the next transaction counts only the records before it', async () => {
    const bench = opened();
    bench.feed(BASE + 1n, insert(7, ['1', null]));
    bench.feed(BASE + 0xffn, commit(BASE + 0xffn, BASE + 0x120n, MICROS));
    bench.feed(BASE + 0x130n, begin(BASE + 0x200n, MICROS, 5));
    bench.feed(BASE + 0x130n, insert(7, ['2', null]));
    const batch = await bench.queue.next();
    expect([batch?.count, batch?.checkpointRecords, batch?.checkpoint]).toEqual([2, 1, { lsn: String(0x120) }]);
  });

  test('a keepalive moves the checkpoint and leaves the last commit', async () => {
    const bench = decoderBench({ lastCommit: { hi: 0, lo: 99, micros: 5 } });
    bench.decoder.reached(0, 500);
    bench.queue.flush(true);
    await bench.queue.next();
    expect(bench.marks).toEqual([{ hi: 0, lo: 500, commitHi: 0, commitLo: 99, commitMicros: 5 }]);
  });

  test('rows of a table that is not captured are counted and dropped (I2)', async () => {
    const bench = opened({ captures: (_, name) => name !== 'secret' });
    bench.feed(0n, relation(8, 'public', 'secret', 'd', ORDERS));
    bench.feed(BASE, insert(8, ['1', 'x']));
    bench.feed(BASE, truncate([8, 7]));
    bench.feed(BASE, insert(7, ['2', 'y']));
    expect((await bench.take()).map(({ op, table, ordinal }) => [op, table, ordinal])).toEqual([
      ['truncate', 'public.orders', 2],
      ['create', 'public.orders', 3],
    ]);
  });

  test('what was replicated from elsewhere names its origin, until the next transaction', async () => {
    const bench = opened();
    bench.feed(BASE, originOf(77n, 'upstreám'));
    bench.feed(BASE, insert(7, ['1', null]));
    bench.feed(BASE, commit(BASE + 0xffn, BASE + 0x120n, MICROS));
    bench.feed(BASE, begin(BASE + 0x200n, MICROS, 5));
    bench.feed(BASE, insert(7, ['2', null]));
    expect((await bench.take()).map(({ origin }) => [origin['origin'], origin['origin_lsn']])).toEqual([
      ['upstreám', '77'],
      [null, null],
    ]);
  });
});

describe('rows', () => {
  test('a key-only old image has the key; everything else is absent, not null', async () => {
    const bench = opened();
    bench.feed(BASE, update(7, ['2', 'b'], { kind: 'K', cells: ['1', null] }));
    bench.feed(BASE, remove(7, 'K', ['2', null]));
    bench.feed(BASE, update(7, ['2', 'c']));
    expect((await bench.take()).map(({ op, before, after }) => ({ op, before, after }))).toEqual([
      { op: 'update', before: { id: '1', note: '<absent>' }, after: { id: '2', note: 'b' } },
      { op: 'delete', before: { id: '2', note: '<absent>' }, after: null },
      { op: 'update', before: null, after: { id: '2', note: 'c' } },
    ]);
  });

  test('I11: an unchanged out-of-line value is unavailable, and filled where the old image has it', async () => {
    const bench = opened();
    bench.feed(BASE, update(7, ['1', TOAST]));
    bench.feed(BASE, update(7, ['1', TOAST], { kind: 'O', cells: ['1', 'long'] }));
    bench.feed(BASE, update(7, [TOAST, 'x'], { kind: 'K', cells: ['1', null] }));
    expect((await bench.take()).map(({ after }) => after)).toEqual([
      { id: '1', note: '<unavailable>' },
      { id: '1', note: 'long' },
      { id: '1', note: 'x' },
    ]);
  });

  test('a key that is neither sent nor in the old image is a stop', () => {
    const bench = opened();
    stops(() => bench.feed(BASE, update(7, [TOAST, 'x'])), 'SLUICE_PG_KEY_UNAVAILABLE');
  });

  test('text is bytes: a byte order mark and what is no UTF-8 stay', async () => {
    const bench = opened();
    bench.feed(BASE, insert(7, ['1', Buffer.from([0xef, 0xbb, 0xbf, 0x61, 0xff])]));
    expect((await bench.take('hex'))[0]?.after?.['note']).toBe('efbbbf61ff');
  });

  test('buffers are reused: nothing of a message is looked at after the call', async () => {
    const bench = opened();
    const bytes = insert(7, ['1', 'kept']);
    bench.feed(BASE, bytes);
    bytes.fill(0x21);
    expect((await bench.take())[0]?.after).toEqual({ id: '1', note: 'kept' });
  });

  test('a transaction of many batches keeps one transaction object and its ordinals', async () => {
    const bench = opened({ maxRecords: 10 });
    for (let i = 0; i < 25; i++) bench.feed(BASE + 1n, insert(7, [`${i}`, 'x']));
    const batches = [await bench.queue.next(), await bench.queue.next(), await bench.queue.next()];
    expect(batches.map((batch) => batch?.count)).toEqual([10, 10, 5]);
    expect(batches[2]?.transactions[0]).toBe(batches[0]?.transactions[0]);
    const last = batches[2] === null || batches[2] === undefined ? [] : recordsOf(batches[2]);
    expect(last.map(({ ordinal }) => ordinal)).toEqual([20, 21, 22, 23, 24]);
    expect(last[4]?.origin).toMatchObject({ txId: '4000000000', sequence: '[null,"4294967297"]' });
  });
});

describe('tables', () => {
  const COLUMNS = [
    { name: 'a', type: 23, key: true },
    { name: 'b', type: 23, key: true },
    { name: 'c', type: 1700, typmod: ((12 << 16) | 2) + 4, key: true },
  ];
  const CATALOG = COLUMNS.map(({ name, type, typmod = -1 }, index) => ({ attnum: index + 1, name, typeOid: type, typmod }));

  async function keyOf(bench: Bench, identity: string, columns: Parameters<typeof relation>[4]): Promise<string[]> {
    bench.feed(0n, relation(9, 'public', 't', identity, columns));
    bench.feed(
      BASE,
      insert(
        9,
        columns.map(() => null),
      ),
    );
    const batch = await bench.queue.next();
    const table = batch?.tables[0];
    return (table?.key ?? []).map((index) => table?.columns[index]?.name ?? '');
  }

  test('where tables are described the catalogue is asked for each relation, else only for what the log does not say', () => {
    const one = relation(9, 'public', 't', 'd', [{ name: 'id', type: 23, key: true }]);
    for (const described of [true, false]) {
      const { decoder } = decoderBench({ described });
      for (const lsn of [1, 2]) {
        expect(decoder.decode(one, 0, lsn)).toBe(described ? ASK : DONE);
        if (decoder.wanted !== null) decoder.learned();
      }
    }
  });

  test('a key of several columns has the order of its index', async () => {
    const bench = opened();
    bench.known.tables.set(9, { columns: CATALOG, primaryKey: ['b', 'a'], identityIndex: ['c'] });
    expect(await keyOf(bench, 'd', [COLUMNS[0]!, COLUMNS[1]!, { ...COLUMNS[2]!, key: false }])).toEqual(['b', 'a']);
  });

  test('where today’s catalogue has another key, the log’s flags count', async () => {
    const bench = opened();
    bench.known.tables.set(9, { columns: CATALOG, primaryKey: ['c', 'a'], identityIndex: [] });
    expect(await keyOf(bench, 'd', [COLUMNS[0]!, COLUMNS[1]!, { ...COLUMNS[2]!, key: false }])).toEqual(['a', 'b']);
  });

  test('REPLICA IDENTITY FULL flags every column: the key is the primary key', async () => {
    const bench = opened();
    bench.known.tables.set(9, {
      columns: [CATALOG[0]!, { attnum: 9, name: 'generated', typeOid: 23, typmod: -1 }, ...CATALOG.slice(1)],
      primaryKey: ['b'],
      identityIndex: [],
    });
    expect(await keyOf(bench, 'f', COLUMNS)).toEqual(['b']);
  });

  test('FULL, and the catalogue has moved on: the key that the table had before, or today’s, if its columns are there (I3, decision 12)', async () => {
    const moved = { columns: [{ ...CATALOG[0]!, typeOid: 20 }, ...CATALOG.slice(1)], identityIndex: [] };
    const bench = opened();
    bench.known.tables.set(9, { ...moved, primaryKey: ['b'] });
    expect(await keyOf(bench, 'f', COLUMNS)).toEqual(['b']);
    bench.known.tables.set(9, { ...moved, primaryKey: ['c'] });
    expect(await keyOf(bench, 'f', [...COLUMNS, { name: 'd', key: true }])).toEqual(['b']);
    bench.known.tables.set(9, { ...moved, primaryKey: ['gone'] });
    expect(await keyOf(bench, 'f', [COLUMNS[0]!, COLUMNS[2]!])).toEqual([]);
  });

  test('with USING INDEX the key is that index, with no identity there is none', async () => {
    const bench = opened();
    expect(await keyOf(bench, 'i', [{ ...COLUMNS[0]!, key: false }, COLUMNS[1]!])).toEqual(['b']);
    expect(await keyOf(opened(), 'd', [{ name: 'x' }])).toEqual([]);
  });

  test('a Relation message in mid-stream makes a new version; the same structure again is the same one', async () => {
    const bench = opened();
    bench.feed(BASE, insert(7, ['1', null]));
    bench.feed(0n, relation(7, 'public', 'orders', 'd', [...ORDERS, { name: 'more', type: 16 }]));
    bench.feed(BASE, insert(7, ['1', null, 't']));
    bench.feed(0n, relation(7, 'public', 'orders', 'd', ORDERS));
    bench.feed(BASE, insert(7, ['1', null]));
    const batch = await bench.queue.next();
    expect(batch?.tables.map(({ version, columns }) => [version, columns.length])).toEqual([
      [1, 2],
      [2, 3],
    ]);
    expect(bench.tables.takeChanges().put).toHaveLength(2);
  });

  test('types that are not built in: enum, domain over domain, composite, and one that is gone', async () => {
    const bench = opened();
    bench.known.types.set(20_001, { name: 'mood', baseOid: 0, typmod: -1, kind: 'enum' });
    bench.known.types.set(20_002, { name: 'price', baseOid: 1700, typmod: ((8 << 16) | 3) + 4, kind: 'domain' });
    bench.known.types.set(20_003, { name: 'net_price', baseOid: 20_002, typmod: -1, kind: 'domain' });
    bench.known.types.set(20_004, { name: 'pair', baseOid: 0, typmod: -1, kind: 'composite' });
    bench.feed(0n, typeOf(20_005, 'pg_catalog', 'timestamptz'));
    bench.feed(0n, typeOf(20_006, 'public', 'lost'));
    const columns = [20_001, 20_003, 20_004, 20_005, 20_006].map((type) => ({ name: `t${type}`, type }));
    bench.feed(0n, relation(9, 'public', 't', 'd', columns));
    bench.feed(BASE, insert(9, ['ok', '1.500', '(1,2)', '2024-02-29 01:02:03+00', 'x']));
    const batch = await bench.queue.next();
    expect(batch?.tables[0]?.columns.map(({ type, typeName, precision, scale }) => [type, typeName, precision, scale])).toEqual([
      ['text', 'mood', null, null],
      ['decimal', 'net_price', 8, 3],
      ['other', 'pair', null, null],
      ['timestamptz', 'timestamp with time zone', null, null],
      ['other', 'lost', null, null],
    ]);
    expect(batch === null ? null : recordsOf(batch)[0]?.after?.['t20005']).toBe('2024-02-29T01:02:03Z');
  });
});

describe('logical messages', () => {
  test('only listed prefixes become records; every transactional one counts', async () => {
    const bench = opened({ prefixes: ['outbox'] });
    bench.feed(BASE, logicalMessage(true, BASE, 'sluice.heartbeat', 'x'));
    bench.feed(BASE + 1n, logicalMessage(true, BASE + 1n, 'outbox', Buffer.from([0, 255])));
    const [only, ...others] = await bench.take('hex');
    expect(others).toEqual([]);
    expect(only).toMatchObject({
      op: 'message',
      table: 'message',
      ordinal: 1,
      after: { prefix: Buffer.from('outbox').toString('hex'), content: '00ff' },
    });
  });

  test('outside of a transaction: an id of its own, no transaction number, dated by the commit before, no checkpoint', async () => {
    const bench = decoderBench({ prefixes: ['p'], lastCommit: { hi: 0, lo: 99, micros: 1234 } });
    bench.feed(0x200n, logicalMessage(false, 0x200n, 'p', 'hello'));
    const batch = await bench.queue.next();
    expect(batch?.checkpoint).toBeNull();
    expect(batch?.transactions).toEqual([{ id: '7000/0000000000000200.0', commitMicros: 1234 }]);
    expect(batch === null ? null : recordsOf(batch)[0]).toMatchObject({
      ordinal: 0,
      after: { prefix: 'p', content: 'hello' },
      origin: { sequence: '["512","512"]', txId: null },
    });
  });
});

describe('I8: what cannot be understood is a stop', () => {
  const VALID: readonly [string, Buffer][] = [
    ['begin', begin(BASE + 0xffn, MICROS, 1)],
    ['commit', commit(BASE + 0xffn, BASE + 0x120n, MICROS)],
    ['relation', relation(9, 'public', 't', 'd', [{ name: 'a', key: true }, { name: 'b' }])],
    ['type', typeOf(20_001, 'public', 'mood')],
    ['origin', originOf(77n, 'up')],
    ['insert', insert(7, ['1', 'abc'])],
    ['update', update(7, ['2', null], { kind: 'K', cells: ['1', null] })],
    ['update of all', update(7, ['2', TOAST], { kind: 'O', cells: ['1', 'x'] })],
    ['delete', remove(7, 'K', ['1', null])],
    ['truncate', truncate([7, 7])],
    ['message', logicalMessage(true, BASE, 'p', 'content')],
  ];

  /** Inside a transaction, except for what begins one. */
  const ready = (name: string): Bench => (name === 'begin' ? decoderBench() : opened({ prefixes: ['p'] }));

  test.each(VALID)('%s is accepted whole, and refused cut anywhere or with a byte too many', (name, valid) => {
    ready(name).feed(BASE, valid);
    for (let length = 1; length < valid.length; length++) stops(() => ready(name).feed(BASE, valid.subarray(0, length)));
    stops(() => ready(name).feed(BASE, Buffer.concat([valid, Buffer.from([0])])));
  });

  test('what stands behind a message in the same memory is never read', () => {
    const memory = fc.tuple(fc.constantFrom(...VALID), fc.nat(), fc.uint8Array({ minLength: 64, maxLength: 64 }));
    fc.assert(
      fc.property(memory, ([[name, valid], at, behind]) => {
        const length = 1 + (at % (valid.length - 1));
        stops(() => ready(name).feed(BASE, Buffer.concat([valid, behind]).subarray(0, length)));
      }),
    );
  });

  test('any bytes are decoded or refused, never an error of another kind', () => {
    fc.assert(
      fc.property(fc.constantFrom(...VALID), fc.nat(), fc.nat({ max: 255 }), ([name, valid], at, byte) => {
        const broken = Buffer.from(valid);
        broken[at % broken.length] = byte;
        try {
          ready(name).feed(BASE, broken);
        } catch (error) {
          expect(error).toBeInstanceOf(SluiceError);
        }
      }),
    );
  });

  test.each([
    ['an unknown message', Buffer.from('Sxyz')],
    ['an empty message', Buffer.alloc(0)],
    ['a second Begin', begin(BASE, MICROS, 1)],
    ['a Commit of another transaction', commit(BASE, BASE + 1n, MICROS)],
    ['a row of a table that was not described', insert(99, ['1'])],
    ['a row with too few columns', insert(7, ['1'])],
    ['a delete without an old row', Buffer.concat([Buffer.from('D'), insert(7, ['1', null]).subarray(1)])],
    ['a binary column', Buffer.from(insert(7, ['1', 'x']).toString('latin1').replace('Nt', 'Nb').replace('\0\x02t', '\0\x02b'), 'latin1')],
    ['an unknown replica identity', relation(9, 'public', 't', 'x', [{ name: 'a' }])],
  ])('%s', (_, bytes) => stops(() => opened().feed(BASE, bytes)));

  test.each([
    ['a row', insert(7, ['1', null])],
    ['a Truncate', truncate([7])],
    ['an Origin', originOf(1n, 'x')],
    ['a transactional message', logicalMessage(true, 1n, 'p', 'x')],
    ['a Commit', commit(BASE + 0xffn, BASE + 0x120n, MICROS)],
  ])('%s outside of a transaction', (_, bytes) => {
    const bench = opened();
    bench.feed(BASE, commit(BASE + 0xffn, BASE + 0x120n, MICROS));
    stops(() => bench.feed(BASE, bytes));
  });

  test('a value that is not in the form that the session asked for', () => {
    const bench = opened();
    bench.feed(0n, relation(9, 'public', 't', 'd', [{ name: 'at', type: 1184 }]));
    stops(() => bench.feed(BASE, insert(9, ['2024-02-29 01:02:03+01'])));
  });
});
