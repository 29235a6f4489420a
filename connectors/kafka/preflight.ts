import { type ErrorKind, type ErrorParameters, errorFinding, type Finding, findingOf, SluiceError } from '#plugin';
import type { KafkaConfig } from './config.ts';
import type { TopicInfo } from './drivers/driver.ts';
import { deletesOld, maxMessageSmall, minInsyncOne, minInsyncTooHigh, replicationOne, rightsMissing } from './errors.ts';
import { settingsUnseen, uncleanElection, underReplicated } from './findings.ts';

/** What must hold of a topic, and what a confirmation is worth there. `settings` null: they may not be read. */
export function findingsOfTopic(
  config: KafkaConfig,
  connector: string,
  info: TopicInfo,
  settings: ReadonlyMap<string, string> | null,
): readonly Finding[] {
  const brokers = config.brokers.join(',');
  return [
    ...rights(info, connector, brokers),
    ...worth(info, settings, brokers),
    ...elections(info, settings, brokers),
    ...limits(config, info, settings),
  ];
}

function rights({ name: topic, rights: may }: TopicInfo, connector: string, brokers: string): Finding[] {
  if (may === null) return [];
  const missing = [
    ...(may.write ? [] : ['Write']),
    // Without it what stands there after a crash cannot be recognised, and would be written twice (I4).
    ...(may.read ? [] : ['Read']),
  ];
  return missing.map((operation) => finding('error', rightsMissing, { topic, operation, connector, brokers }));
}

function worth({ name: topic, partitions }: TopicInfo, settings: ReadonlyMap<string, string> | null, brokers: string): Finding[] {
  const replicas = Math.min(...partitions.map((partition) => partition.replicas));
  const minimum = numberOf(settings, 'min.insync.replicas');
  const findings: Finding[] = [];
  if (replicas === 1) findings.push(finding('info', replicationOne, { topic }));
  else if (minimum === 1) findings.push(finding('warning', minInsyncOne, { topic, replicas, brokers }));
  if (minimum !== null && minimum > replicas)
    findings.push(finding('error', minInsyncTooHigh, { topic, replicas, minimum, brokers, most: Math.max(1, replicas - 1) }));
  const policy = settings?.get('cleanup.policy') ?? '';
  const retentions = ['retention.ms', 'retention.bytes'].flatMap((name) => {
    const value = numberOf(settings, name);
    return value === null || value < 0 ? [] : [`${name} ${value}`];
  });
  if (policy.includes('delete') && retentions.length > 0)
    findings.push(finding('info', deletesOld, { topic, brokers, limits: retentions.join(', ') }));
  return findings;
}

/** What may become of what was confirmed. */
function elections({ name: topic, partitions }: TopicInfo, settings: ReadonlyMap<string, string> | null, brokers: string): Finding[] {
  const findings: Finding[] = [];
  if (settings === null) findings.push(findingOf(settingsUnseen, { topic, brokers }));
  const isReplicated = partitions.some(({ replicas }) => replicas > 1);
  if (isReplicated && settings?.get('unclean.leader.election.enable') === 'true') findings.push(findingOf(uncleanElection, { topic, brokers }));
  const [worst, ...others] = partitions.filter(({ inSync, replicas }) => inSync < replicas).sort((a, b) => a.inSync - b.inSync);
  if (worst !== undefined) {
    const { inSync, replicas } = worst;
    findings.push(findingOf(underReplicated, { topic, count: others.length + 1, partitions: partitions.length, inSync, replicas, brokers }));
  }
  return findings;
}

function limits(config: KafkaConfig, { name: topic }: TopicInfo, settings: ReadonlyMap<string, string> | null): Finding[] {
  const limit = numberOf(settings, 'max.message.bytes');
  if (limit === null || limit >= config.request.bytes) return [];
  return [finding('info', maxMessageSmall, { topic, limit, bytes: config.request.bytes, brokers: config.brokers.join(',') })];
}

/** What holds for many topics is said once: with the first of them, and how many more there are. Errors are said one by one. */
export function gathered(findings: readonly Finding[]): readonly Finding[] {
  const byCode = new Map<string, Finding[]>();
  for (const each of findings) byCode.set(each.code, [...(byCode.get(each.code) ?? []), each]);
  return [...byCode.values()].flatMap((alike) => {
    const [first] = alike as [Finding];
    if (first.severity === 'error' || alike.length === 1) return alike;
    return [{ ...first, message: `${first.message} The same goes for ${alike.length - 1} more.` }];
  });
}

export function numberOf(settings: ReadonlyMap<string, string> | null, name: string): number | null {
  const value = Number(settings?.get(name) ?? Number.NaN);
  return Number.isFinite(value) ? value : null;
}

/** A finding in the words of an error kind. */
function finding(severity: Finding['severity'], kind: ErrorKind, parameters: ErrorParameters): Finding {
  return errorFinding(new SluiceError(kind, parameters), severity);
}
