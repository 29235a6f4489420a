/**
 * `npm run generate`: writes the JSON Schemas and the pages of the documentation that come from field tables and error kinds. `--check` writes nothing
 * and fails with what differs.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { generatedFiles } from './generate/files.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const checkOnly = process.argv.includes('--check');

/** First line that differs, for a message. */
function firstDifference(is: string, shouldBe: string): string {
  const lines = is.split('\n');
  const wanted = shouldBe.split('\n');
  const index = wanted.findIndex((line, at) => line !== lines[at]);
  const at = index < 0 ? wanted.length : index;
  return `line ${at + 1}\n  is:        ${lines[at] ?? '(end)'}\n  should be: ${wanted[at] ?? '(end)'}`;
}

for (const [path, content] of await generatedFiles()) {
  const file = join(root, path);
  const current = await readFile(file, 'utf8').catch(() => null);
  if (current === content) continue;
  if (checkOnly) {
    process.stdout.write(
      `${path} is out of date (npm run generate): ${current === null ? 'it does not exist' : firstDifference(current, content)}\n`,
    );
    process.exitCode = 1;
  } else {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, content);
    process.stdout.write(`${path} written\n`);
  }
}
