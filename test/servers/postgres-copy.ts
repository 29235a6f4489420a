/** Copies of a PostgreSQL server's data: standbys, and servers restored from a backup. */
import { writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { run } from './command.ts';
import { PostgresServer } from './postgres.ts';
import { freePort, giveToServerUser, reachable, temporaryDirectory } from './process.ts';
import { resolvePostgres } from './resolve.ts';

export interface CopyOptions {
  readonly settings?: Record<string, string | number>;
  /** A standby: it follows what `primary_conninfo` in the settings names. */
  readonly standby?: boolean;
  /** Otherwise a free one. */
  readonly port?: number;
}

/** A server, not yet started, with the data of a stopped one as they are now. */
export async function copyPostgres(of: PostgresServer, { settings = {}, standby = false, port }: CopyOptions = {}): Promise<PostgresServer> {
  if (of.running) throw new Error('only the data of a stopped server can be copied');
  const found = await resolvePostgres(of.major, true);
  if (found.kind === 'external') throw new Error('a server of its own was asked for');
  const binary = { ...found, path: join(await reachable(dirname(found.path)), basename(found.path)) };
  const directory = await temporaryDirectory(`postgres-copy-${of.major}`);
  await run('cp', ['-a', of.dataDir, directory]);
  if (standby) {
    const signal = join(directory, 'data', 'standby.signal');
    await writeFile(signal, '');
    giveToServerUser(signal, 0o600);
  }
  const url = new URL(`postgres://postgres@127.0.0.1:${port ?? (await freePort())}/postgres`);
  return new PostgresServer({ major: of.major, settings }, url, { binary, directory, certificates: null });
}
