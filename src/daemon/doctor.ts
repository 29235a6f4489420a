import type { ConnectorDefinition } from '../config/load.ts';
import type { Logger } from '../plugin/context.ts';
import { SluiceError } from '../plugin/error.ts';
import { errorFinding } from '../plugin/finding.ts';
import type { Runtime } from '../plugin/runtime.ts';
import { STATE_RECOVERING } from '../state/errors.ts';
import { type DetachedPorts, detachedPlugins } from './detached.ts';
import { DOCTOR_STOPPED, DOCTOR_TIMEOUT, DOCTOR_WAITS } from './doctor-errors.ts';
import { asSluiceError } from './failure.ts';
import { type Part, type PartFinding, preflight } from './preflight.ts';
import type { StoredConnector, StoredView } from './stored-view.ts';

/** For the source, and again for the sink. Longer than any single question of a plug-in may take. */
const LIMIT_MS = 90_000;

/** A remedy that was carried out. */
export interface Applied {
  readonly code: string;
  readonly statement: string;
  /** Why it could not be; left out: it was. */
  readonly failed?: string;
}

/** What was found of a connector. */
export interface ConnectorReport {
  readonly connector: string;
  readonly source: string;
  readonly sink: string;
  /** Of the connector in the daemon that runs it; null: none does. */
  readonly state: string | null;
  /** The worst first. */
  readonly findings: readonly PartFinding[];
  readonly applied: readonly Applied[];
}

export interface DoctorPorts {
  readonly runtime: Runtime;
  readonly log: Logger;
  readonly view: StoredView;
  /** Carries out the remedies that are harmless, and looks again. */
  readonly fix: boolean;
}

/** Examines a connector as its preflight does. Changes nothing, but with `fix` what findings declare harmless. Throws nothing. */
export async function examine(definition: ConnectorDefinition, ports: DoctorPorts): Promise<ConnectorReport> {
  const stored = ports.view.connectors[definition.name] ?? null;
  let findings = await look(definition, ports, stored);
  const applied = ports.fix ? await applyFixes(findings) : [];
  if (applied.length > 0) findings = await look(definition, ports, stored);
  const { name, source, sink } = definition;
  return {
    connector: name,
    source: source.plugin.type,
    sink: sink.plugin.type,
    state: stored?.status?.state ?? null,
    findings: [...findings].sort((a, b) => RANK[a.severity] - RANK[b.severity]),
    applied,
  };
}

const RANK = { error: 0, warning: 1, info: 2 } as const;

async function look(
  definition: ConnectorDefinition,
  { runtime, log, view }: DoctorPorts,
  about: StoredConnector | null,
): Promise<readonly PartFinding[]> {
  const signal = AbortSignal.timeout(LIMIT_MS);
  let ofSink = signal;
  const sinkSignal = (): AbortSignal => (ofSink = AbortSignal.timeout(LIMIT_MS));
  const detached: DetachedPorts = {
    runtime,
    log,
    instance: view.instance,
    previousShutdown: 'clean',
    savePlace: nothingIsSaved,
    intent: { get: () => Promise.resolve(about?.intent ?? null), set: nothingIsSaved },
  };
  const failed = (part: Part, error: unknown): readonly PartFinding[] => {
    const isLate = (part === 'sink' ? ofSink : signal).aborted && !(error instanceof SluiceError);
    const told = isLate ? new SluiceError(DOCTOR_TIMEOUT, { part, seconds: LIMIT_MS / 1000 }) : asSluiceError(error);
    return [{ ...errorFinding(told), part }];
  };
  const { source, sink } = detachedPlugins(definition, detached, signal);
  try {
    const stored = about?.stored ?? null;
    const { findings } = await preflight(definition, { source, sink }, signal, { failed, sinkSignal, ...(stored === null ? {} : { stored }) });
    return [...stateFindings(definition.name, about), ...findings];
  } finally {
    await Promise.allSettled([source.close(), sink.close()]);
  }
}

function nothingIsSaved(): Promise<never> {
  return Promise.reject(new Error('nothing is saved here'));
}

function stateFindings(connector: string, about: StoredConnector | null): readonly PartFinding[] {
  const errors: SluiceError[] = [];
  if (about?.isLost === true) errors.push(new SluiceError(STATE_RECOVERING, { connector }));
  const error = about?.status?.error;
  if (error !== undefined) errors.push(new SluiceError(about?.status?.state === 'failed' ? DOCTOR_STOPPED : DOCTOR_WAITS, { ...error, connector }));
  return errors.map((each) => ({ ...errorFinding(each), part: 'state' }));
}

/** One after the other. One that fails keeps no other from being tried. */
async function applyFixes(findings: readonly PartFinding[]): Promise<readonly Applied[]> {
  const applied: Applied[] = [];
  for (const { code, fix } of findings) {
    if (fix === undefined) continue;
    const { statement } = fix;
    try {
      await fix.apply(AbortSignal.timeout(LIMIT_MS));
      applied.push({ code, statement });
    } catch (error) {
      applied.push({ code, statement, failed: asSluiceError(error).message });
    }
  }
  return applied;
}
