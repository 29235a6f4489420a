import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { discardLetters } from '../../../src/daemon/dead-letters.ts';
import { nodeRuntime } from '../../../src/daemon/node-runtime.ts';
import { UndeliveredMessages, type UndeliveredPorts } from '../../../src/daemon/undelivered.ts';
import { type DeadLetterPolicy, DeadLetters } from '../../../src/dead-letters/dead-letters.ts';
import { DeadLetterFile, deadLetterDirectory } from '../../../src/dead-letters/file.ts';
import { Holds } from '../../../src/pipeline/holds.ts';
import { defineError, SluiceError } from '../../../src/plugin/error.ts';
import { idAt, type MessageBatch, type MessageWriter } from '../../../src/record/messages.ts';
import { openLevel } from '../../../src/state/level.ts';
import type { StateStore } from '../../../src/state/state-store.ts';
import { openStore } from '../../../src/state/store.ts';
import { messageBatch } from '../../support/message-batches.ts';
import { flipBit, OUTSIDE_DAMAGE } from '../../support/outside-damage.ts';
import { pluginContext } from '../../support/plugin-context.ts';

const TOO_LARGE = new SluiceError(defineError({ code: 'SLUICE_TEST_LARGE', retry: 'manual', exit: 3, cause: 'Too large.', remedy: 'None.' }));
const runtime = nodeRuntime();
const idOf = (n: number): string => `shop/${String(n).padStart(4, '0')}/0/0`;
/** A change of key `key` in transaction `n`. */
const change = (n: number, key: number, value = `${n}`): MessageBatch => messageBatch([{ id: idOf(n), destination: 'orders', key: `${key}`, value }]);

describe('dead letters', () => {
  let dataDir: string;
  let store: StateStore;
  let sent: string[];
  /** What the sink waits for before it answers. */
  let answer: Promise<void>;

  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'sluice-letters-'));
    store = await openStore({ directory: dataDir, runtime, openEngine: openLevel });
    sent = [];
    answer = Promise.resolve();
  });

  afterEach(async () => {
    await store.close();
    await rm(dataDir, { recursive: true, force: true });
  });

  const openFile = (maxBytes = 2 ** 24): Promise<DeadLetterFile> => DeadLetterFile.open({ connector: 'shop', dataDir, runtime, store, maxBytes });
  const allowing = { onError: 'deadLetter', topic: null, routes: {}, always: {}, maxPercent: 100, windowMs: 60_000 } as const;
  /** Ids that stand in the sink already. */
  const standing = new Set<string>();
  const lettersOn = (file: DeadLetterFile, policy: DeadLetterPolicy = allowing): DeadLetters => {
    const write = async (batch: MessageBatch): Promise<Record<string, never>> => {
      sent.push(idAt(batch, 0));
      await answer;
      return {};
    };
    return new DeadLetters({
      connector: 'shop',
      policy,
      file,
      runtime,
      log: pluginContext().log,
      counted: () => undefined,
      holds: new Holds(),
      write,
      stands: (batch, index) => standing.has(idAt(batch, index)),
      complete: () => Promise.resolve(null),
      failed: () => undefined,
    });
  };

  /** Letters of transactions 0 to before `count`, each of its own key. */
  async function filled(count: number, file: DeadLetterFile): Promise<DeadLetters> {
    const letters = lettersOn(file);
    for (let n = 0; n < count; n++) {
      const batch = change(n, n);
      await letters.begin(batch);
      await letters.undeliverable(batch, 0, TOO_LARGE);
      await letters.settled(batch);
    }
    return letters;
  }

  it('a newer message of the key goes to the sink only when it is noted durably: a kill in between does not let the letter overwrite it (I3)', async () => {
    const letters = await filled(2, await openFile());
    const noted = letters.begin(change(10, 1));
    expect(noted).not.toBeNull();
    expect(letters.begin(change(11, 7)), 'another key waits for nothing').toBeNull();
    await noted;
    // The next process: the log is not read again yet.
    const file = await openFile();
    const outcomes = await lettersOn(file).replay(file.letters());
    expect(outcomes.map(({ id, outcome }) => [id, outcome])).toEqual([
      [idOf(0), 'replayed'],
      [idOf(1), 'superseded'],
    ]);
    expect(sent).toEqual([idOf(0)]);
  });

  it('the pipeline gives such a batch to the sink after the note, and none before it that comes behind (I3)', async () => {
    const file = await openFile();
    await filled(2, file);
    const { messages, stores } = { messages: [change(10, 1), change(11, 7), change(12, 8)] as MessageWriter[], stores: [] as number[] };
    const compatibility = { level: 'none', levels: {} };
    const definition = { name: 'shop', onError: 'deadLetter', deadLetter: { routes: {}, maxPercent: 100, window: 60_000 }, compatibility };
    const ports = { definition, dataDir, store, runtime, metrics: {}, log: pluginContext().log, sink: {}, abort: new AbortController().signal };
    const undelivered = new UndeliveredMessages({
      ...ports,
      letters: file,
      format: {},
      stopped: [],
      policy: null,
      failed: () => undefined,
    } as unknown as UndeliveredPorts);
    const noted = async (): Promise<boolean> => (await openFile()).letters()[1]?.superseded === true;
    const given = messages.map(async (batch, n) => {
      const diverted = undelivered.divert(batch);
      expect(diverted, `batch ${n} waits`).not.toBeNull();
      await diverted;
      undelivered.passing(batch);
      stores.push(n);
      if (n === 0) expect(await noted()).toBe(true);
    });
    await Promise.all(given);
    expect(stores).toEqual([0, 1, 2]);
    expect(undelivered.divert(change(13, 9) as MessageWriter), 'nothing waits any more').toBeNull();
  });

  it('a letter whose key is on its way behind it is never sent again, also by the next process (I3)', async () => {
    const letters = lettersOn(await openFile());
    const [old, newer] = [change(1, 5), change(2, 5)];
    await letters.begin(old);
    await letters.begin(newer);
    await letters.undeliverable(old, 0, TOO_LARGE);
    const file = await openFile();
    expect(file.letters().map(({ superseded }) => superseded)).toEqual([true]);
  });

  it('a newer message that comes while the letter is being written supersedes it (I3)', async () => {
    const letters = lettersOn(await openFile());
    const old = change(1, 5);
    await letters.begin(old);
    const added = letters.undeliverable(old, 0, TOO_LARGE);
    const noted = letters.begin(change(2, 5));
    expect(noted).not.toBeNull();
    await Promise.all([added, noted]);
    expect((await openFile()).letters().map(({ superseded }) => superseded)).toEqual([true]);
  });

  it('trap: what was not noted as standing in its topic is sent there at the start; what stands there is not (I1)', async () => {
    await filled(3, await openFile());
    standing.add('shop/dead-letter/0001/0/0');
    const named: DeadLetterPolicy = { ...allowing, topic: 'letters' };
    const file = await openFile();
    await lettersOn(file, named).open();
    await expect.poll(() => file.letters().every(({ published }) => published)).toBe(true);
    expect(sent).toEqual(['shop/dead-letter/0000/0/0', 'shop/dead-letter/0002/0/0']);
    await lettersOn(await openFile(), named).open();
    expect(sent, 'once it is noted it is not sent again').toHaveLength(2);
  });

  it('trap: letters of the lives before count, and those of them that are refused again do not count twice', async () => {
    const five: DeadLetterPolicy = { ...allowing, maxPercent: 5 };
    const life = async (from: number, to: number): Promise<number> => {
      const file = await openFile();
      const letters = lettersOn(file, five);
      for (let n = from; n < to; n++) {
        const batch = change(n, n);
        await letters.begin(batch);
        await letters.undeliverable(batch, 0, TOO_LARGE);
        await letters.settled(batch);
      }
      const mark = letters.counts();
      if (mark !== null && from === 0) await store.save('shop', { offset: { position: { lsn: '1' }, place: null }, mark });
      return file.size;
    };
    expect(await life(0, 5)).toBe(5);
    // Without a checkpoint: only the file knows of these.
    expect(await life(3, 8)).toBe(8);
    await expect(life(3, 10)).rejects.toThrow('10 of the last 10 messages');
  });

  it('two replays at a time send each letter once (I4)', async () => {
    const file = await openFile();
    const letters = await filled(20, file);
    const outcomes = await Promise.all([letters.replay(file.letters()), letters.replay(file.letters())]);
    expect(outcomes.flat().map(({ outcome }) => outcome)).toEqual(Array(20).fill('replayed'));
    expect([...sent].sort()).toEqual(Array.from({ length: 20 }, (_, n) => idOf(n)));
  });

  it('what is discarded while a replay runs is not sent (I3)', async () => {
    const file = await openFile();
    const letters = await filled(20, file);
    let release = (): void => undefined;
    answer = new Promise((resolve) => {
      release = resolve;
    });
    const replayed = letters.replay(file.letters());
    await expect.poll(() => sent.length).toBe(1);
    const discarded = letters.alone(() => discardLetters('shop', file, undefined));
    release();
    expect((await discarded).map(({ id }) => id)).not.toContain(sent[0]);
    expect((await replayed).length + (await discarded).length).toBe(20);
    expect(sent).toHaveLength((await replayed).length);
    expect(file.size).toBe(0);
  });

  it.each(Object.entries(OUTSIDE_DAMAGE))(
    'trap: a file that is %s while it is open is a typed stop (I1, I8); all let go, it goes on',
    async (_, damage) => {
      const file = await openFile();
      const letters = await filled(2, file);
      const directory = deadLetterDirectory(dataDir, 'shop');
      const [segment] = await readdir(directory);
      await damage(join(directory, segment as string));
      await expect(letters.undeliverable(change(2, 2), 0, TOO_LARGE)).rejects.toMatchObject({ code: 'SLUICE_SEGMENTS_DAMAGED' });
      await expect(discardLetters('shop', file, idOf(0))).rejects.toMatchObject({ code: 'SLUICE_SEGMENTS_DAMAGED' });
      expect(await discardLetters('shop', file, undefined)).toHaveLength(2);
      await letters.undeliverable(change(3, 3), 0, TOO_LARGE);
      expect(file.letters().map(({ head }) => head.id)).toEqual([idOf(3)]);
      expect((await openFile()).letters().map(({ head }) => head.id)).toEqual([idOf(3)]);
    },
  );

  it('trap: a bit that flips in a letter of an open file: the others are sent, all let go leaves nothing that the next start cannot read', async () => {
    const file = await openFile();
    const letters = await filled(3, file);
    const [segment] = await readdir(deadLetterDirectory(dataDir, 'shop'));
    await flipBit(join(deadLetterDirectory(dataDir, 'shop'), segment as string), (file.get(idOf(1))?.address.offset as number) + 60);
    await expect(openFile()).rejects.toMatchObject({ code: 'SLUICE_SEGMENTS_DAMAGED' });
    const replayed = await letters.replay(file.letters());
    expect(replayed.map(({ outcome }) => outcome)).toEqual(['replayed', 'damaged', 'replayed']);
    expect(replayed[1]?.error).toContain(idOf(1));
    expect(sent).toEqual([idOf(0), idOf(2)]);
    expect(await discardLetters('shop', file, undefined)).toHaveLength(1);
    await letters.undeliverable(change(3, 3), 0, TOO_LARGE);
    expect((await openFile()).letters().map(({ head }) => head.id)).toEqual([idOf(3)]);
  });

  it('a full file lets go what is discarded, whatever its bound is', async () => {
    const file = await openFile(20_000);
    const letters = lettersOn(file);
    const large = (n: number): MessageBatch => change(n, n, 'x'.repeat(4_000));
    const fill = async (from: number): Promise<number> => {
      for (let n = from; ; n++) {
        const full = await letters.undeliverable(large(n), 0, TOO_LARGE).then(
          () => null,
          (error: SluiceError) => error.code,
        );
        if (full !== null) {
          expect(full).toBe('SLUICE_SEGMENTS_FULL');
          return n;
        }
      }
    };
    expect(await fill(0)).toBeGreaterThan(2);
    const again = await openFile(20_000);
    await discardLetters('shop', again, undefined);
    await lettersOn(again).undeliverable(large(100), 0, TOO_LARGE);
    expect((await openFile(20_000)).letters().map(({ head }) => head.id)).toEqual([idOf(100)]);
  });
});
