/** The one place where another program is run: those that print secrets. */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { type CredentialCommand, type Credentials, credentialCommand, credentialFile, credentialProgram } from '../plugin/credential.ts';
import { SluiceError } from '../plugin/error.ts';
import type { Runtime } from '../plugin/runtime.ts';

/** Tokens have a few kilobytes. */
const LONGEST_BYTES = 64 * 1024;

/** @param hide is told each secret before it is given to anybody (I12) */
export function nodeCredentials(hide: (secret: string) => void, setTimer: Runtime['setTimer']): Credentials {
  const running = new Map<string, Promise<string>>();
  // Connectors that connect at the same moment share one run.
  const shared = (credential: CredentialCommand): Promise<string> => {
    const key = JSON.stringify(credential);
    const known = running.get(key);
    if (known !== undefined) return known;
    const run = runCommand(credential, setTimer).finally(() => running.delete(key));
    running.set(key, run);
    return run;
  };
  return {
    async get(credential, signal) {
      if (typeof credential === 'string') return credential;
      signal?.throwIfAborted();
      const secret = await unlessAborted('file' in credential ? readSecret(credential.file) : shared(credential), signal);
      hide(secret);
      return secret;
    },
  };
}

/** What nobody waits for any more ends by itself. */
function unlessAborted(got: Promise<string>, signal: AbortSignal | undefined): Promise<string> {
  if (signal === undefined) return got;
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', abort, { once: true });
    got.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

async function readSecret(path: string): Promise<string> {
  const fail = (detail: string): SluiceError => new SluiceError(credentialFile, { path, detail });
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw fail(code === 'ENOENT' ? 'it does not exist' : `it cannot be read (${code ?? 'unknown error'})`);
  }
  return oneLine(bytes, fail);
}

/**
 * Runs it in a process group of its own, so that what it has started can be ended with it where it takes too long or prints too much; what it leaves behind in the background is its own. It reads nothing, and only what it prints to its standard output is taken.
 */
function runCommand({ command, timeout }: CredentialCommand, setTimer: Runtime['setTimer']): Promise<string> {
  const [program = '', ...args] = command;
  const fail = (detail: string): SluiceError => new SluiceError(credentialCommand, { program, detail });
  return new Promise<Buffer>((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'], shell: false, detached: true, windowsHide: true });
    const chunks: Buffer[] = [];
    let length = 0;
    const giveUp = (detail: string): void => {
      endGroup(child.pid);
      child.stdout.destroy();
      reject(fail(detail));
    };
    const late = setTimer(() => giveUp(`it did not end within ${timeout / 1000} s`), timeout);
    child.on('error', (error) => {
      late.clear();
      reject(new SluiceError(credentialProgram, { program, detail: whyNot(error) }));
    });
    child.stdout.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      length += chunk.length;
      if (length > LONGEST_BYTES) giveUp(`it printed more than ${LONGEST_BYTES / 1024} KiB`);
    });
    child.on('close', (code, signal) => {
      late.clear();
      if (code === 0) resolve(Buffer.concat(chunks));
      else reject(fail(code === null ? `it was ended by ${signal ?? 'a signal'}` : `it ended with ${code}`));
    });
  }).then((printed) => oneLine(printed, fail));
}

function endGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}

function whyNot({ code }: NodeJS.ErrnoException): string {
  if (code === 'ENOENT') return 'there is no such program';
  if (code === 'EACCES') return 'permission denied';
  return code ?? 'the system refused';
}

/**
 * Programs and editors leave a line break at the end; a JSON object, as OAuth's servers answer, may be printed over several lines. The text itself is never part of an error.
 */
function oneLine(bytes: Buffer, fail: (detail: string) => SluiceError): string {
  const whole = bytes.toString('utf8');
  const text = /^\s*\{[\s\S]*\}\s*$/.test(whole) ? whole.replace(/\s+/g, ' ').trim() : whole.replace(/\r?\n$/, '');
  if (text.trim() === '') throw fail('there is nothing');
  if (/\p{Cc}/u.test(text)) throw fail('it is more than one line of text');
  return text;
}
