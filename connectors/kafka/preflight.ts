import { type ErrorKind, type ErrorParameters, type Finding, SluiceError } from '#plugin';
import type { KafkaConfig } from './config.ts';
import type { TopicInfo } from './drivers/driver.ts';
import { deletesOld, maxMessageSmall, minInsyncOne, minInsyncTooHigh, replicationOne, rightsMissing } from './errors.ts';

/** What must hold of a topic, and what a confirmation is worth there. `settings` null: they may not be read. */
export function findingsOfTopic(
  config: KafkaConfig,
  connector: string,
  info: TopicInfo,
  settings: ReadonlyMap<string, string> | null,
): readonly Finding[] {
  return [...rights(info, connector), ...worth(info, settings), ...limits(config, info, settings)];
}

function rights({ name: topic, rights: may }: TopicInfo, connector: string): Finding[] {
  if (may === null) return [];
  const missing = [
    ...(may.write ? [] : ['Write']),
    // Without it what stands there after a crash cannot be recognised, and would be written twice (I4).
    ...(may.read ? [] : ['Read']),
  ];
  return missing.map((operation) => finding('error', rightsMissing, { topic, operation, connector }));
}

function worth({ name: topic, partitions }: TopicInfo, settings: ReadonlyMap<string, string> | null): Finding[] {
  const replicas = Math.min(...partitions.map((partition) => partition.replicas));
  const minimum = numberOf(settings, 'min.insync.replicas');
  const findings: Finding[] = [];
  if (replicas === 1) findings.push(finding('info', replicationOne, { topic }));
  else if (minimum === 1) findings.push(finding('warning', minInsyncOne, { topic, replicas }));
  if (minimum !== null && minimum > replicas) findings.push(finding('error', minInsyncTooHigh, { topic, replicas, minimum }));
  const policy = settings?.get('cleanup.policy') ?? '';
  const retentions = ['retention.ms', 'retention.bytes'].flatMap((name) => {
    const value = numberOf(settings, name);
    return value === null || value < 0 ? [] : [`${name} ${value}`];
  });
  if (policy.includes('delete') && retentions.length > 0) findings.push(finding('info', deletesOld, { topic, limits: retentions.join(', ') }));
  return findings;
}

function limits(config: KafkaConfig, { name: topic }: TopicInfo, settings: ReadonlyMap<string, string> | null): Finding[] {
  const limit = numberOf(settings, 'max.message.bytes');
  if (limit === null || limit >= config.request.bytes) return [];
  return [finding('info', maxMessageSmall, { topic, limit, bytes: config.request.bytes })];
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
  const { code, message, remedy } = new SluiceError(kind, parameters);
  return { severity, code, message, remedy };
}
