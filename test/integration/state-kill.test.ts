import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { nodeRuntime } from '../../src/daemon/node-runtime.ts';
import { openLevel } from '../../src/state/level.ts';
import { openStore } from '../../src/state/store.ts';

const SAVER = fileURLToPath(new URL('../support/state-saver.ts', import.meta.url));

/** Runs the saver until it has acknowledged `saves` and a little longer, kills it, and returns the last acknowledged number of each connector. */
async function runAndKill(directory: string, saves: number): Promise<Map<string, number>> {
  const child = spawn(process.execPath, ['--import', 'tsx', '--conditions=source', SAVER, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  let text = '';
  let seen = 0;
  child.stdout.on('data', (data: Buffer) => {
    text += data.toString();
    const before = seen;
    seen += data.filter((byte) => byte === 0x0a).length;
    if (before < saves && seen >= saves) setTimeout(() => child.kill('SIGKILL'), Math.random() * 20);
  });
  const [, signal] = (await closed) as [number | null, string | null];
  expect(signal).toBe('SIGKILL');
  const acknowledged = new Map<string, number>();
  for (const line of text.split('\n').slice(0, -1)) {
    const [connector, n] = line.split(' ') as [string, string];
    acknowledged.set(connector, Number(n));
  }
  return acknowledged;
}

it('I5: ten times kill -9 in the middle of saves: whatever was acknowledged is there, at most one save more, and no table version behind it', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'sluice-kill-'));
  try {
    for (let round = 0; round < 10; round++) {
      const acknowledged = await runAndKill(directory, 30 + Math.floor(Math.random() * 60));
      expect([...acknowledged.keys()].sort()).toEqual(['a', 'b', 'c']);
      const store = await openStore({ directory, runtime: nodeRuntime(), openEngine: openLevel });
      expect(store.previousShutdown).toBe('unclean');
      for (const [connector, n] of acknowledged) {
        const { offset, place, tables } = await store.load(connector);
        const stored = Number(offset?.position['n']);
        expect([n, n + 1]).toContain(stored);
        expect(place).toEqual({ n: String(stored) });
        // A version is stored before what names it: ahead of the offset, never behind it.
        expect([Math.floor(stored / 10), Math.floor((stored + 1) / 10)]).toContain(tables.length);
      }
      await store.close();
    }
  } finally {
    await rm(directory, { recursive: true });
  }
}, 120_000);
