/**
 * Server processes: each a direct child in a process group of its own, each known to a guardian that kills it and removes its files when
 * this process ends, however it ends.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, chownSync, closeSync, mkdtempSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { NOBODY, reachableByNobody, runsAsRoot } from './cache.ts';
import { run } from './command.ts';

/**
 * Reads registrations until its input ends, which is when this process is gone, kill -9 included. SIGQUIT lets a PostgreSQL take its shared
 * memory segment with it; what has not ended after three seconds is killed, its children with it. `x` forgets a process (its number may be
 * given to another). A process that ended counts as ended although nobody collects it: init does not everywhere.
 */
const GUARDIAN = `
pids=' '; dirs=
while IFS= read -r line; do
  case $line in
    'p '*) pids="$pids\${line#p } " ;;
    'x '*) pid=\${line#x }; case $pids in *" $pid "*) pids="\${pids%% $pid *} \${pids#* $pid }" ;; esac ;;
    'd '*) dirs="$dirs\${line#d }
" ;;
  esac
done
running() {
  [ -d /proc/self ] || { kill -0 "$1"; return; }
  { read -r pid name state rest <"/proc/$1/stat"; } && [ "$state" != Z ]
}
all=
for pid in $pids; do
  all="$all $pid"
  for stat in /proc/[0-9]*/stat; do
    { read -r child name state parent rest <"$stat"; } 2>/dev/null && [ "$parent" = "$pid" ] && all="$all $child"
  done
done
if [ -n "$all" ]; then
  kill -CONT $all; kill -QUIT $pids
  for turn in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
    alive=; for each in $all; do running $each && alive=1; done
    [ -z "$alive" ] && break
    sleep 0.2
  done
  [ -n "$alive" ] && kill -KILL $all
fi
printf %s "$dirs" | while IFS= read -r dir; do rm -rf -- "$dir"; done
`;

let guardian: ChildProcess | null = null;

function tellGuardian(line: string): void {
  if (guardian === null) {
    // Detached: a Ctrl-C on the terminal reaches this process, not the guardian, which still has its work to do.
    guardian = spawn('sh', ['-c', GUARDIAN], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
    guardian.unref();
    (guardian.stdin as unknown as { unref(): void }).unref();
  }
  guardian.stdin?.write(`${line}\n`);
}

/** An empty directory for one server, owned by the user who will run it, removed by the guardian at the latest. */
export async function temporaryDirectory(name: string): Promise<string> {
  const base = !runsAsRoot || (await reachableByNobody(tmpdir())) ? tmpdir() : '/tmp';
  const directory = mkdtempSync(join(base, `sluice-${name}-`));
  tellGuardian(`d ${directory}`);
  if (runsAsRoot) giveToServerUser(directory, 0o755);
  return directory;
}

/** Where root starts servers as nobody: hands a file or directory to that user. */
export function giveToServerUser(path: string, mode: number): void {
  chmodSync(path, mode);
  if (runsAsRoot) chownSync(path, NOBODY, NOBODY);
}

const copies = new Map<string, Promise<string>>();

/**
 * Where nobody, as whom root starts servers, cannot reach a server's files (a cache below /root), a copy of them in a temporary directory;
 * else the path itself.
 */
export async function reachable(path: string): Promise<string> {
  if (!runsAsRoot || (await reachableByNobody(path))) return path;
  let copy = copies.get(path);
  if (copy === undefined) {
    copy = temporaryDirectory('copy').then(async (directory) => {
      await run('cp', ['-a', path, directory]);
      return join(directory, basename(path));
    });
    copies.set(path, copy);
  }
  return copy;
}

/** The user for a server: nobody where this process is root's (PostgreSQL refuses root), else the same one. */
export const serverUser: { uid?: number; gid?: number } = runsAsRoot ? { uid: NOBODY, gid: NOBODY } : {};

/** Below the range from which the system gives ports to whoever connects: what is free here stays so until it is listened on. */
const PORTS = { first: 10_000, count: 22_000 };
const given = new Set<number>();

/** A TCP port of 127.0.0.1 that nobody listens on, and that no other test file beside this one is given: each has a part of the ports. */
export async function freePort(): Promise<number> {
  const worker = Number(process.env.VITEST_POOL_ID ?? 0);
  const part = Math.floor(PORTS.count / 4);
  for (;;) {
    const port = PORTS.first + (worker % 4) * part + Math.floor(Math.random() * part);
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}

export interface SpawnOptions {
  /** Both outputs are appended to it. */
  logFile: string;
  env?: NodeJS.ProcessEnv;
}

/** One running server process. */
export class ServerProcess {
  readonly pid: number;
  readonly exited: Promise<string>;
  private readonly logFile: string;
  private ended: string | null = null;

  constructor(command: string, args: readonly string[], options: SpawnOptions) {
    this.logFile = options.logFile;
    const log = openSync(options.logFile, 'a');
    const env = { PATH: process.env.PATH, HOME: tmpdir(), LC_ALL: 'C', ...options.env };
    const child = spawn(command, args, { detached: true, stdio: ['ignore', log, log], env, cwd: '/', ...serverUser });
    closeSync(log);
    this.pid = child.pid ?? 0;
    // Not even started: the error event follows. A signal must never go out meanwhile: process 0 stands for our own group.
    if (this.pid === 0) this.ended = `${command} could not be started`;
    else tellGuardian(`p ${this.pid}`);
    this.exited = new Promise((resolve) => {
      const end = (how: string) => {
        if (this.pid !== 0) tellGuardian(`x ${this.pid}`);
        this.ended = how;
        resolve(how);
      };
      child.once('error', (error) => end(error.message));
      child.once('exit', (code, signal) => end(signal ?? `code ${code}`));
    });
    child.unref();
  }

  get alive(): boolean {
    return this.ended === null;
  }

  /** The end of what it logged. */
  logTail(bytes = 2000): string {
    return readFileSync(this.logFile, 'utf8').slice(-bytes);
  }

  /** To the process alone. */
  kill(signal: NodeJS.Signals): void {
    if (this.alive) process.kill(this.pid, signal);
  }

  /** To the process and its children. PostgreSQL's are in sessions of their own, so that a signal to the group would miss them. */
  killTree(signal: NodeJS.Signals): void {
    if (!this.alive) return;
    for (const pid of [this.pid, ...childrenOf(this.pid)]) {
      try {
        process.kill(pid, signal);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
    }
  }

  /** Kills it and its children and waits until none of them is left (a server started on the same files would refuse). */
  async killAndWait(): Promise<void> {
    if (!this.alive) return;
    const tree = [this.pid, ...childrenOf(this.pid)];
    this.killTree('SIGKILL');
    await this.waitForExit();
    while (tree.some(isRunning)) await sleep(10);
  }

  /** @param timeoutMs killed when it takes longer */
  async waitForExit(timeoutMs = 30_000): Promise<void> {
    // Resolved by an exit event that the unreferenced child would not keep this process alive for: the timer does.
    const late = new AbortController();
    const timer = sleep(timeoutMs, 'late' as const, { signal: late.signal }).catch(() => 'exited' as const);
    if ((await Promise.race([this.exited, timer])) === 'late') {
      this.killTree('SIGKILL');
      await this.exited;
    }
    late.abort();
  }
}

function childrenOf(parent: number): number[] {
  const children: number[] = [];
  for (const entry of readdirProc()) {
    try {
      // `pid (name) state parent …`; the name may hold spaces and brackets.
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
      if (Number(stat.slice(stat.lastIndexOf(')') + 4).split(' ')[0]) === parent) children.push(Number(entry));
    } catch {
      // Ended while the list was read.
    }
  }
  return children;
}

function readdirProc(): string[] {
  if (process.platform !== 'linux') return [];
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name));
}

/** Not ended; a process that ended and was not yet collected by its parent counts as ended. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    if (process.platform !== 'linux') return true;
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat[stat.lastIndexOf(')') + 2] !== 'Z';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/**
 * Asks `probe` until it answers.
 * @throws when the process ended or the time is over, with what it logged
 */
export async function waitUntilReady<T>(server: ServerProcess, what: string, probe: () => Promise<T>, timeoutMs = 60_000): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    try {
      if (!server.alive) throw new Error(`ended (${await server.exited})`);
      const answer = await probe();
      if (server.alive) return answer;
    } catch (error) {
      if (server.alive && Date.now() < deadline) {
        await sleep(20);
        continue;
      }
      throw new Error(`${what} did not start: ${(error as Error).message}\n${server.logTail()}`, { cause: error });
    }
  }
}
