import type { ConfigurationFiles } from '../config/files.ts';
import { type LoadResult, loadConfiguration } from '../config/load.ts';
import type { Problem } from '../config/problem.ts';
import type { Registry } from '../plugin/registry.ts';

export interface ValidateOptions {
  /** Directory or connector files; empty: `SLUICE_CONFIG`, else the current directory. */
  readonly paths: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly registry: Registry;
  /** One JSON object instead of text. */
  readonly json: boolean;
  /** Receives the whole output, which ends with a line break. */
  readonly write: (text: string) => void;
  readonly files?: ConfigurationFiles;
  readonly cwd?: string;
}

/**
 * `sluice validate`: reads files only. No server is asked and no secret is needed; of references only the form is checked. Resolves with the exit code:
 * 0 valid (warnings or not), 2 not.
 */
export async function validateCommand(options: ValidateOptions): Promise<0 | 2> {
  const { json, write, ...load } = options;
  const result = await loadConfiguration({ ...load, secrets: 'leave', stored: { none: true } });
  write(json ? `${JSON.stringify(asJson(result), null, 2)}\n` : asText(result));
  return result.ok ? 0 : 2;
}

function asJson(result: LoadResult): object {
  const connectors = result.ok ? result.configuration.connectors.map(summary) : [];
  return { valid: result.ok, connectors, errors: result.ok ? [] : result.problems, warnings: result.warnings };
}

type Loaded = Extract<LoadResult, { ok: true }>['configuration']['connectors'][number];

function summary({ name, file, source, format, sink }: Loaded): object {
  return { name, file, source: source.plugin.type, format: format.plugin.type, sink: sink.plugin.type };
}

function asText(result: LoadResult): string {
  const problems = result.ok ? [] : result.problems;
  const blocks = formatProblems([...problems, ...result.warnings]);
  const counts = [count(problems.length, 'error'), ...(result.warnings.length > 0 ? [count(result.warnings.length, 'warning')] : [])].join(', ');
  const valid = result.ok
    ? result.configuration.connectors.map(
        ({ name, file, source, sink }) => `${file}: "${name}", ${source.plugin.type} to ${sink.plugin.type}, is valid\n`,
      )
    : [];
  return `${blocks}${valid.join('')}${counts}\n`;
}

/** Problems for people: place, code, what is wrong, what to do. Empty, or ends with an empty line. */
export function formatProblems(problems: readonly Problem[]): string {
  return problems
    .map(({ severity, file, line, column, path, code, message, remedy }) => {
      const place = line === undefined ? file : `${file}:${line}:${column}`;
      return `${place}${path === '' ? '' : `  ${path}`}\n  ${severity} ${code}: ${message}\n  remedy: ${remedy}\n\n`;
    })
    .join('');
}

function count(number: number, noun: string): string {
  return `${number === 0 ? 'no' : number} ${noun}${number === 1 ? '' : 's'}`;
}
