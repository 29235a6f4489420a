import type { Configuration, LoadResult } from '../config/load.ts';
import { loadConfiguration, requireConfiguration } from '../config/load.ts';
import type { Problem } from '../config/problem.ts';
import { redactor } from '../config/redact.ts';
import type { Registry } from '../plugin/registry.ts';
import { createLogger } from '../telemetry/logger.ts';

export type ProcessLogger = ReturnType<typeof createLogger>;

export interface Ready {
  readonly configuration: Configuration;
  readonly log: ProcessLogger;
}

/** Loads the configuration of a command that runs something, with secrets, and makes the log that hides them (I12); `write`: where its lines go. Throws a SluiceError. */
export async function setUp(paths: readonly string[], registry: Registry, write?: (line: string) => void): Promise<Ready> {
  const result: LoadResult = await loadConfiguration({ paths, env: process.env, registry, secrets: 'resolve' });
  const configuration = requireConfiguration(result);
  const { level, format } = configuration.daemon.log;
  const log = createLogger({
    level,
    format: format === 'auto' ? (process.stderr.isTTY ? 'pretty' : 'json') : format,
    redact: redactor(configuration.secrets),
    ...(write === undefined ? {} : { write }),
  });
  for (const warning of result.warnings) log.warn(warningText(warning), { code: warning.code, remedy: warning.remedy });
  return { configuration, log };
}

function warningText({ file, path, message }: Problem): string {
  return `${file}${path === '' ? '' : ` ${path}`}: ${message}`;
}
