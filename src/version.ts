import { readFileSync } from 'node:fs';

/** This package's version. One directory up from the sources, two from the build. */
export const VERSION: string = readVersion();

function readVersion(): string {
  for (const path of ['../package.json', '../../package.json']) {
    try {
      const { name, version } = JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')) as { name?: string; version?: string };
      if (name === 'sluice' && version !== undefined) return version;
    } catch {
      // Not this one.
    }
  }
  return 'unknown';
}
