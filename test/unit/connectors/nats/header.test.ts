import { createRequire } from 'node:module';
import { headers } from '@nats-io/transport-node';
import { describe, expect, it } from 'vitest';
import { EXPECT, HeaderWriter, UnsafeHeader } from '../../../../connectors/nats/header.ts';
import { messageBatch } from '../../../support/message-batches.ts';

const message = { id: 'shop/7/A.1/0/0', destination: 'd', key: '{"id":1}', value: '{}' };

function text(writer: HeaderWriter): string {
  return Buffer.from(writer.encode()).toString('utf8');
}

describe('header sections', () => {
  it('id, expectation, own headers, key, tombstone', () => {
    const writer = new HeaderWriter();
    const batch = messageBatch([
      {
        ...message,
        headers: [
          ['sluice.capture', 'log'],
          ['x', 'Zoë'],
        ],
      },
      { id: 'shop/7/A.1/0/1', destination: 'd', value: null, key: 'k' },
      { id: 'shop/7/A.1/0/2', destination: 'd', value: 'v' },
    ]);
    writer.assemble(batch, 0, EXPECT.lastSequence, 41);
    expect(text(writer)).toBe(
      'NATS/1.0\r\nNats-Msg-Id: shop/7/A.1/0/0\r\nNats-Expected-Last-Sequence: 41\r\nsluice.capture: log\r\nx: Zoë\r\nsluice.key: {"id":1}\r\n\r\n',
    );
    writer.assemble(batch, 1, EXPECT.lastMessageId, 0);
    expect(text(writer)).toBe(
      'NATS/1.0\r\nNats-Msg-Id: shop/7/A.1/0/1\r\nNats-Expected-Last-Msg-Id: shop/7/A.1/0/0\r\nsluice.key: k\r\nsluice.tombstone: true\r\n\r\n',
    );
    writer.assemble(batch, 2, EXPECT.lastSubjectSequence, 7);
    expect(text(writer)).toBe('NATS/1.0\r\nNats-Msg-Id: shop/7/A.1/0/2\r\nNats-Expected-Last-Subject-Sequence: 7\r\n\r\n');
  });

  it('a key that is no text stands there in base64, whatever bytes it has', () => {
    const writer = new HeaderWriter(undefined, true);
    writer.assemble(messageBatch([{ ...message, key: '\u0000\r\n\u007f' }]), 0, EXPECT.lastSequence, 1);
    expect(text(writer)).toContain(`\r\nsluice.key: ${Buffer.from('\u0000\r\n\u007f').toString('base64')}\r\n`);
  });

  it('a batch that is filled anew has its own headers, not those of the one before it in the same memory', () => {
    const writer = new HeaderWriter();
    const keyed = (key: string) => messageBatch([{ ...message, headers: [['__debezium.newkey', key]] }]);
    const batch = keyed('1');
    writer.assemble(batch, 0, EXPECT.lastSequence, 1);
    expect(text(writer)).toContain('__debezium.newkey: 1\r\n');
    batch.reset();
    const { bytes, bytesLength, spans, count } = keyed('2');
    Object.assign(batch, { bytes, bytesLength, spans, count });
    writer.assemble(batch, 0, EXPECT.lastSequence, 2);
    expect(text(writer)).toContain('__debezium.newkey: 2\r\n');
  });

  it.each([
    ['its id', { ...message, id: 'shop/7\n' }],
    ['its key', { ...message, key: 'a\rb' }],
    ['its headers', { ...message, headers: [['a', 'b\r\nNats-Rollup: all']] }],
    ['its headers', { ...message, headers: [['a:b', 'c']] }],
    ['its headers', { ...message, headers: [['a\nb', 'c']] }],
  ] as const)('a line break in %s is refused', (part, unsafe) => {
    const writer = new HeaderWriter();
    expect(() => writer.assemble(messageBatch([unsafe]), 0, EXPECT.lastSequence, 0)).toThrowError(new UnsafeHeader(part));
  });

  it('sections stay as they are until 32 KiB more were assembled, over the end of the ring and with sections larger than it', () => {
    const writer = new HeaderWriter(256 * 1024);
    const kept: { section: Uint8Array; copy: Buffer }[] = [];
    for (let number = 0; number < 6000; number++) {
      const batch = messageBatch([{ ...message, id: `shop/7/A.${number}/0/0`, key: 'k'.repeat(number % 997 === 996 ? 80_000 : number % 300) }]);
      writer.assemble(batch, 0, EXPECT.lastMessageId, 0);
      const section = writer.encode();
      if (number > 0) expect(text(writer)).toContain(`Expected-Last-Msg-Id: shop/7/A.${number - 1}/0/0\r\n`);
      kept.push({ section, copy: Buffer.from(section) });
      const bytes = (): number => kept.reduce((sum, { section: one }) => sum + one.length, 0);
      while (bytes() > 32 * 1024 + section.length) kept.shift();
      for (const { section: one, copy } of kept) if (!copy.equals(one)) throw new Error(`overwritten at ${number}`);
    }
  });
});

/** What the publisher relies on in the client; a new version of it that changes this must fail here. */
describe('nats-core 3.4.0', () => {
  const require = createRequire(import.meta.url);
  const { ProtocolHandler } = require('@nats-io/transport-node') as {
    ProtocolHandler: { prototype: { publish(this: object, subject: string, data: Uint8Array, options: object): void } };
  };

  it('publish() asks headers only for encode(), and keeps references to its bytes and to the body', () => {
    const commands: unknown[][] = [];
    const handler = {
      info: { headers: true, max_payload: 1000 },
      outBytes: 0,
      outMsgs: 0,
      sendCommand: (...parts: unknown[]) => commands.push(parts),
    };
    const section = new TextEncoder().encode('NATS/1.0\r\na: b\r\n\r\n');
    const body = new TextEncoder().encode('body');
    let calls = 0;
    const duck = new Proxy(
      {},
      {
        get: (_, name) => {
          if (name !== 'encode') throw new Error(`asked for ${String(name)}`);
          calls++;
          return () => section;
        },
      },
    );
    ProtocolHandler.prototype.publish.call(handler, 'subject', body, { headers: duck, reply: 'inbox.1' });
    expect(calls).toBe(1);
    const [command] = commands as [[string, Uint8Array, Uint8Array]];
    expect(command[0]).toBe(`HPUB subject inbox.1 ${section.length} ${section.length + 4}\r\n`);
    expect(command[1]).toBe(section);
    expect(command[2]).toBe(body);
  });

  it('writes what waits as soon as it is 32 KiB, or in a microtask', async () => {
    const { DataBuffer } = require('@nats-io/transport-node') as { DataBuffer: new () => { size(): number; length(): number } };
    const sent: number[] = [];
    type Handler = { sendCommand(...parts: unknown[]): void };
    const handler = Object.assign(Object.create(ProtocolHandler.prototype) as Handler, {
      outbound: new DataBuffer(),
      pendingLimit: 32 * 1024,
      infoReceived: true,
      connected: true,
      transport: { send: (bytes: Uint8Array) => sent.push(bytes.length) },
    });
    for (let at = 0; at < 40; at++) handler.sendCommand('x', new Uint8Array(1023));
    expect(sent).toEqual([32 * 1024]);
    await Promise.resolve();
    expect(sent).toEqual([32 * 1024, 8 * 1024]);
  });

  it('reads our sections as its own', () => {
    const writer = new HeaderWriter();
    writer.assemble(messageBatch([{ ...message, headers: [['sluice.schema', '2']] }]), 0, EXPECT.lastSequence, 3);
    const decoded = (headers().constructor as unknown as { decode(bytes: Uint8Array): ReturnType<typeof headers> }).decode(writer.encode());
    expect(Object.fromEntries([...decoded])).toEqual({
      'Nats-Msg-Id': [message.id],
      'Nats-Expected-Last-Sequence': ['3'],
      'sluice.schema': ['2'],
      'sluice.key': ['{"id":1}'],
    });
  });
});
