import { type Applied, type ConnectorReport, examine } from '../daemon/doctor.ts';
import { DOCTOR_STATE_UNSEEN } from '../daemon/doctor-findings.ts';
import { findConnector } from '../daemon/offsets.ts';
import type { PartFinding } from '../daemon/preflight.ts';
import { findingOf } from '../plugin/finding.ts';
import type { Registry } from '../plugin/registry.ts';
import { seeState } from './doctor-state.ts';
import { type Output, print } from './output.ts';
import { setUp } from './setup.ts';

export interface DoctorOptions {
  readonly connector?: string;
  readonly fix: boolean;
}

/** `sluice doctor`: connects to source and sink of each connector and says all that is found. Returns 0, or 3 if there are errors. Throws a SluiceError. */
export async function doctorCommand(
  paths: readonly string[],
  { connector, fix }: DoctorOptions,
  output: Output,
  registry: Registry,
): Promise<number> {
  const { configuration, log, redaction, runtime } = await setUp(paths, registry);
  const { connectors: all, daemon } = configuration;
  const connectors = connector === undefined ? all : [findConnector(all, connector)];
  const names = connectors.map(({ name }) => name);
  const { view, missed } = await seeState(daemon.dataDir, names);
  const unseen: readonly PartFinding[] = missed === null ? [] : [{ ...findingOf(DOCTOR_STATE_UNSEEN, missed), part: 'state' }];
  const ports = { runtime, view, fix };
  const reports = await Promise.all(
    connectors.map(async (definition) => {
      const report = await examine(definition, { ...ports, log: log.child({ connector: definition.name }) });
      return { ...report, findings: [...report.findings, ...unseen] };
    }),
  );
  const answers = reports.map((report) => answerOf(report, (text) => redaction.redact(text)));
  const counts = countsOf(reports);
  print(output, { ok: counts.error === 0, counts, connectors: answers }, `${answers.map(reportText).join('\n')}\n${sumText(counts)}`);
  return counts.error === 0 ? 0 : 3;
}

type Counts = Record<PartFinding['severity'], number>;

function countsOf(reports: readonly ConnectorReport[]): Counts {
  const counts = { error: 0, warning: 0, info: 0 };
  for (const { findings } of reports) for (const { severity } of findings) counts[severity]++;
  return counts;
}

interface FindingAnswer {
  readonly part: string;
  readonly severity: string;
  readonly code: string;
  readonly table?: string;
  readonly message: string;
  readonly why?: string;
  readonly remedy: string;
  /** What --fix carries out; left out: nothing. */
  readonly fix?: string;
}

type Answer = Omit<ConnectorReport, 'findings'> & { readonly findings: readonly FindingAnswer[] };

/** Without a secret, whatever a server has said (I12). */
function answerOf({ findings, applied, ...report }: ConnectorReport, redact: (text: string) => string): Answer {
  return {
    ...report,
    findings: findings.map(({ part, severity, code, table, message, why, remedy, fix }) => ({
      part,
      severity,
      code,
      ...(table === undefined ? {} : { table: redact(table) }),
      message: redact(message),
      ...(why === undefined ? {} : { why: redact(why) }),
      remedy: redact(remedy),
      ...(fix === undefined ? {} : { fix: redact(fix.statement) }),
    })),
    applied: applied.map(({ code, statement, failed }) => ({
      code,
      statement: redact(statement),
      ...(failed === undefined ? {} : { failed: redact(failed) }),
    })),
  };
}

function reportText({ connector, source, sink, state, findings, applied }: Answer): string {
  const head = `${connector}: ${source} to ${sink}${state === null ? '' : `, ${state}`}\n`;
  const nothing = findings.length === 0 ? '  nothing is wrong\n' : '';
  return [head, ...applied.map(appliedText), nothing, ...findings.map(findingText)].join('');
}

function appliedText({ code, statement, failed }: Applied): string {
  return failed === undefined
    ? `  fixed   ${code}\n    did:    ${statement}\n`
    : `  NOT fixed ${code}\n    tried:  ${statement}\n    failed: ${failed}\n`;
}

function findingText({ severity, code, part, table, message, why, remedy, fix }: FindingAnswer): string {
  const about = table === undefined ? part : `${part}, ${table}`;
  const lines = [
    `  ${severity.padEnd(7)} ${code} (${about})`,
    `    ${message}`,
    ...(why === undefined ? [] : [`    why:    ${why}`]),
    `    remedy: ${remedy}`,
    ...(fix === undefined ? [] : ['    --fix does this.']),
  ];
  return `${lines.join('\n')}\n`;
}

function sumText({ error, warning, info }: Counts): string {
  const of = (count: number, noun: string): string => `${count === 0 ? 'no' : count} ${noun}${count === 1 ? '' : 's'}`;
  return `${of(error, 'error')}, ${of(warning, 'warning')}, ${of(info, 'note')}\n`;
}
