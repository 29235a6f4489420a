import { DiscardPolicy, RetentionPolicy, StorageType, type StreamConfig, type StreamInfo } from '@nats-io/jetstream';
import { type ErrorKind, type ErrorParameters, type Finding, type SinkContext, SluiceError } from '#plugin';
import type { NatsConfig } from './config.ts';
import { discardsOld, memoryStorage, oneReplica, removesRead, streamMissing, streamUnfit, subjectsUncovered, versionOld } from './errors.ts';
import { covers, subjectsOf } from './subject.ts';

/** What must hold of the server and the stream, and what a confirmation is worth there. `info` null: there is no such stream. */
export function findingsOf(config: NatsConfig, context: SinkContext, version: string, info: StreamInfo | null): readonly Finding[] {
  const findings: Finding[] = [];
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major < 2 || (major === 2 && minor < 10)) findings.push(finding('warning', versionOld, { version }));
  const subjects = subjectsOf(config, context);
  const { stream } = config;
  if (info === null) {
    if (!config.createStream) findings.push(finding('error', streamMissing, { stream, subjects: subjects.join(','), replicas: config.replicas }));
    return findings;
  }
  return [...findings, ...unfit(stream, info.config), ...coverage(stream, subjects, info.config), ...worth(stream, info.config)];
}

/** Whether the stream listens to everything that the template can make. */
export function listensTo(config: StreamConfig, subjects: readonly string[]): boolean {
  return subjects.every((wanted) => (config.subjects ?? []).some((subject) => covers(subject, wanted)));
}

function coverage(stream: string, subjects: readonly string[], config: StreamConfig): Finding[] {
  if (listensTo(config, subjects) || config.mirror !== undefined) return [];
  return [finding('error', subjectsUncovered, uncovered(stream, subjects, config))];
}

/** What the stream does not listen to, and all that it should. */
export function uncovered(stream: string, subjects: readonly string[], config: StreamConfig): ErrorParameters {
  const has = config.subjects ?? [];
  const missing = subjects.filter((wanted) => !has.some((subject) => covers(subject, wanted)));
  return { stream, subjects: missing.join(','), all: [...has, ...missing].join(',') };
}

const NO_ACK = 'it does not acknowledge what it stores';

/** For a stream that was changed while it is written to: nothing would ever be confirmed any more. */
export function acknowledgesNothing(stream: string, config: StreamConfig): SluiceError | null {
  return config.no_ack === true ? new SluiceError(streamUnfit, { stream, detail: NO_ACK, remedy: `nats stream edit ${stream} --ack` }) : null;
}

function unfit(stream: string, config: StreamConfig): Finding[] {
  const wrong: [boolean, string, string][] = [
    [config.mirror !== undefined, 'it is a mirror', 'Name the stream that it mirrors.'],
    [config.sealed, 'it is sealed', 'Use another stream: a sealed one can never be written to again.'],
    [config.no_ack === true, NO_ACK, `nats stream edit ${stream} --ack`],
  ];
  return wrong.filter(([is]) => is).map(([, detail, remedy]) => finding('error', streamUnfit, { stream, detail, remedy }));
}

function worth(stream: string, config: StreamConfig): Finding[] {
  const findings: Finding[] = [];
  if (config.storage === StorageType.Memory) findings.push(finding('warning', memoryStorage, { stream }));
  const limits = limitsOf(config);
  if (limits !== '') findings.push(finding('warning', discardsOld, { stream, limits }));
  if (config.retention !== RetentionPolicy.Limits) findings.push(finding('warning', removesRead, { stream, retention: config.retention }));
  if (config.num_replicas === 1 && config.storage === StorageType.File) findings.push(finding('info', oneReplica, { stream }));
  return findings;
}

/** The limits at which messages disappear unread. */
function limitsOf(config: StreamConfig): string {
  const limits: string[] = [];
  if (config.max_age > 0) limits.push(`max_age ${config.max_age / 1e9} s`);
  if (config.max_msgs_per_subject > 0 && !(config.discard === DiscardPolicy.New && config.discard_new_per_subject)) {
    limits.push(`max_msgs_per_subject ${config.max_msgs_per_subject}`);
  }
  if (config.discard === DiscardPolicy.Old) {
    if (config.max_msgs > 0) limits.push(`max_msgs ${config.max_msgs}`);
    if (config.max_bytes > 0) limits.push(`max_bytes ${config.max_bytes}`);
  }
  return limits.join(', ');
}

/** A finding in the words of an error kind. */
function finding(severity: Finding['severity'], kind: ErrorKind, parameters: ErrorParameters): Finding {
  const { code, message, remedy } = new SluiceError(kind, parameters);
  return { severity, code, message, remedy };
}
