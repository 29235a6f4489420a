import type { ConnectorDefinition } from '../config/load.ts';
import type { Logger } from '../plugin/context.ts';
import { type ErrorKind, SluiceError } from '../plugin/error.ts';
import type { Finding } from '../plugin/finding.ts';
import type { TableOutline } from '../plugin/outline.ts';
import type { Sink } from '../plugin/sink.ts';
import { tableLabel } from '../record/table.ts';
import { unusedPatterns } from './unused-patterns.ts';

type Plugins = Pick<ConnectorDefinition, 'source' | 'format' | 'sink'>;

/** Logs the findings of the preflight; throws the first error. `isLost`: that the stored position is lost is known, and no error any more. */
export function judge(plugins: Plugins, log: Logger, findings: readonly Finding[], isLost = false): void {
  let first: SluiceError | null = null;
  for (const finding of findings) {
    const fields = { code: finding.code, remedy: finding.remedy, ...(finding.table === undefined ? {} : { table: finding.table }) };
    if (isLost && kindOf(plugins, finding.code)?.positionLost === true) continue;
    if (finding.severity !== 'error') log[finding.severity === 'warning' ? 'warn' : 'info'](finding.message, fields);
    else if (first !== null) log.error(finding.message, fields);
    else first = asError(plugins, finding);
  }
  if (first !== null) throw first;
}

/** What a connector's file asks of the captured tables, and they do not have. */
export function tableFindings(definition: ConnectorDefinition, tables: readonly TableOutline[]): readonly Finding[] {
  return [...formatFindings(definition, tables), ...unusedPatterns(definition, tables)];
}

function formatFindings({ format: { plugin, config } }: Plugins, tables: readonly TableOutline[]): readonly Finding[] {
  return plugin.preflight?.(config, tables) ?? [];
}

/** What keeps format and sink from taking a table; null: nothing that they know of. */
export async function refusalOf(plugins: Plugins, sink: Sink, table: TableOutline, signal: AbortSignal): Promise<SluiceError | null> {
  const findings = [...formatFindings(plugins, [table]), ...(await sink.preflight([sink.destination(table)], signal))];
  const found = findings.find(({ severity }) => severity === 'error');
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
  return [...source.plugin.errors, ...(format.plugin.errors ?? []), ...sink.plugin.errors].find((each) => each.code === code);
}
