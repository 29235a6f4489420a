/** One-shot commands of the harness. */
import { execFile } from 'node:child_process';

export interface CommandOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  uid?: number;
  gid?: number;
  timeoutMs?: number;
}

/** Runs a command without a shell and answers with its standard output. @throws with what the command said, when it ends with another code than 0. */
export function run(command: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  const { timeoutMs = 300_000, ...rest } = options;
  return new Promise((resolve, reject) => {
    execFile(command, args, { ...rest, timeout: timeoutMs, maxBuffer: 32 << 20 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${command} ${args.slice(0, 3).join(' ')}: ${complaint(stderr) || error.message}`, { cause: error }));
    });
  });
}

/** The lines that say what is wrong, without warnings and stack traces. */
function complaint(stderr: string): string {
  const lines = stderr.split('\n').filter((line) => line.trim() !== '' && !/^npm warn|^W: |^npm error\s+at /.test(line));
  return lines.slice(0, 6).join(' | ').slice(0, 800);
}

/** The environment for a package manager: without what an outer `npm run` left there, which would point it at this project. */
export function cleanEnvironment(): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (/^(npm_(package|lifecycle|config_local_prefix|config_prefix|config_omit|command)|NODE_OPTIONS$|NODE_ENV$|INIT_CWD$|VITEST)/.test(name))
      continue;
    env[name] = value;
  }
  return env;
}
