/** A process to kill: saves to the state of the data directory given, and prints what was acknowledged, one `connector n` a line. */
import { writeSync } from 'node:fs';
import { nodeRuntime } from '../../src/daemon/node-runtime.ts';
import { TableRegistry } from '../../src/record/table.ts';
import { openLevel } from '../../src/state/level.ts';
import { openStore } from '../../src/state/store.ts';

const store = await openStore({ directory: process.argv[2] as string, runtime: nodeRuntime(), openEngine: openLevel });

async function saveForEver(connector: string): Promise<void> {
  const { offset, tables } = await store.load(connector);
  const registry = new TableRegistry();
  for (const table of tables) registry.restore(table);
  for (let n = Number(offset?.position['n'] ?? 0) + 1; ; n++) {
    if (n % 10 === 0) registry.version({ kind: 'table', catalog: 'shop', schema: connector, name: `t${n}`, columns: [], key: [] });
    if (registry.hasChanges) await store.saveHistory(connector, registry.takeChanges());
    await store.save(connector, { offset: { position: { n: String(n) }, place: { n: String(n) } } });
    // Synchronously: what is printed survives the kill.
    writeSync(1, `${connector} ${n}\n`);
  }
}

await Promise.all(['a', 'b', 'c'].map(saveForEver));
