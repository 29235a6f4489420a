import type { ConnectorDefinition } from '../config/load.ts';
import type { Logger } from '../plugin/context.ts';
import { type ErrorKind, SluiceError } from '../plugin/error.ts';
import type { Finding } from '../plugin/finding.ts';

/** Logs the findings of the preflight; throws the first error. `isLost`: that the stored position is lost is known, and no error any more. */
export function judge(
  { source, sink }: Pick<ConnectorDefinition, 'source' | 'sink'>,
  log: Logger,
  findings: readonly Finding[],
  isLost = false,
): void {
  const kinds: readonly ErrorKind[] = [...source.plugin.errors, ...sink.plugin.errors];
  let first: SluiceError | null = null;
  for (const finding of findings) {
    const fields = { code: finding.code, remedy: finding.remedy, ...(finding.table === undefined ? {} : { table: finding.table }) };
    const kind = kinds.find(({ code }) => code === finding.code);
    if (isLost && kind?.positionLost === true) continue;
    if (finding.severity !== 'error') log[finding.severity === 'warning' ? 'warn' : 'info'](finding.message, fields);
    else if (first !== null) log.error(finding.message, fields);
    else {
      first = new SluiceError(
        { retry: 'manual', exit: 3, ...kind, code: finding.code, cause: finding.message, remedy: finding.remedy },
        {},
        finding.table === undefined ? {} : { table: finding.table },
      );
    }
  }
  if (first !== null) throw first;
}
