import { readdir, readFile, stat } from 'node:fs/promises';

export interface FoundFile {
  readonly kind: 'file' | 'directory';
  /** The permission bits. */
  readonly mode: number;
  /** User id. */
  readonly owner: number;
}

/** What loading a configuration asks of the file system. */
export interface ConfigurationFiles {
  /** What stands there; null = nothing. */
  look(path: string): Promise<FoundFile | null>;
  /** The whole file. Throws what the system throws. */
  read(path: string): Promise<Buffer>;
  /** Names in a directory. */
  list(path: string): Promise<readonly string[]>;
}

export const diskFiles: ConfigurationFiles = {
  async look(path) {
    try {
      const found = await stat(path);
      return { kind: found.isDirectory() ? 'directory' : 'file', mode: found.mode & 0o777, owner: found.uid };
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT' || code === 'ENOTDIR') return null;
      throw error;
    }
  },
  read: (path) => readFile(path),
  list: (path) => readdir(path),
};

/** Why a file operation failed, in words; never the content of anything. */
export function fileTrouble(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return 'it does not exist';
    case 'EACCES':
    case 'EPERM':
      return 'permission denied';
    case 'EISDIR':
      return 'it is a directory';
    default:
      return code ?? 'the system refused';
  }
}
