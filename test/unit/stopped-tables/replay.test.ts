import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { nodeRuntime } from '../../../src/daemon/node-runtime.ts';
import { openStopped } from '../../../src/daemon/stopped-tables.ts';
import { UndeliveredMessages, type UndeliveredPorts } from '../../../src/daemon/undelivered.ts';
import { DeadLetterFile } from '../../../src/dead-letters/file.ts';
import { SluiceError } from '../../../src/plugin/error.ts';
import { idAt, type MessageBatch, type MessageWriter } from '../../../src/record/messages.ts';
import { SCHEMA_INCOMPATIBLE } from '../../../src/schema-policy/errors.ts';
import type { Refusal, SchemaPolicy } from '../../../src/schema-policy/policy.ts';
import { openLevel } from '../../../src/state/level.ts';
import type { StateStore } from '../../../src/state/state-store.ts';
import { openStore } from '../../../src/state/store.ts';
import { Spool } from '../../../src/stopped-tables/spool.ts';
import type { TableState } from '../../../src/stopped-tables/state.ts';
import { messageBatch } from '../../support/message-batches.ts';
import { pluginContext } from '../../support/plugin-context.ts';

const TABLE = 'public.orders';
const runtime = nodeRuntime();
const idOf = (n: number): string => `shop/${String(n).padStart(4, '0')}/0/0`;
const resumedOf = (n: number): string => idOf(n).replace('shop/', `shop/resumed/${TABLE}/`);
const RESUMING: TableState = { state: 'resuming', code: 'X', error: 'e', remedy: 'r', messageId: '', sinceMicros: 0, sent: null, already: [] };

describe('what waits of a stopped table is sent', () => {
  let dataDir: string;
  let store: StateStore;
  let sent: string[];
  let failures: unknown[];
  /** The sink confirms nothing before it. */
  let held: Promise<void>;
  let release: () => void;

  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'sluice-replay-'));
    store = await openStore({ directory: dataDir, runtime, openEngine: openLevel });
    [sent, failures] = [[], []];
    held = Promise.resolve();
  });

  afterEach(async () => {
    await store.close();
    await rm(dataDir, { recursive: true, force: true });
  });

  /** A message of a key, of a version of the table. */
  const change = (n: number, key: number, version = 1): MessageWriter =>
    messageBatch([
      {
        id: idOf(n),
        destination: 'orders',
        key: `${key}`,
        value: `${n}`,
        table: TABLE,
        headers: [['sluice.schema', String(version)]],
      },
    ]);

  async function replay(
    batches: readonly MessageWriter[],
    policy: SchemaPolicy | null,
    letters: DeadLetterFile | null,
    state: TableState['state'] = 'resuming',
  ): Promise<UndeliveredMessages> {
    const spool = await Spool.open({ connector: 'shop', table: TABLE, dataDir, runtime, store, maxBytes: 2 ** 20 }, null, null);
    for (const batch of batches)
      await spool.append(
        batch,
        Array.from({ length: batch.count }, (_, index) => index),
      );
    await store.setTableState('shop', TABLE, { ...RESUMING, state });
    const definition = {
      name: 'shop',
      onError: 'deadLetter',
      deadLetter: { routes: {}, maxPercent: 100, window: 60_000 },
      compatibility: { level: 'backward', levels: {}, action: 'deadLetter', actions: {} },
      spool: { maxBytes: 2 ** 20 },
    };
    const sink = {
      write: async (batch: MessageBatch) => {
        await held;
        for (let index = 0; index < batch.count; index++) sent.push(idAt(batch, index));
        return {};
      },
      stands: () => false,
    };
    const metrics = { deadLetter: () => undefined, openDeadLetters: () => undefined, stoppedTables: () => undefined };
    const ports = { definition, dataDir, store, runtime, metrics, log: pluginContext().log, sink, abort: new AbortController().signal };
    const stopped = await openStopped(ports as never, null);
    const failed = (error: unknown): void => void failures.push(error);
    const undelivered = new UndeliveredMessages({ ...ports, format: {}, letters, stopped, policy, failed } as unknown as UndeliveredPorts);
    await undelivered.begin();
    return undelivered;
  }

  const openFile = (): Promise<DeadLetterFile> => DeadLetterFile.open({ connector: 'shop', dataDir, runtime, store, maxBytes: 2 ** 24 });
  const refusing = (action: Refusal['action'], refused: number): SchemaPolicy => {
    const refusal = { error: new SluiceError(SCHEMA_INCOMPATIBLE, {}, { table: TABLE }), action };
    return { refusalOf: (label: string, version: number) => (label === TABLE && version === refused ? refusal : null) } as unknown as SchemaPolicy;
  };

  it('in order, also where a batch has to wait for what is noted of a letter first (I3)', async () => {
    const file = await openFile();
    const dead = change(0, 7);
    const first = await replay([], null, file);
    await first.letters?.begin(dead);
    await first.letters?.undeliverable(dead, 0, new SluiceError(SCHEMA_INCOMPATIBLE));
    await first.letters?.settled(dead);
    await first.end();
    await replay([change(1, 7), change(2, 7), change(3, 8)], null, file);
    await expect.poll(() => sent).toHaveLength(3);
    expect(sent).toEqual([1, 2, 3].map(resumedOf));
    expect(file.letters().map(({ superseded }) => superseded)).toEqual([true]);
  });

  it('but for rows of a shape that may not go: those become letters, in order before what comes behind', async () => {
    const file = await openFile();
    await replay([change(1, 1), change(2, 2, 2), change(3, 3)], refusing('deadLetter', 2), file);
    await expect.poll(() => sent).toHaveLength(2);
    expect(sent).toEqual([1, 3].map(resumedOf));
    expect(file.letters().map(({ head }) => [head.id, head.code])).toEqual([[resumedOf(2), 'SLUICE_SCHEMA_INCOMPATIBLE']]);
  });

  it('and nothing from the first row on that is of such a shape, where its table stops (I1, I3)', async () => {
    const undelivered = await replay([change(1, 1), change(2, 2, 2), change(3, 3)], refusing('stopTable', 2), null);
    await expect.poll(() => failures).toHaveLength(1);
    expect(failures[0]).toMatchObject({ code: 'SLUICE_TABLE_STOPPED', table: TABLE });
    expect(sent.filter((id) => id !== resumedOf(1))).toEqual([]);
    expect(undelivered.tables.views()).toMatchObject([{ state: 'stopped', code: 'SLUICE_SCHEMA_INCOMPATIBLE', messages: 3 }]);
  });

  it('a full spool takes what comes while it is sent, as soon as there is room: nothing fails and nothing is overtaken (I1, I3)', async () => {
    const large = (n: number): MessageWriter =>
      messageBatch([{ id: idOf(n), destination: 'orders', key: '1', value: 'x'.repeat(400_000), table: TABLE }]);
    held = new Promise((resolve) => {
      release = resolve;
    });
    // More than is sent at a time: what comes then is put behind it.
    const many = messageBatch(
      Array.from({ length: 2500 }, (_, n) => ({ id: idOf(n), destination: 'orders', key: '1', value: 'x'.repeat(100), table: TABLE })),
    );
    const undelivered = await replay([many, large(2500)], null, null);
    const given = [2501, 2502, 2503, 2504].map((n) => undelivered.divert(large(n)));
    release();
    await Promise.all(given);
    await expect.poll(() => undelivered.tables.views()).toEqual([]);
    expect(sent).toEqual(Array.from({ length: 2505 }, (_, n) => resumedOf(n)));
    expect(failures).toEqual([]);
  });

  it('a full spool of a table that is not resumed takes nothing', async () => {
    const large = (n: number): MessageWriter =>
      messageBatch([{ id: idOf(n), destination: 'orders', key: '1', value: 'x'.repeat(400_000), table: TABLE }]);
    const undelivered = await replay([large(1), large(2)], null, null, 'stopped');
    await expect(undelivered.divert(large(3))).rejects.toMatchObject({ code: 'SLUICE_SEGMENTS_FULL' });
    expect(sent).toEqual([]);
  });

  it('a batch whose refused rows become letters goes before the one behind it, which waits for nothing (I3)', async () => {
    const file = await openFile();
    const undelivered = await replay([], null, file);
    const refused = new Map([[TABLE, { error: new SluiceError(SCHEMA_INCOMPATIBLE, {}, { table: TABLE }), action: 'deadLetter' as const }]]);
    const batches = [
      messageBatch([
        { id: idOf(1), destination: 'orders', key: '1', value: '1', table: TABLE },
        { id: idOf(2), destination: 'other', key: '1', value: '2', table: 'public.other' },
      ]),
      messageBatch([{ id: idOf(3), destination: 'other', key: '1', value: '3', table: 'public.other' }]),
    ];
    const given: string[] = [];
    await Promise.all(
      batches.map(async (batch, index) => {
        const diverted = undelivered.divert(batch, index === 0 ? refused : null);
        if (diverted !== null) await diverted;
        undelivered.passing(batch);
        for (let message = 0; message < batch.count; message++) given.push(idAt(batch, message));
      }),
    );
    expect(given).toEqual([2, 3].map(idOf));
    expect(file.letters().map(({ head }) => head.id)).toEqual([idOf(1)]);
  });
});
