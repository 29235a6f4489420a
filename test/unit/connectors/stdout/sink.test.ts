import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { validateStdout } from '../../../../connectors/stdout/config.ts';
import { toLines } from '../../../../connectors/stdout/lines.ts';
import { StdoutSink } from '../../../../connectors/stdout/sink.ts';
import { sinkSuite } from '../../../suites/sink.ts';
import { messageBatch, series } from '../../../support/message-batches.ts';
import { pluginContext } from '../../../support/plugin-context.ts';

const config = { topic: '{connector}.{schema}.{table}' };
const never = new AbortController().signal;

/** Takes what is written when it is let. */
class Reader extends Writable {
  text = '';
  #held: (() => void)[] | null = null;

  override _write(chunk: Buffer, _: string, done: (error?: Error | null) => void): void {
    const take = (): void => {
      this.text += chunk.toString('utf8');
      done();
    };
    if (this.#held === null) setImmediate(take);
    else this.#held.push(take);
  }

  hold(): () => void {
    this.#held = [];
    return () => {
      const held = this.#held ?? [];
      this.#held = null;
      for (const take of held) take();
    };
  }
}

sinkSuite('stdout', { readsBack: false, totalOrder: true }, () => {
  const reader = new Reader();
  const lines = (): { headers: { 'sluice.id': string } }[] =>
    reader.text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line));
  return Promise.resolve({
    sink: () => new StdoutSink(config, pluginContext(), reader),
    destinations: ['a', 'b'],
    ids: () => Promise.resolve(lines().map(({ headers }) => headers['sluice.id'])),
    stall: () => {
      const release = reader.hold();
      return Promise.resolve(() => Promise.resolve(release()));
    },
    dispose: () => Promise.resolve(),
  });
});

describe('lines', () => {
  it('splice key and value in as they are', () => {
    const batch = messageBatch([
      {
        id: 'shop/7/A/0/0',
        destination: 'shop.public."t"',
        key: '{"id":12345678901234567890}',
        value: '{"a":1.10}',
        headers: [['sluice.schema', '1"2']],
      },
      { id: 'shop/7/A/0/1', destination: 'u', value: null },
    ]);
    expect(Buffer.concat(toLines(batch)).toString()).toBe(
      '{"topic":"shop.public.\\"t\\"","key":{"id":12345678901234567890},"value":{"a":1.10},"headers":{"sluice.id":"shop/7/A/0/0","sluice.schema":"1\\"2"}}\n' +
        '{"topic":"u","key":null,"value":null,"headers":{"sluice.id":"shop/7/A/0/1"}}\n',
    );
  });

  it('have key and value in base64 where these are no text', () => {
    const lines = Buffer.concat(toLines(messageBatch([{ id: 'x', destination: 'u', key: '\u0000k', value: null }]), true)).toString();
    expect(JSON.parse(lines)).toEqual({ topic: 'u', key: Buffer.from('\u0000k').toString('base64'), value: null, headers: { 'sluice.id': 'x' } });
  });

  it('messages with different headers, and with none, do not share them', () => {
    const own = (name: string) => ({ id: `shop/7/A/${name}/0`, destination: 'u', value: '1', headers: [[name, name]] as const });
    const lines = Buffer.concat(toLines(messageBatch([own('a'), own('b'), { id: 'x', destination: 'u', value: '1' }])))
      .toString()
      .split('\n');
    expect(lines.slice(0, 3).map((line) => Object.keys((JSON.parse(line) as { headers: object }).headers))).toEqual([
      ['sluice.id', 'a'],
      ['sluice.id', 'b'],
      ['sluice.id'],
    ]);
  });

  it('large values are written from where they stand (I9)', async () => {
    const value = JSON.stringify('x'.repeat(300_000));
    const large = (id: string) => ({ id, destination: 'u', key: '{"id":1}', value });
    const batch = messageBatch([large('a'), { id: 'b', destination: 'u', value: '1' }, large('c')]);
    const pieces = toLines(batch);
    expect(pieces.filter(({ length }) => length === value.length).map(({ buffer }) => buffer === batch.bytes.buffer)).toEqual([true, true]);
    const reader = new Reader();
    const sink = new StdoutSink(config, pluginContext(), reader);
    await sink.open();
    await sink.write(batch, never);
    const lines = reader.text.split('\n');
    expect(lines.slice(0, 3).map((line) => (JSON.parse(line) as { value: unknown }).value)).toEqual([JSON.parse(value), 1, JSON.parse(value)]);
    expect(lines.slice(3)).toEqual(['']);
    await sink.close();
  });
});

describe('a reader that goes away', () => {
  it('is a typed stop for all calls, and no error that ends the process', async () => {
    const broken = new Writable({ write: (_, __, done) => setImmediate(() => done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }))) });
    const sink = new StdoutSink(config, pluginContext(), broken);
    await sink.open();
    const batch = messageBatch(series({ connector: 'shop', destinations: ['a'] }, 0, 2));
    const outcomes = await Promise.allSettled([sink.write(batch, never), sink.write(batch, never)]);
    for (const outcome of outcomes) expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'SLUICE_STDOUT_CLOSED' } });
    await expect(sink.write(batch, never)).rejects.toMatchObject({ code: 'SLUICE_STDOUT_CLOSED' });
    await sink.close();
  });
});

describe('topics', () => {
  it('are made of the template', () => {
    const table = { kind: 'table', catalog: 'db', schema: 'public', name: 't' } as Parameters<StdoutSink['destination']>[0];
    expect(new StdoutSink(config, pluginContext('shop'), new Reader()).destination(table)).toBe('shop.public.t');
    expect(new StdoutSink(config, pluginContext('shop'), new Reader()).destination({ ...table, kind: 'message' })).toBe('shop.message');
    expect(validateStdout({ topic: '{table}' })).toEqual([]);
    expect(validateStdout({ topic: '{tabel}' })).toMatchObject([{ path: 'topic' }]);
  });
});
