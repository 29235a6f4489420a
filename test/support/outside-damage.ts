/** What somebody else does to a file that a running process writes to. */
import { appendFile, copyFile, readFile, rename, rm, truncate } from 'node:fs/promises';

export const OUTSIDE_DAMAGE: Readonly<Record<string, (path: string) => Promise<unknown>>> = {
  cut: async (path) => truncate(path, (await readFile(path)).length - 1),
  emptied: (path) => truncate(path, 0),
  deleted: (path) => rm(path),
  'replaced by its copy': async (path) => {
    await copyFile(path, `${path}.copy`);
    await rename(`${path}.copy`, path);
  },
  'written to': (path) => appendFile(path, 'x'),
};
