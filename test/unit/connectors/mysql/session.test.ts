/** The connection that reads the log, on a library and a driver that are only played. */
import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { connectionLost } from '../../../../connectors/mysql/errors.ts';
import type { Library } from '../../../../connectors/mysql/log/library.ts';
import { LogSession, type SessionOptions } from '../../../../connectors/mysql/log/session.ts';
import { BatchQueue } from '../../../../src/plugin/batch-queue.ts';
import { SluiceError } from '../../../../src/plugin/error.ts';
import { TableRegistry } from '../../../../src/record/table.ts';
import { FakeRuntime } from '../../../support/fake-runtime.ts';

/** What the library does with an event. */
const played = { handle: (): void => undefined };

class Played extends EventEmitter implements Library {
  readonly ctrlConnection = null;
  readonly connection = {
    handlePacket: (_packet: object): void => played.handle(),
    query: (_sql: string, done: (error: null) => void): void => done(null),
    stream: { destroy: () => undefined, pause: () => undefined, resume: () => undefined },
  };
  start(): void {
    this.emit('ready');
  }
  stop(): void {
    this.emit('stopped');
  }
}

const EVENT = Buffer.concat([Buffer.alloc(5), Buffer.alloc(40, 1)]);

function begin() {
  const runtime = new FakeRuntime();
  const library = new Played();
  const queue = new BatchQueue({
    runtime,
    tables: new TableRegistry({}),
    position: () => ({}),
    maxRecords: 10,
    maxBytes: 1000,
    maxBufferedBytes: 1000,
    pause: () => undefined,
    resume: () => undefined,
  } as unknown as ConstructorParameters<typeof BatchQueue>[0]);
  const options = {
    runtime,
    library,
    serverId: 1,
    from: { by: 'gtid', gtid: '' },
    decoder: { handle: () => undefined, settled: null },
    queue,
    until: null,
    mayEnd: () => true,
    includesQuery: false,
    heartbeatMs: 1000,
    learn: () => Promise.resolve(),
    toError: (error: unknown) => new SluiceError(connectionLost, { address: 'a', detail: String(error) }),
  } as unknown as SessionOptions;
  const session = new LogSession(options);
  session.start();
  return { session, queue, library, pass: () => library.connection.handlePacket({ buffer: EVENT, start: 0, end: EVENT.length }) };
}

describe('what the library makes of an event', () => {
  it('ends nothing, and an error of the connection behind it ends the stream', () => {
    const { session, queue, library, pass } = begin();
    played.handle = () => void library.emit('error', new Error('an event that it does not know'));
    pass();
    expect([session.streaming, session.lost, queue.over]).toEqual([true, null, false]);
    library.emit('error', new Error('gone'));
    expect([session.streaming, queue.over]).toEqual([false, true]);
    expect(session.lost).toBeInstanceOf(SluiceError);
  });

  it('does not hide an error of the connection for ever when it throws', () => {
    const { session, queue, library, pass } = begin();
    played.handle = () => {
      throw new Error('of the library');
    };
    expect(pass).toThrow('of the library');
    library.emit('error', new Error('gone'));
    expect([session.streaming, queue.over]).toEqual([false, true]);
    expect(session.lost).toBeInstanceOf(SluiceError);
  });
});
