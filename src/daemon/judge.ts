import type { ConnectorDefinition } from '../config/load.ts';
import type { Logger } from '../plugin/context.ts';
import { credentialErrors } from '../plugin/credential.ts';
import { type ErrorKind, SluiceError } from '../plugin/error.ts';
import type { Finding } from '../plugin/finding.ts';
import type { TableOutline } from '../plugin/outline.ts';
import type { Sink } from '../plugin/sink.ts';
import { tableLabel } from '../record/table.ts';
import { formatFindings } from './preflight.ts';

type Plugins = Pick<ConnectorDefinition, 'source' | 'format' | 'sink'>;

/** Judges the findings of one connector's preflights. */
export class Judge {
  readonly #plugins: Plugins;
  readonly #log: Logger;
  /** What was said by the lives before this one. */
  readonly #said = new Set<string>();

  constructor(plugins: Plugins, log: Logger) {
    this.#plugins = plugins;
    this.#log = log;
  }

  /**
   * Logs the findings, each once; throws the first error. What may pass by itself is left to who comes to need it, and waits. `isLost`: that the stored position is lost is
   * known, and no error any more.
   */
  judge(findings: readonly Finding[], isLost: boolean): void {
    let first: SluiceError | null = null;
    for (const finding of findings) {
      const kind = kindOf(this.#plugins, finding.code);
      if (isLost && kind?.positionLost === true) continue;
      if (finding.severity !== 'error') this.#say(finding);
      else if (kind?.retry === 'auto') continue;
      else if (first !== null) this.#log.error(finding.message, fieldsOf(finding));
      else first = asError(this.#plugins, finding);
    }
    if (first !== null) throw first;
  }

  #say(finding: Finding): void {
    const text = finding.why === undefined ? finding.message : `${finding.message} ${finding.why}`;
    const isSaid = this.#said.has(text);
    this.#said.add(text);
    this.#log[isSaid ? 'debug' : finding.severity === 'warning' ? 'warn' : 'info'](text, fieldsOf(finding));
  }
}

function fieldsOf({ code, remedy, table }: Finding): { code: string; remedy: string; table?: string } {
  return { code, remedy, ...(table === undefined ? {} : { table }) };
}

/** What keeps format and sink from taking a table; null: nothing that they know of. */
export async function refusalOf(plugins: Plugins, sink: Sink, table: TableOutline, signal: AbortSignal): Promise<SluiceError | null> {
  const findings = [...formatFindings(plugins, [table]), ...(await sink.preflight([sink.destination(table)], signal))];
  const found = findings.find(({ severity, code }) => severity === 'error' && kindOf(plugins, code)?.retry !== 'auto');
  return found === undefined ? null : asError(plugins, { ...found, table: tableLabel(table) });
}

function asError(plugins: Plugins, { code, message, remedy, table }: Finding): SluiceError {
  return new SluiceError(
    { retry: 'manual', exit: 3, ...kindOf(plugins, code), code, cause: message, remedy },
    {},
    table === undefined ? {} : { table },
  );
}

function kindOf({ source, format, sink }: Plugins, code: string): ErrorKind | undefined {
  // Whoever gets a secret for a plug-in has errors of its own.
  return [...source.plugin.errors, ...(format.plugin.errors ?? []), ...sink.plugin.errors, ...credentialErrors].find((each) => each.code === code);
}
