import type { FindingKind } from '../../src/plugin/finding.ts';
import { GENERATED, plainText } from './documentation.ts';

export interface FindingGroup {
  readonly title: string;
  readonly kinds: readonly FindingKind[];
}

const INTRODUCTION = `What \`sluice doctor\` reports, and the preflight of each start logs, beside [errors](errors.md). Codes are stable; names in braces are filled in.

- **error**: the connector does not start, or does not go on. \`sluice doctor\` ends with 3.
- **warning**: it works, and something may be lost, refused or stopped that need not be.
- **info**: worth knowing.

\`sluice doctor --fix\` carries out a remedy only where it is harmless: where it changes nothing that another reader or writer of the server goes by, refuses nobody a statement, gives nothing away and
can be undone by one statement. What it does stands in the remedy, word for word, and it looks again afterwards. Today that is three:

- SLUICE_PG_PUBLICATION_LIMITED: a publication that has the name which Sluice gives its own, belongs to its role and holds tables of its role is made to publish truncates.
- SLUICE_MYSQL_SETTING of \`binlog_row_metadata\`: the log is made to tell the names of columns, where the account may set it.
- SLUICE_NATS_SUBJECTS of a stream with \`"exclusive": true\`: it is made to listen to the subjects of its connector.

Everything else (replica identities, rights, slots, sizes and times of the server, what a table or topic holds) takes a decision, and stays a statement to copy. The commands \`kafka-configs.sh\`,
\`kafka-acls.sh\` and \`nats\` are those of a Kafka distribution and of NATS; psql, mysql and mariadb run the SQL, each statement by itself.`;

/** docs/findings.md. Throws if a code stands for two kinds. */
export function findingsPage(groups: readonly FindingGroup[]): string {
  const seen = new Map<string, FindingKind>();
  for (const kind of groups.flatMap(({ kinds }) => kinds)) {
    const other = seen.get(kind.code);
    if (other !== undefined && other !== kind) throw new Error(`two kinds of findings have the code ${kind.code}`);
    seen.set(kind.code, kind);
  }
  return [
    '# Findings',
    GENERATED,
    INTRODUCTION,
    ...groups.flatMap(({ title, kinds }) => [`## ${title}`, ...[...kinds].sort((a, b) => (a.code < b.code ? -1 : 1)).map(entry)]),
  ]
    .join('\n\n')
    .concat('\n');
}

function entry({ code, severity, cause, why, remedy }: FindingKind): string {
  return [
    `### ${code}`,
    '',
    `- Severity: ${severity}`,
    `- Cause: ${plainText(cause)}`,
    `- Why: ${plainText(why)}`,
    `- Remedy: ${plainText(remedy)}`,
  ].join('\n');
}
