import { describe, expect, test } from 'vitest';
import { understand } from '../../../src/snapshot/signals.ts';

const LABELS = ['public.orders', 'public.order_lines', 'Sales.Orders', 'public.a+b'];

function told(type: string, data: unknown): unknown {
  const text = data === undefined ? null : typeof data === 'string' ? data : JSON.stringify(data);
  const { command, problems } = understand({ type, data: text }, 'public.signals', LABELS);
  return problems.length === 0 ? command : { command, problems: problems.map(({ code, message }) => `${code} ${message}`) };
}

/** The tables of an execute-snapshot, with their conditions. */
function started(data: object): unknown {
  const command = told('execute-snapshot', data) as { requests?: { table: string; where: string | null; surrogateKey: string | null }[] };
  return command.requests?.map(({ table, where }) => [table, where]) ?? command;
}

describe('execute-snapshot', () => {
  test('takes names and regular expressions that match the whole name, each table once', () => {
    expect(told('execute-snapshot', { type: 'INCREMENTAL', 'data-collections': ['public.orders'] })).toEqual({
      verb: 'start',
      requests: [{ table: 'public.orders', where: null, surrogateKey: null }],
    });
    expect(started({ 'data-collections': [' public\\.order.* ', 'public.orders', 'public.a+b'] })).toEqual([
      ['public.orders', null],
      ['public.order_lines', null],
      ['public.a+b', null],
    ]);
    // As Debezium: in its case, and not a part of it.
    expect(started({ 'data-collections': ['sales.orders', 'orders', 'public.orders'] })).toEqual({
      command: { verb: 'start', requests: [{ table: 'public.orders', where: null, surrogateKey: null }] },
      problems: [expect.stringContaining('SLUICE_SIGNAL_NO_TABLE'), expect.stringContaining('number 2')],
    });
  });

  test('gives up an expression that would take for ever', () => {
    const slow = '((((([a-z._]+)+)+)+)+)+!';
    expect(told('execute-snapshot', { 'data-collections': [slow] })).toEqual({
      command: null,
      problems: [expect.stringMatching(/SLUICE_SIGNAL_DATA .*"data-collections\[0\]" takes too long/)],
    });
    const conditions = [{ 'data-collection': slow, filter: 'id > 5' }];
    expect(told('execute-snapshot', { 'data-collections': ['.*'], 'additional-conditions': conditions })).toMatchObject({ command: null });
  });

  test('takes conditions, the first that matches, whatever its case, and a surrogate key', () => {
    const data = {
      'data-collections': ['.*'],
      'additional-conditions': [
        { 'data-collection': 'PUBLIC\\.ORDERS', filter: "status = 'open'" },
        { 'data-collection': 'public.*', filter: 'id > 5' },
      ],
      'surrogate-key': 'created',
    };
    expect(started(data)).toEqual([
      ['public.orders', "status = 'open'"],
      ['public.order_lines', 'id > 5'],
      ['Sales.Orders', null],
      ['public.a+b', 'id > 5'],
    ]);
    expect(told('execute-snapshot', { 'data-collections': ['Sales.Orders'], 'surrogate-key': 'created' })).toMatchObject({
      requests: [{ surrogateKey: 'created' }],
    });
  });

  test.each([
    ['no data', undefined],
    ['empty data', ''],
    ['no JSON', '{"data-collections": [secret'],
    ['no object', '["secret"]'],
    ['no tables', { 'data-collections': [] }],
    ['tables that are no list', { 'data-collections': 'secret' }],
    ['a table that is no text', { 'data-collections': [7] }],
    ['no regular expression', { 'data-collections': ['secret('] }],
    ['an unknown kind', { type: 'secret', 'data-collections': ['public.orders'] }],
    ['a field that nobody reads', { 'data-collections': ['public.orders'], secret: 1 }],
    ['a field of an older Debezium', { 'data-collections': ['public.orders'], 'additional-condition': 'secret' }],
    ['conditions that are no list', { 'data-collections': ['public.orders'], 'additional-conditions': { secret: 1 } }],
    ['a condition without a filter', { 'data-collections': ['public.orders'], 'additional-conditions': [{ 'data-collection': 'public.orders' }] }],
    [
      'a condition for none of its tables',
      { 'data-collections': ['public.orders'], 'additional-conditions': [{ 'data-collection': 'secret', filter: 'x' }] },
    ],
    ['a surrogate key that is no text', { 'data-collections': ['public.orders'], 'surrogate-key': ['secret'] }],
  ])('with %s is passed over, and what is said holds nothing of the row (I12)', (_, data) => {
    const { command, problems } = told('execute-snapshot', data) as { command: unknown; problems: string[] };
    expect([command, problems]).toEqual([null, [expect.stringContaining('SLUICE_SIGNAL_DATA')]]);
    expect(problems[0]).not.toContain('secret');
  });

  test('of type blocking is passed over', () => {
    expect(told('execute-snapshot', { type: 'BLOCKING', 'data-collections': ['public.orders'] })).toEqual({
      command: null,
      problems: [expect.stringContaining('SLUICE_SIGNAL_BLOCKING')],
    });
  });

  test('that matches nothing does nothing', () => {
    expect(told('execute-snapshot', { 'data-collections': ['secret'] })).toEqual({
      command: null,
      problems: [expect.not.stringContaining('secret')],
    });
  });
});

test('pause-snapshot and resume-snapshot ignore their data', () => {
  expect([told('pause-snapshot', undefined), told('resume-snapshot', '{')]).toEqual([{ verb: 'pause' }, { verb: 'resume' }]);
});

test('stop-snapshot takes all, or the tables that it names, and never all by a slip', () => {
  expect(told('stop-snapshot', undefined)).toEqual({ verb: 'stop', tables: [] });
  expect(told('stop-snapshot', { type: 'incremental' })).toEqual({ verb: 'stop', tables: [] });
  expect(told('stop-snapshot', { 'data-collections': ['public.order.*'] })).toEqual({
    verb: 'stop',
    tables: ['public.orders', 'public.order_lines'],
  });
  expect(told('stop-snapshot', { 'data-collections': ['secret'] })).toMatchObject({ command: null });
});

test('other types are said without their name, but for the marks that Debezium writes for itself', () => {
  expect(told('secret', '{}')).toEqual({ command: null, problems: [expect.not.stringContaining('secret')] });
  expect(told('secret', '{}')).toEqual({ command: null, problems: [expect.stringContaining('SLUICE_SIGNAL_TYPE')] });
  expect(told('snapshot-window-open', '{}')).toBe(null);
  expect(told('snapshot-window-close', null)).toBe(null);
});
