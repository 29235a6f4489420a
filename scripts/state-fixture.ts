/** Writes test/fixtures/state-format-<n>.json: a data directory in the present format of the state, for later versions to be tested with. */
import { access, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { nodeRuntime } from '../src/daemon/node-runtime.ts';
import { STATE_FORMAT } from '../src/state/integrity.ts';
import { openLevel } from '../src/state/level.ts';
import { openStore } from '../src/state/store.ts';
import { VERSION } from '../src/version.ts';
import { fillState, fixturePath, heldBy, packDirectory, type StateFixture } from '../test/support/state-fixture.ts';

const path = fixturePath(STATE_FORMAT);
const isThere = await access(path).then(
  () => true,
  () => false,
);
// What an older version has written is not what this one would write: that it can be read is what is tested.
if (isThere) throw new Error(`${path} is there: a new one is made for a new STATE_FORMAT only`);

const directory = await mkdtemp(join(tmpdir(), 'sluice-fixture-'));
try {
  const options = { directory, runtime: nodeRuntime(), openEngine: openLevel };
  const filled = await openStore(options);
  await fillState(filled);
  await filled.close();
  const files = await packDirectory(directory);
  const store = await openStore(options);
  const holds = await heldBy(store);
  await store.close();
  await mkdir(dirname(path), { recursive: true });
  const fixture: StateFixture = { format: STATE_FORMAT, writtenBy: VERSION, files, holds };
  await writeFile(path, `${JSON.stringify(fixture, null, 2)}\n`);
} finally {
  await rm(directory, { recursive: true });
}
