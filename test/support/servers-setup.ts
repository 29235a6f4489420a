/**
 * Before the integration and e2e tests: finds (or provisions) every server once, so that the tests only start them. After them: says which
 * servers the run was on and which it could not have. With `CI=true` a missing one fails the run.
 */
import type { TestProject } from 'vitest/node';
import {
  type ExternalServer,
  resolveKafka,
  resolveMysql,
  resolveNats,
  resolvePostgres,
  resolveRegistry,
  type ServerBinary,
} from '../servers/resolve.ts';
import { KAFKA_VERSIONS, MYSQL_VERSIONS, POSTGRES_MAJORS } from '../servers/versions.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Server (`postgres-17`, `nats`, `kafka-4`) → why it cannot be had. */
    missingServers: Record<string, string>;
  }
}

interface Outcome {
  name: string;
  found: string | null;
  missing: string | null;
}

// The two projects share the answer, and the summary is printed once.
let outcomes: Promise<Outcome[]> | null = null;
let printed = false;

export async function setup(project: TestProject): Promise<void> {
  outcomes ??= Promise.all([
    ...POSTGRES_MAJORS.map((major) => attempt(`postgres-${major}`, () => resolvePostgres(major))),
    attempt('nats', () => resolveNats()),
    ...MYSQL_VERSIONS.map((version) => attempt(version, () => resolveMysql(version))),
    ...KAFKA_VERSIONS.map((version) => attempt(`kafka-${version}`, () => resolveKafka(version))),
    attempt('registry', resolveRegistry),
  ]);
  const missing = (await outcomes).filter((outcome) => outcome.missing !== null);
  if (process.env.CI === 'true' && missing.length > 0) {
    throw new Error(`CI=true and a server is missing:\n${missing.map((outcome) => outcome.missing).join('\n')}`);
  }
  project.provide('missingServers', Object.fromEntries(missing.map((outcome) => [outcome.name, outcome.missing as string])));
}

export async function teardown(): Promise<void> {
  if (printed) return;
  printed = true;
  const lines = ((await outcomes) ?? []).map(
    ({ name, found, missing }) => `  ${name.padEnd(13)} ${found ?? `SKIPPED, what needs it was not tested: ${missing}`}`,
  );
  process.stdout.write(`\n Servers\n${lines.join('\n')}\n\n`);
}

async function attempt(name: string, resolve: () => Promise<ExternalServer | ServerBinary>): Promise<Outcome> {
  try {
    const server = await resolve();
    return { name, found: `${server.kind === 'binary' ? server.version : 'as given'} (${server.origin})`, missing: null };
  } catch (error) {
    return { name, found: null, missing: (error as Error).message };
  }
}
