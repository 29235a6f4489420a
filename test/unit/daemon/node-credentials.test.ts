import { access, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nodeRuntime } from '../../../src/daemon/node-runtime.ts';
import type { CredentialCommand } from '../../../src/plugin/credential.ts';

const node = (script: string, timeout = 10_000): CredentialCommand => ({ command: [process.execPath, '-e', script], timeout });

describe('short-lived secrets (security.md 11, 26)', () => {
  let directory: string;
  let hidden: string[] = [];
  const { credentials } = nodeRuntime((secret) => hidden.push(secret));

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sluice-credentials-'));
  });

  afterAll(() => rm(directory, { recursive: true }));

  it('are what a program prints or a file holds, anew each time, and hidden before they are given out', async () => {
    hidden = [];
    const path = join(directory, 'token');
    for (const now of ['one', 'two']) {
      await writeFile(path, `${now}\n`);
      expect(await credentials.get({ file: path })).toBe(now);
      expect(await credentials.get({ command: ['/bin/cat', path], timeout: 1000 })).toBe(now);
    }
    expect(hidden).toEqual(['one', 'one', 'two', 'two']);
    expect(await credentials.get('as it is')).toBe('as it is');
  });

  it('no shell reads the arguments, and nothing answers what the program asks', async () => {
    expect(await credentials.get({ command: ['/bin/echo', '$HOME; `id`', '*'], timeout: 1000 })).toBe('$HOME; `id` *');
    expect(await credentials.get(node('process.stdin.on("end", () => console.log("asked in vain")).resume()'))).toBe('asked in vain');
  });

  it('a JSON object may take several lines', async () => {
    expect(await credentials.get(node('console.log(JSON.stringify({ access_token: "t" }, null, 2))'))).toBe('{ "access_token": "t" }');
  });

  it.each<[CredentialCommand, string, string]>([
    [{ command: ['/no/such/program'], timeout: 1000 }, 'SLUICE_CREDENTIAL_PROGRAM', 'there is no such program'],
    [{ command: ['/dev/null'], timeout: 1000 }, 'SLUICE_CREDENTIAL_PROGRAM', 'permission denied'],
    [node('console.log("canary"); console.error("canary"); process.exit(3)'), 'SLUICE_CREDENTIAL_COMMAND', 'it ended with 3'],
    [
      node('console.log("canary"); process.kill(process.pid, "SIGTERM"); setTimeout(() => {}, 9e3)'),
      'SLUICE_CREDENTIAL_COMMAND',
      'it was ended by SIGTERM',
    ],
    [node(''), 'SLUICE_CREDENTIAL_COMMAND', 'there is nothing'],
    [node('console.log("canary\\nof two lines")'), 'SLUICE_CREDENTIAL_COMMAND', 'more than one line'],
    [node('process.stdout.write("canary".repeat(1e5))'), 'SLUICE_CREDENTIAL_COMMAND', 'more than 64 KiB'],
    [node('console.log("canary"); setTimeout(() => {}, 60e3)', 500), 'SLUICE_CREDENTIAL_COMMAND', 'it did not end within 0.5 s'],
  ])('%j gives none, and says so without what it printed (I12)', async (command, code, says) => {
    hidden = [];
    const error = await credentials.get(command).catch((thrown: unknown) => thrown as Error);
    expect(error).toMatchObject({ code, message: expect.stringContaining(says) });
    expect((error as Error).message).toContain(`"${command.command[0]}"`);
    expect(String(error)).not.toContain('canary');
    expect(hidden).toEqual([]);
  });

  it('what a program has started ends with it when it is late', async () => {
    const mark = join(directory, 'mark');
    const late: CredentialCommand = { command: ['/bin/sh', '-c', `(sleep 1.5; touch ${mark}) & sleep 30`], timeout: 200 };
    await expect(credentials.get(late)).rejects.toMatchObject({ code: 'SLUICE_CREDENTIAL_COMMAND' });
    await sleep(2000);
    await expect(access(mark)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('who no longer waits is told at once', async () => {
    const signal = AbortSignal.timeout(100);
    const started = performance.now();
    const error = await credentials.get(node('setTimeout(() => console.log("x"), 1500)'), signal).catch((thrown: unknown) => thrown);
    expect(error).toBe(signal.reason);
    expect(performance.now() - started).toBeLessThan(1000);
  });

  it('those that ask at the same moment share one run; the next is a new one', async () => {
    const log = join(directory, 'runs');
    const command: CredentialCommand = { command: ['/bin/sh', '-c', `echo run >> ${log}; grep -c run ${log}`], timeout: 5000 };
    expect(await Promise.all([credentials.get(command), credentials.get(command)])).toEqual(['1', '1']);
    expect(await credentials.get(command)).toBe('2');
  });

  it.each([
    ['/no/such/file', 'it does not exist'],
    ['/', 'it cannot be read (EISDIR)'],
  ])('%s holds none', async (file, says) => {
    await expect(credentials.get({ file })).rejects.toMatchObject({ code: 'SLUICE_CREDENTIAL_FILE', message: expect.stringContaining(says) });
  });
});
