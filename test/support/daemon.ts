import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Confidential, shown } from './artefacts.ts';

/** What the package's `bin` names, built. */
export const SLUICE_MAIN = fileURLToPath(new URL('../../dist/src/main.js', import.meta.url));

export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly code?: string;
  readonly remedy?: string;
  readonly connector?: string;
  readonly [key: string]: unknown;
}

/** Longer than any orderly end takes, on a busy machine too. */
const STOP_MS = 100_000;

/** The built daemon as a child process, with a configuration directory of its own. */
export class Daemon {
  readonly directory: string;
  readonly log: LogLine[] = [];
  /** Lines on stderr that were no JSON: there should be none. */
  readonly other: string[] = [];
  stdout = '';
  /** All of it, as it came. */
  stderr = '';
  child: ChildProcess | null = null;
  #exit: Promise<number> = Promise.resolve(0);
  #startedAt = 0;
  readonly #watchers = new Set<() => void>();

  /** Of `sluice.json`. */
  readonly #settings: Readonly<Record<string, unknown>>;
  readonly #confidential = new Confidential();

  private constructor(directory: string, settings: Readonly<Record<string, unknown>>, connectors: readonly unknown[]) {
    this.directory = directory;
    this.#settings = settings;
    this.#confidential.learn(settings);
    this.#confidential.learn(connectors);
  }

  /** Writes sluice.json and one file per connector into a new temporary directory. */
  static async create(
    connectors: readonly { readonly name: string; readonly [option: string]: unknown }[],
    settings: Record<string, unknown> = {},
  ): Promise<Daemon> {
    const directory = await mkdtemp(join(tmpdir(), 'sluice-e2e-'));
    await mkdir(join(directory, 'connectors'));
    const daemon = { dataDir: join(directory, 'data'), health: { listen: '127.0.0.1:0' }, log: { level: 'info', format: 'json' }, ...settings };
    await writeFile(join(directory, 'sluice.json'), JSON.stringify(daemon));
    for (const connector of connectors) await writeFile(join(directory, 'connectors', `${connector.name}.json`), JSON.stringify(connector));
    return new Daemon(directory, settings, connectors);
  }

  /** The file of a connector, written again: for its next start. */
  async rewrite(connector: { readonly name: string; readonly [option: string]: unknown }): Promise<void> {
    this.#confidential.learn(connector);
    await writeFile(join(this.directory, 'connectors', `${connector.name}.json`), JSON.stringify(connector));
  }

  get dataDir(): string {
    return join(this.directory, 'data');
  }

  get pid(): number {
    return this.child?.pid ?? 0;
  }

  /** `node`: options of Node's own. */
  start(args: readonly string[] = [], environment: Record<string, string> = {}, node: readonly string[] = []): this {
    const child = spawn(process.execPath, [...node, SLUICE_MAIN, 'run', ...args, this.directory], {
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#confidential.learnEnvironment(environment);
    this.child = child;
    this.#startedAt = this.log.length;
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
      this.#tell();
    });
    let rest = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.#take(line);
      this.#tell();
    });
    this.#exit = new Promise((resolve) => {
      child.once('close', (code) => {
        this.#tell();
        resolve(code ?? -1);
      });
    });
    return this;
  }

  /** Resolves with the exit code, −1 if a signal ended it. */
  exit(): Promise<number> {
    return this.#exit;
  }

  /** Throws if it does not end, with the log: a test that runs into its time says nothing. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number> {
    this.child?.kill(signal);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const say = (): void => reject(new Error(`it does not end; the log: ${JSON.stringify(this.log.slice(-20), null, 1)}`));
      timer = setTimeout(say, STOP_MS);
    });
    return Promise.race([this.#exit, late]).finally(() => clearTimeout(timer));
  }

  signal(signal: NodeJS.Signals): void {
    this.child?.kill(signal);
  }

  /** The first log line that fits, now or later. */
  async waitForLog(fits: (line: LogLine) => boolean, timeoutMs = 20_000): Promise<LogLine> {
    const end = Date.now() + timeoutMs;
    for (;;) {
      const found = this.log.find(fits);
      if (found !== undefined) return found;
      if (Date.now() > end) throw new Error(`no such log line; the log: ${JSON.stringify(this.log.slice(-20), null, 1)} ${this.other.join('\n')}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(done, 200);
        const watchers = this.#watchers;
        function done(): void {
          clearTimeout(timer);
          watchers.delete(done);
          resolve();
        }
        watchers.add(done);
      });
    }
  }

  /** Log lines since the last start. */
  get logSinceStart(): readonly LogLine[] {
    return this.log.slice(this.#startedAt);
  }

  /** Base URL of the health listener. */
  async healthUrl(): Promise<string> {
    const line = await this.waitForLog(({ msg }) => msg.startsWith('Health and metrics on '));
    return /http:\/\/[^ ]+/.exec(line.msg)?.[0] ?? '';
  }

  /** Base URL of the HTTP API of this start. */
  async apiUrl(): Promise<string> {
    const isOfThisStart = (line: LogLine): boolean => line.msg.startsWith('HTTP API on ') && this.log.indexOf(line) >= this.#startedAt;
    const line = await this.waitForLog(isOfThisStart);
    return /https?:\/\/[^ ,]+\/api\/v1/.exec(line.msg)?.[0] ?? '';
  }

  /** Resident memory in bytes, as the kernel has it. */
  async residentBytes(field: 'VmRSS' | 'VmHWM' = 'VmRSS'): Promise<number> {
    const { readFile } = await import('node:fs/promises');
    const status = await readFile(`/proc/${this.pid}/status`, 'utf8');
    return Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(status)?.[1] ?? 0) * 1024;
  }

  /** Ends it. Throws if a secret of its configuration, or a value of a row, stands where it must not (I12). */
  async dispose(): Promise<void> {
    const artefacts = [{ origin: 'its log', text: this.stderr }];
    if (this.child !== null && this.child.exitCode === null && this.child.signalCode === null) {
      artefacts.push(...(await this.#shown()));
      await this.stop('SIGKILL');
    }
    await rm(this.directory, { recursive: true, force: true });
    const found = await this.#confidential.found(artefacts);
    if (found.length > 0) throw new Error(`shown, and must not be (I12):\n${found.slice(0, 10).join('\n')}`);
  }

  #shown(): ReturnType<typeof shown> {
    const urlAfter = (start: string): string | null => {
      const line = this.logSinceStart.findLast(({ msg }) => msg.startsWith(start));
      return line === undefined ? null : (/https?:\/\/\S+?:\d+(\/api\/v1)?/.exec(line.msg)?.[0] ?? null);
    };
    const api = urlAfter('HTTP API on ');
    const http = this.#settings['http'] as { readonly token?: string } | undefined;
    return shown(urlAfter('Health and metrics on '), api === null ? null : { url: api, token: http?.token });
  }

  #take(line: string): void {
    if (line === '') return;
    try {
      this.log.push(JSON.parse(line) as LogLine);
    } catch {
      this.other.push(line);
    }
  }

  #tell(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }
}
