/** Damage to the data directory of a daemon that does not run, and what an operator does about it. */
import { cp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type Answer, sluice } from './cli.ts';
import type { FaultRun } from './fault-run.ts';

export type Damage = (state: string) => Promise<void>;

/** One bit in the middle of a file. */
async function flip(path: string, share = 0.5): Promise<void> {
  const bytes = await readFile(path);
  const at = Math.min(bytes.length - 1, Math.floor(bytes.length * share));
  bytes[at] = (bytes[at] as number) ^ 0x10;
  await writeFile(path, bytes);
}

/** One that hits padding or a checksum that nobody reads does no harm: these do. */
async function flipMany(path: string): Promise<void> {
  const bytes = await readFile(path);
  for (let at = bytes.length >> 3; at < bytes.length >> 1; at += 40) bytes[at] = (bytes[at] as number) ^ 0x10;
  await writeFile(path, bytes);
}

async function halve(path: string): Promise<void> {
  await truncate(path, (await readFile(path)).length >> 1);
}

/** The file of LevelDB with the most bytes whose name ends so. */
async function largest(state: string, ending: RegExp): Promise<string> {
  const directory = join(state, 'level');
  const names = (await readdir(directory)).filter((name) => ending.test(name));
  const sizes = await Promise.all(names.map(async (name) => (await readFile(join(directory, name))).length));
  const index = sizes.indexOf(Math.max(...sizes));
  if (index < 0) throw new Error(`no file ${ending} in ${directory}: ${(await readdir(directory)).join(', ')}`);
  return join(directory, names[index] as string);
}

/** The side file of the newest generation, or the other one. */
async function side(state: string, which: 'newest' | 'older'): Promise<string> {
  const paths = ['offset.a', 'offset.b'].map((name) => join(state, name));
  const generations = await Promise.all(paths.map(async (path) => Number(/"generation":(\d+)/.exec(await readFile(path, 'utf8'))?.[1])));
  const isFirst = (generations[0] as number) > (generations[1] as number) === (which === 'newest');
  return paths[isFirst ? 0 : 1] as string;
}

const SIDES = ['offset.a', 'offset.b'];

/** Each with the code that the start stops with. */
export const DAMAGES: readonly (readonly [what: string, code: string, damage: Damage])[] = [
  ["LevelDB's log cut off in the middle", 'BEHIND|CORRUPT', async (state) => halve(await largest(state, /\.log$/))],
  ["LevelDB's log emptied", 'BEHIND|CORRUPT', async (state) => truncate(await largest(state, /\.log$/), 0)],
  ["a flipped bit in LevelDB's log", 'BEHIND|CORRUPT', async (state) => flip(await largest(state, /\.log$/))],
  ["LevelDB's log missing", 'BEHIND|CORRUPT|MISSING', async (state) => rm(await largest(state, /\.log$/))],
  ['flipped bits all over a table of LevelDB', 'CORRUPT', async (state) => flipMany(await largest(state, /\.ldb$/))],
  ['a table of LevelDB cut off', 'CORRUPT', async (state) => halve(await largest(state, /\.ldb$/))],
  ['a table of LevelDB missing', 'CORRUPT|MISSING', async (state) => rm(await largest(state, /\.ldb$/))],
  ["LevelDB's manifest cut off", 'CORRUPT|BEHIND|MISSING', async (state) => halve(await largest(state, /^MANIFEST/))],
  ["LevelDB's manifest missing", 'MISSING|CORRUPT', async (state) => rm(await largest(state, /^MANIFEST/))],
  ["LevelDB's CURRENT missing", 'MISSING', (state) => rm(join(state, 'level', 'CURRENT'))],
  ['the whole of LevelDB missing', 'MISSING', (state) => rm(join(state, 'level'), { recursive: true })],
  ['a flipped bit in the newest side file', 'CORRUPT', async (state) => flip(await side(state, 'newest'))],
  ['a flipped bit in the older side file', 'CORRUPT', async (state) => flip(await side(state, 'older'))],
  ['a flipped bit in both side files', 'CORRUPT', async (state) => void (await Promise.all(SIDES.map((name) => flip(join(state, name)))))],
  ['the newest side file missing', 'MISSING', async (state) => rm(await side(state, 'newest'))],
  ['the older side file missing', 'MISSING', async (state) => rm(await side(state, 'older'))],
  ['both side files missing', 'MISSING', async (state) => void (await Promise.all(SIDES.map((name) => rm(join(state, name)))))],
  ['the marker missing', 'MISSING', (state) => rm(join(state, 'marker.json'))],
  ['the marker cut off', 'CORRUPT', (state) => halve(join(state, 'marker.json'))],
];

/** The command lines that a remedy names, for this connector. */
export function commandsOf(remedy: string, connector: string): string[][] {
  return [...remedy.matchAll(/sluice (offsets recover[^`,;.)]*?--from (?:sink|slot))/g)].map((match) =>
    (match[1] as string).replace(/<name>|\{connector\}/, connector).split(' '),
  );
}

/** What must not change while a start is refused: the slot's acknowledged position and the messages in the sink. */
export async function untouched(run: FaultRun, action: () => Promise<void>): Promise<void> {
  const before = await settled(run);
  await action();
  expect(await run.standing()).toEqual(before);
}

/** What the killed process had given to the kernel still arrives: looked at until nothing has come for a while. */
async function settled(run: FaultRun): ReturnType<FaultRun['standing']> {
  for (let last = await run.standing(); ; ) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    const now = await run.standing();
    if (now.messages === last.messages && now.acknowledged === last.acknowledged) return now;
    last = now;
  }
}

/** A start that ends with a typed error of the state: exit 3, nothing written, nothing acknowledged. Answers with what it said. */
export async function refused(run: FaultRun, codes: string): Promise<string> {
  let answer: Answer = { exit: 0, stdout: '', stderr: '' };
  await untouched(run, async () => {
    answer = await sluice(['run', run.daemon.directory]);
  });
  expect([answer.exit, answer.stderr], answer.stdout).toEqual([3, expect.stringMatching(new RegExp(`code: +SLUICE_STATE_(${codes})\\n`))]);
  expect(answer.stderr).not.toMatch(/^\s+at /m);
  return /remedy: (.*)/.exec(answer.stderr)?.[1] ?? '';
}

/** The remedy as it is printed, on the command line. */
export async function carryOut(run: FaultRun, remedy: string, from: 'sink' | 'slot'): Promise<Answer> {
  const command = commandsOf(remedy, run.name).find((words) => words.at(-1) === from);
  // Where only one is spelled out the other stands in brackets.
  const words = command ?? commandsOf(remedy, run.name)[0]?.with(-1, from);
  if (words === undefined) throw new Error(`the remedy names no command: ${remedy}`);
  return sluice([...words, run.daemon.directory]);
}

export async function copyState(run: FaultRun, to: string): Promise<void> {
  await rm(to, { recursive: true, force: true });
  await cp(run.daemon.dataDir, to, { recursive: true, filter: (path) => !path.endsWith('.sock') });
}
