import { DiscardPolicy, RetentionPolicy, StorageType, type StreamConfig, type StreamInfo } from '@nats-io/jetstream';
import {
  byteText,
  clockGap,
  type ErrorKind,
  type ErrorParameters,
  errorFinding,
  type Finding,
  findingOf,
  type SinkContext,
  SluiceError,
} from '#plugin';
import { isLocalHost, type NatsConfig, parseAddress } from './config.ts';
import { discardsOld, memoryStorage, oneReplica, removesRead, streamMissing, streamUnfit, subjectsUncovered, versionOld } from './errors.ts';
import { clockSkew, nearlyFull, notEncrypted, replicaBehind, shortDupeWindow, syncUnseen } from './findings.ts';
import { covers, subjectsOf } from './subject.ts';

const NANOS = 1e9;
/** Of a limit. */
const FULL_PERCENT = 90;

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
  return [
    ...findings,
    ...unfit(stream, info.config),
    ...coverage(stream, subjects, info.config),
    ...worth(stream, info.config),
    ...windows(config, info.config),
    ...room(stream, info),
    ...replicas(stream, info),
  ];
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
  if (config.num_replicas > 1 && config.storage === StorageType.File) findings.push(findingOf(syncUnseen, { stream, replicas: config.num_replicas }));
  return findings;
}

/** What is sent again after a fault comes within the time that a connection is given up after, and one to be made in. */
function windows({ stream, publishTimeout }: NatsConfig, { duplicate_window }: StreamConfig): Finding[] {
  const needed = Math.ceil((2 * publishTimeout) / 1000);
  const seconds = (duplicate_window ?? 0) / NANOS;
  return seconds < needed ? [findingOf(shortDupeWindow, { stream, seconds, needed })] : [];
}

/** Of a stream that takes nothing when it is full. */
function room(stream: string, { config, state }: StreamInfo): Finding[] {
  if (config.discard !== DiscardPolicy.New) return [];
  const limits: readonly [used: number, limit: number, text: string, option: string][] = [
    [state.bytes, config.max_bytes, `max_bytes ${byteText(config.max_bytes)}`, `--max-bytes ${2 * config.max_bytes}`],
    [state.messages, config.max_msgs, `max_msgs ${config.max_msgs}`, `--max-msgs ${2 * config.max_msgs}`],
  ];
  return limits.flatMap(([used, most, limit, option]) => {
    const percent = most > 0 ? Math.floor((100 * used) / most) : 0;
    return percent < FULL_PERCENT ? [] : [findingOf(nearlyFull, { stream, percent, limit, option })];
  });
}

function replicas(stream: string, { config, cluster }: StreamInfo): Finding[] {
  const late = (cluster?.replicas ?? []).filter(({ current, offline }) => !current || offline === true);
  if (late.length === 0) return [];
  const names = late.map(({ name }) => name).join(', ');
  return [findingOf(replicaBehind, { stream, replicas: config.num_replicas, behind: late.length, are: late.length === 1 ? 'is' : 'are', names })];
}

/** Of the connection, where it leaves this machine. */
export function tlsFindings(config: NatsConfig, isEncrypted: boolean): Finding[] {
  const away = config.servers.find((server) => !isLocalHost(parseAddress(server)?.host ?? ''));
  return isEncrypted || away === undefined ? [] : [findingOf(notEncrypted, { server: away })];
}

/** @param told the server's time as it stands in an answer; the rest in microseconds since the epoch, by our clock */
export function clockFindings(told: string | undefined, asked: number, answered: number): Finding[] {
  const server = Date.parse(told ?? '') * 1000;
  const gap = Number.isNaN(server) ? null : clockGap(server, asked, answered);
  return gap === null ? [] : [findingOf(clockSkew, gap)];
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
  return errorFinding(new SluiceError(kind, parameters), severity);
}
