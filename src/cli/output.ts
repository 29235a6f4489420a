import { ConfigurationError } from '../config/load.ts';
import { rootMessage, SluiceError } from '../plugin/error.ts';
import { formatProblems } from './validate.ts';

/** How a command answers: text for people, or one JSON document on stdout. */
export interface Output {
  readonly json: boolean;
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
}

export function processOutput(json: boolean): Output {
  return { json, out: (text) => void process.stdout.write(text), err: (text) => void process.stderr.write(text) };
}

/** Prints the answer of a command. */
export function print(output: Output, answer: unknown, text: string): void {
  output.out(output.json ? `${JSON.stringify(answer, null, 2)}\n` : text);
}

/** Says what went wrong and what to do; returns the exit code. A user's mistake gets no stack. */
export function fail(output: Output, error: unknown): number {
  if (error instanceof ConfigurationError) {
    if (output.json) output.out(`${JSON.stringify({ error: { code: error.code, message: error.message, problems: error.problems } }, null, 2)}\n`);
    else output.err(formatProblems(error.problems));
    return error.kind.exit;
  }
  if (error instanceof SluiceError) {
    const { code, message, remedy, kind } = error;
    if (output.json) output.out(`${JSON.stringify({ error: { code, message, remedy } }, null, 2)}\n`);
    else output.err(`error: ${message}\n  code:   ${code}\n  remedy: ${remedy}\n`);
    return kind.exit;
  }
  const reason = rootMessage(error);
  if (output.json) output.out(`${JSON.stringify({ error: { code: 'SLUICE_INTERNAL', message: reason } }, null, 2)}\n`);
  else output.err(`error: ${reason}\n${error instanceof Error && error.stack !== undefined ? `${error.stack}\n` : ''}`);
  return 1;
}

/** Columns aligned by their widest cell. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}
