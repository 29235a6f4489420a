import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { unreachable } from '../../../../connectors/mysql/errors.ts';
import type { BinlogDecoder } from '../../../../connectors/mysql/log/decoder.ts';
import type { Library } from '../../../../connectors/mysql/log/library.ts';
import { NO_PROOF } from '../../../../connectors/mysql/log/position.ts';
import { LogSession } from '../../../../connectors/mysql/log/session.ts';
import { UnknownFileEnd } from '../../../../connectors/mysql/log/torn.ts';
import type { BatchQueue } from '../../../../src/plugin/batch-queue.ts';
import { SluiceError } from '../../../../src/plugin/error.ts';
import type { Runtime } from '../../../../src/plugin/runtime.ts';

class FakeLibrary extends EventEmitter {
  readonly connection = {
    handlePacket: (): void => undefined,
    query: (_sql: string, done: (error: null) => void): void => done(null),
    stream: { destroy: (): void => undefined, pause: (): void => undefined, resume: (): void => undefined },
  };
  start(): void {
    this.emit('ready');
  }
  stop(): void {
    this.emit('stopped');
  }
  give(type: number): void {
    const buffer = Buffer.alloc(4 + 1 + 23);
    buffer[4 + 1 + 4] = type;
    (this.connection.handlePacket as (packet: unknown) => void)({ buffer, start: 0, end: buffer.length });
  }
}

describe('a session', () => {
  it('reads what waits for an answer before it ends by what broke the stream off (I10: else a torn log is never read past)', async () => {
    const library = new FakeLibrary();
    const read: number[] = [];
    let isKnown = false;
    let answer: () => void = () => undefined;
    const done: string[] = [];
    const session = new LogSession({
      runtime: { monotonicMs: () => 0, setTimer: () => ({ clear: () => undefined }) } as unknown as Runtime,
      library: library as unknown as Library,
      serverId: 1,
      from: { system: 'mariadb', by: 'gtid', gtid: '', server: '1', file: '', pos: '0', ...NO_PROOF },
      decoder: {
        settled: null,
        handle: (bytes: Buffer) => {
          if (!isKnown) throw new UnknownFileEnd('binlog.000001');
          read.push(bytes[4] as number);
        },
      } as unknown as BinlogDecoder,
      queue: {
        over: false,
        flush: () => undefined,
        end: () => done.push(`ended behind ${read.join()}`),
        fail: () => done.push('failed'),
      } as unknown as BatchQueue,
      until: null,
      mayEnd: () => true,
      includesQuery: false,
      heartbeatMs: 1000,
      learn: () => new Promise((resolve) => (answer = resolve)),
      toError: () => new SluiceError(unreachable, {}),
    });
    session.start();
    library.give(162);
    library.give(16);
    library.emit('error', new Error('binlog truncated in the middle of event'));
    expect([done, session.lost]).toEqual([[], null]);
    isKnown = true;
    answer();
    await new Promise((resolve) => setImmediate(resolve));
    expect(done).toEqual(['ended behind 162,16']);
    expect(session.lost?.kind).toBe(unreachable);
  });
});
