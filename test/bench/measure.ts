import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';

/** Linux counts CPU in ticks of 10 ms (proc(5), sysconf(_SC_CLK_TCK) is 100 on every supported platform). */
const TICK_MICROS = 10_000;
const POLL_MS = 10;

export interface Usage {
  /** Wall time in seconds from `mark` (the start, if it was never called) to the end. */
  readonly seconds: number;
  /** User and system CPU of all threads in the same time, microseconds. */
  readonly cpuMicros: number;
  /** Peak resident memory of the whole run. */
  readonly peakBytes: number;
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end and measures it from the outside, through /proc. */
export class Measured {
  readonly child: ChildProcess;
  readonly done: Promise<Usage>;
  #startMs = performance.now();
  #startCpu = 0;
  #cpu = 0;
  #peak = 0;
  stdout = '';
  stderr = '';

  /** Lines go where a callback is given for them; without one stdout is kept. */
  constructor(
    command: string,
    args: readonly string[],
    on: { stdout?: (line: string) => void; stderr?: (line: string, self: Measured) => void } = {},
  ) {
    this.child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const { stdout, stderr } = on;
    if (stdout !== undefined) eachLine(this.child.stdout, stdout);
    else {
      this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
        this.stdout += text;
      });
    }
    eachLine(this.child.stderr, (line) => {
      this.stderr += `${line}\n`;
      stderr?.(line, this);
    });
    const timer = setInterval(() => this.#sample(), POLL_MS);
    this.done = new Promise((resolve, reject) => {
      this.child.once('error', reject);
      this.child.once('close', (code) => {
        clearInterval(timer);
        resolve({
          seconds: (performance.now() - this.#startMs) / 1000,
          cpuMicros: this.#cpu - this.#startCpu,
          peakBytes: this.#peak,
          exitCode: code ?? -1,
          stdout: this.stdout,
          stderr: this.stderr,
        });
      });
    });
  }

  /** What counts begins now: start-up is measured by itself. */
  mark(): void {
    this.#sample();
    this.#startMs = performance.now();
    this.#startCpu = this.#cpu;
  }

  residentBytes(): number {
    return statusField(this.child.pid ?? 0, 'VmRSS');
  }

  #sample(): void {
    const pid = this.child.pid ?? 0;
    try {
      const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
      this.#cpu = (Number(fields[11]) + Number(fields[12])) * TICK_MICROS;
      this.#peak = Math.max(this.#peak, statusField(pid, 'VmHWM'));
    } catch {
      // It has ended: the last sample stands.
    }
  }
}

function eachLine(stream: Readable | null, use: (line: string) => void): void {
  let rest = '';
  stream?.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) use(line);
  });
}

function statusField(pid: number, field: string): number {
  const line = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
  return Number(line?.[1] ?? 0) * 1024;
}
