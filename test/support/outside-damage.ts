/** What somebody else does to a file that a running process writes to. */
import { appendFile, copyFile, open, readFile, rename, rm, truncate } from 'node:fs/promises';

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

/** One bit; a second time it is as it was. */
export async function flipBit(path: string, at: number): Promise<void> {
  const file = await open(path, 'r+');
  try {
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, at);
    await file.write(Buffer.from([(buffer[0] as number) ^ 4]), 0, 1, at);
  } finally {
    await file.close();
  }
}
