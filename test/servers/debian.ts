/** Packages of any Debian suite, beside whatever the machine runs: private package lists, an empty package status, nothing installed. */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './command.ts';

/**
 * Unpacks packages into `<directory>/root`, verified by apt against the suite's signed lists.
 * @param closure with everything that they need, libc included: what is dynamically linked runs by the loader of that root
 * @returns the root
 */
export async function unpackDebian(directory: string, suite: string, packages: readonly string[], closure = false): Promise<string> {
  const work = join(directory, 'apt');
  for (const folder of ['lists/partial', 'cache/archives/partial', 'debs']) await mkdir(join(work, folder), { recursive: true });
  await writeFile(join(work, 'status'), '');
  await writeFile(
    join(work, 'sources.list'),
    `deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${await debianMirror()} ${suite} main\n`,
  );
  const settings = [
    `Dir::Etc::sourcelist=${work}/sources.list`,
    'Dir::Etc::sourceparts=/dev/null',
    `Dir::State::lists=${work}/lists`,
    `Dir::State::status=${work}/status`,
    `Dir::Cache=${work}/cache`,
    'Dir::Etc::preferences=/dev/null',
    'Dir::Etc::preferencesparts=/dev/null',
    'Acquire::Languages=none',
    // apt would drop to a user who cannot write here.
    'APT::Sandbox::User=root',
  ].flatMap((setting) => ['-o', setting]);
  const debs = join(work, 'debs');
  await run('apt-get', [...settings, 'update', '-qq'], { cwd: debs });
  const wanted = closure ? await closureOf(settings, packages, debs) : packages;
  await run('apt-get', [...settings, 'download', '-qq', ...wanted], { cwd: debs });
  const files = await readdir(debs);
  if (files.length === 0) throw new Error('apt-get download brought no file');
  const root = join(directory, 'root');
  await mkdir(root);
  for (const deb of files) await run('dpkg', ['-x', join(debs, deb), root]);
  await rm(work, { recursive: true, force: true });
  return root;
}

/** `name=version` of the packages and all that they depend on. */
async function closureOf(settings: readonly string[], packages: readonly string[], cwd: string): Promise<string[]> {
  const plan = await run('apt-get', [...settings, '-s', '--no-install-recommends', 'install', ...packages, 'libc6'], { cwd });
  return [...plan.matchAll(/^Inst (\S+) \((\S+)/gm)].map(([, name, version]) => `${name}=${version}`);
}

/** The Debian mirror that this machine is configured to use. */
async function debianMirror(): Promise<string> {
  const files = ['/etc/apt/sources.list'];
  for (const name of await readdir('/etc/apt/sources.list.d').catch(() => [])) files.push(join('/etc/apt/sources.list.d', name));
  for (const file of files) {
    const text = await readFile(file, 'utf8').catch(() => '');
    for (const line of text.split('\n')) {
      const url = /^(?:URIs:|deb\s(?:\[[^\]]*\]\s*)?)\s*(\S+)/.exec(line)?.[1];
      if (url !== undefined && /\/debian\/?$/.test(url)) return url;
    }
  }
  throw new Error('no Debian mirror is configured on this machine');
}
