/** How much of its log a server still has in front of what is not saved yet: it deletes it by its age, whether it was read or not. */
import type { Runtime } from '#plugin';
import type { Client } from './client.ts';
import type { MysqlConfig } from './config.ts';
import type { System } from './log/position.ts';
import { probeLog } from './log/probe.ts';
import { keptSeconds, type LogFile, listFiles, readServer } from './server.ts';

export interface LogLook {
  /** Bytes from the place to the log's end. */
  readonly lagBytes: number | null;
  /** Bytes to the log's end from where it began when it was looked at first. */
  readonly endBytes: number | null;
  /** Bytes in the files before that of the place. */
  readonly headroomBytes: number | null;
  /** Until the file of the place may be deleted by its age, at the earliest. */
  readonly headroomSeconds: number | null;
  /** Of the time for which files are kept, the part that is left, 0 to 1. */
  readonly freeShare: number | null;
}

export const NOTHING_KNOWN: LogLook = { lagBytes: null, endBytes: null, headroomBytes: null, headroomSeconds: null, freeShare: null };

interface Place {
  readonly file: string;
  readonly pos: string;
  /** Of which server; empty: of whatever one. */
  readonly server: string;
}

/** Looks again and again, and asks once for each file when it ended. */
export class Headroom {
  readonly #config: MysqlConfig;
  readonly #system: System;
  readonly #runtime: Runtime;
  /** Of files that were there and are gone. */
  #deletedBytes = 0;
  #files: readonly LogFile[] = [];
  #ended: { readonly file: string; readonly atSeconds: number } | null = null;

  constructor(config: MysqlConfig, system: System, runtime: Runtime) {
    this.#config = config;
    this.#system = system;
    this.#runtime = runtime;
  }

  /** Throws a SluiceError. Of a place in another server's log, or in a file that is gone, nothing is known. */
  async look(client: Client, { file, pos, server: identity }: Place): Promise<LogLook> {
    const server = await readServer(client, this.#config, this.#system);
    if (identity !== '' && identity !== server.identity) return NOTHING_KNOWN;
    const files = await listFiles(client);
    const at = files.findIndex(({ Log_name }) => Log_name === file);
    if (at < 0) return NOTHING_KNOWN;
    const names = new Set(files.map(({ Log_name }) => Log_name));
    this.#deletedBytes += sizeOf(this.#files.filter(({ Log_name }) => !names.has(Log_name)));
    this.#files = files;
    const figures = {
      lagBytes: Math.max(0, sizeOf(files.slice(at)) - Number(pos)),
      endBytes: this.#deletedBytes + sizeOf(files),
      headroomBytes: sizeOf(files.slice(0, at)),
    };
    const kept = keptSeconds(server);
    if (kept === 0 || server.settings['binlog_expire_logs_auto_purge'] === 'OFF') return { ...figures, headroomSeconds: null, freeShare: null };
    const next = files[at + 1]?.Log_name;
    // The newest file is not deleted before another one was begun.
    const age = next === undefined ? 0 : await this.#ageOf(client, file, next);
    const headroomSeconds = Math.max(0, kept - age);
    return { ...figures, headroomSeconds, freeShare: headroomSeconds / kept };
  }

  /** Seconds since the file was written last, which the server goes by: since the next one was begun. */
  async #ageOf(client: Client, file: string, next: string): Promise<number> {
    if (this.#ended?.file !== file) {
      const { created } = await probeLog(this.#config, this.#runtime, { file: next, pos: FIRST_EVENT });
      this.#ended = { file, atSeconds: Number(created) };
    }
    const [row] = await client.rows<{ now: string }>('its clock', 'SELECT UNIX_TIMESTAMP() AS now');
    return Math.max(0, Number(row?.now) - this.#ended.atSeconds);
  }
}

const FIRST_EVENT = '4';

function sizeOf(files: readonly LogFile[]): number {
  return files.reduce((sum, { File_size }) => sum + Number(File_size), 0);
}
