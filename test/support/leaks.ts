/** What a test file must not leave behind: open sockets and timers, child processes, replication slots. */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PostgresServer } from '../servers/postgres.ts';

/** Handles that keep a process alive, as Node names them; the runner's own are pipes and such, told apart by counting before and after. */
const HANDLES = new Set([
  'TCPSocketWrap',
  'TCPServerWrap',
  'TLSWrap',
  'PipeConnectWrap',
  'PipeServerWrap',
  'Timeout',
  'Immediate',
  'FSEventWrap',
  'ProcessWrap',
  'Worker',
]);

export interface LeakBaseline {
  handles: Map<string, number>;
  children: Set<number>;
}

/** What is there before a test file runs. */
export function leakBaseline(): LeakBaseline {
  return { handles: countHandles(), children: new Set(childProcesses().map((child) => child.pid)) };
}

/**
 * What has come since `baseline` and does not go away.
 * @param graceMs closing sockets and ending processes take a moment
 * @returns one line for each leak, none when clean
 */
export async function findLeaks(baseline: LeakBaseline, graceMs = 2_000): Promise<string[]> {
  const deadline = Date.now() + graceMs;
  for (;;) {
    const leaks = [...handleLeaks(baseline), ...processLeaks(baseline)];
    if (leaks.length === 0 || Date.now() >= deadline) return leaks;
    await sleep(20);
  }
}

/** Replication slots on a server, one line each: a slot that nobody reads holds the server's log for ever. */
export async function findSlots(server: PostgresServer): Promise<string[]> {
  const rows = await server.query<{ slot_name: string; active: boolean }>('SELECT slot_name, active FROM pg_replication_slots ORDER BY slot_name');
  return rows.map((slot) => `replication slot ${slot.slot_name}${slot.active ? ' (in use)' : ''} on PostgreSQL ${server.major}`);
}

function countHandles(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of process.getActiveResourcesInfo()) if (HANDLES.has(name)) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}

function handleLeaks(baseline: LeakBaseline): string[] {
  const leaks: string[] = [];
  for (const [name, count] of countHandles()) {
    const more = count - (baseline.handles.get(name) ?? 0);
    if (more > 0) leaks.push(`${more} × ${name} still open`);
  }
  return leaks;
}

function processLeaks(baseline: LeakBaseline): string[] {
  return childProcesses()
    .filter((child) => !baseline.children.has(child.pid) && !child.guardian)
    .map((child) => `process ${child.pid} still runs: ${child.command}`);
}

/** The running children of this process (Linux; elsewhere none are seen). */
function childProcesses(): { pid: number; command: string; guardian: boolean }[] {
  if (process.platform !== 'linux') return [];
  const children: { pid: number; command: string; guardian: boolean }[] = [];
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
      const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (Number(parent) !== process.pid || state === 'Z') continue;
      const command = readFileSync(`/proc/${entry}/cmdline`, 'utf8').split('\0');
      // The harness' own guardian outlives every server on purpose; esbuild belongs to the runner.
      const guardian = command[0] === 'sh' && (command[2] ?? '').includes("'p '*)");
      children.push({
        pid: Number(entry),
        command: command.join(' ').slice(0, 120).trim(),
        guardian: guardian || /\besbuild\b/.test(command[0] ?? ''),
      });
    } catch {
      // Ended while the list was read.
    }
  }
  return children;
}
