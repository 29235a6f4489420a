import { execFile } from 'node:child_process';
import { noteCommand } from './artefacts.ts';
import { SLUICE_MAIN } from './daemon.ts';

export interface Answer {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** One command of the built `sluice`, until it ends. */
export function sluice(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<Answer> {
  return new Promise((resolve) => {
    execFile(process.execPath, [SLUICE_MAIN, ...args], { env: { ...process.env, ...environment }, timeout: 30_000 }, (error, stdout, stderr) => {
      noteCommand(args, stdout + stderr);
      resolve({ exit: error === null ? 0 : typeof error.code === 'number' ? error.code : -1, stdout, stderr });
    });
  });
}
