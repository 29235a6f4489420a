import type { DaemonConfig } from '../config/daemon.ts';
import type { Configuration, LoadResult, StoredChoice } from '../config/load.ts';
import { loadConfiguration, requireConfiguration } from '../config/load.ts';
import type { Problem } from '../config/problem.ts';
import { Redaction } from '../config/redact.ts';
import { WatchedFiles } from '../config/watched-files.ts';
import type { ReadConfiguration } from '../daemon/live-configuration.ts';
import { guardLookups } from '../daemon/lookup-guard.ts';
import { nodeRuntime } from '../daemon/node-runtime.ts';
import type { Registry } from '../plugin/registry.ts';
import type { Runtime } from '../plugin/runtime.ts';
import { createLogger } from '../telemetry/logger.ts';

export type ProcessLogger = ReturnType<typeof createLogger>;

export interface Ready {
  readonly configuration: Configuration;
  readonly log: ProcessLogger;
  /** What hides the secrets of the configuration in `log`. */
  readonly redaction: Redaction;
  /** Tells `redaction` what secrets it gets anew. */
  readonly runtime: Runtime;
  /** The configuration that was read, as files. */
  readonly read: ReadConfiguration;
}

/** Reads a configuration with its secrets, as often as it is called. */
export async function readConfiguration(paths: readonly string[], registry: Registry, stored: StoredChoice = {}): Promise<ReadConfiguration> {
  const files = new WatchedFiles();
  const result: LoadResult = await loadConfiguration({ paths, env: process.env, registry, secrets: 'resolve', files, stored });
  return { result, haveChanged: () => files.haveChanged() };
}

/**
 * Loads the configuration of a command that runs something, with secrets, and makes the log that hides them (I12); `write`: where its lines go. A wrong connector file is said, and leaves the
 * others as they are. Throws a SluiceError: if none is right too.
 */
export async function setUp(paths: readonly string[], registry: Registry, write?: (line: string) => void): Promise<Ready> {
  guardLookups();
  const read = await readConfiguration(paths, registry);
  const { result } = read;
  const configuration = requireConfiguration(result);
  const { level, format } = configuration.daemon.log;
  const redaction = new Redaction(configuration.secrets);
  const log = createLogger({
    level,
    format: format === 'auto' ? (process.stderr.isTTY ? 'pretty' : 'json') : format,
    redact: (text) => redaction.redact(text),
    ...(write === undefined ? {} : { write }),
  });
  for (const problem of result.ok ? [] : result.problems)
    log.error(`${problemText(problem)} This connector is left out.`, { code: problem.code, remedy: problem.remedy });
  for (const warning of result.warnings) log.warn(problemText(warning), { code: warning.code, remedy: warning.remedy });
  const runtime = nodeRuntime((secret) => redaction.hideRenewed(secret));
  return { configuration, log, redaction, runtime, read };
}

/** The data directory, also where no connector's file is right: of a daemon that goes on as it was. Throws a SluiceError. */
export async function dataDirectory(paths: readonly string[], registry: Registry): Promise<string> {
  const { result } = await readConfiguration(paths, registry);
  const isOfConnectors = !result.ok && result.usable === null && result.daemon !== null;
  return isOfConnectors ? (result.daemon as DaemonConfig).dataDir : requireConfiguration(result).daemon.dataDir;
}

function problemText({ file, path, message }: Problem): string {
  return `${file}${path === '' ? '' : ` ${path}`}: ${message}`;
}
