import { createHash } from 'node:crypto';
import { type ConfigurationFiles, diskFiles, type FoundFile } from './files.ts';

/**
 * Remembers what a configuration was read from, secret files and directories too, so that it can be seen later whether any of it is another one by now: also where a symbolic link
 * leads elsewhere, as Kubernetes changes its ConfigMaps.
 */
export class WatchedFiles implements ConfigurationFiles {
  readonly #files: ConfigurationFiles;
  readonly #looked = new Map<string, string>();

  constructor(files: ConfigurationFiles = diskFiles) {
    this.#files = files;
  }

  async look(path: string): Promise<FoundFile | null> {
    const found = await this.#files.look(path);
    // What is in it is remembered once it is read.
    if (!this.#looked.has(path)) this.#looked.set(path, found === null ? 'nothing' : found.kind);
    return found;
  }

  async read(path: string): Promise<Buffer> {
    const bytes = await this.#files.read(path);
    this.#looked.set(path, digest(bytes));
    return bytes;
  }

  async list(path: string): Promise<readonly string[]> {
    const names = await this.#files.list(path);
    this.#looked.set(path, [...names].sort().join('/'));
    return names;
  }

  /** Whether something is not as it was when it was read. */
  async haveChanged(): Promise<boolean> {
    for (const [path, before] of this.#looked) if ((await this.#now(path, before)) !== before) return true;
    return false;
  }

  async #now(path: string, before: string): Promise<string> {
    try {
      const found = await this.#files.look(path);
      if (found === null || before === found.kind || before === 'nothing') return found === null ? 'nothing' : found.kind;
      if (found.kind === 'directory') return [...(await this.#files.list(path))].sort().join('/');
      return digest(await this.#files.read(path));
    } catch {
      return 'not to be read';
    }
  }
}

/** What is compared is not the content: it may be a secret. */
function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('base64');
}
