/** Answers that say no, with the codes of Confluent's API: clients act on them. */

export class RegistryError extends Error {
  /** HTTP status. */
  readonly status: number;
  /** Confluent's `error_code`. */
  readonly code: number;

  constructor(code: number, message: string, options?: { readonly cause: unknown }) {
    super(message, options);
    this.name = 'RegistryError';
    this.code = code;
    this.status = code >= 10_000 ? Math.floor(code / 100) : code;
  }
}

/** Names of a client's own stand in messages, and should be no longer than a line. */
function shown(name: string): string {
  return JSON.stringify(name.length > 200 ? `${name.slice(0, 200)}…` : name);
}

export function subjectNotFound(subject: string): RegistryError {
  return new RegistryError(40401, `Subject ${shown(subject)} not found.`);
}

export function versionNotFound(version: string | number): RegistryError {
  return new RegistryError(40402, `Version ${version} not found.`);
}

export function schemaNotFound(what = 'The schema'): RegistryError {
  return new RegistryError(40403, `${what} not found.`);
}

export function subjectIsDeleted(subject: string): RegistryError {
  return new RegistryError(40404, `Subject ${shown(subject)} was soft deleted. Delete it for good with permanent=true.`);
}

export function subjectNotDeleted(subject: string): RegistryError {
  return new RegistryError(40405, `Subject ${shown(subject)} has versions that are not soft deleted: delete it without permanent=true first.`);
}

export function versionIsDeleted(subject: string, version: number): RegistryError {
  return new RegistryError(40406, `Version ${version} of subject ${shown(subject)} was soft deleted. Delete it for good with permanent=true.`);
}

export function versionNotDeleted(subject: string, version: number): RegistryError {
  return new RegistryError(40407, `Version ${version} of subject ${shown(subject)} is not soft deleted: delete it without permanent=true first.`);
}

export function levelNotConfigured(subject: string): RegistryError {
  return new RegistryError(40408, `Subject ${shown(subject)} has no compatibility level of its own.`);
}

export function incompatible(subject: string, details: readonly string[]): RegistryError {
  const some = details.slice(0, 20).join(' ');
  return new RegistryError(409, `The schema is incompatible with an earlier one of subject ${shown(subject)}: ${some}`);
}

export function invalidSchema(reason: string): RegistryError {
  return new RegistryError(42201, reason);
}

export function invalidVersion(version: string): RegistryError {
  return new RegistryError(42202, `${shown(version)} is no version: give a number from 1 to 2147483647, or "latest".`);
}

export function invalidLevel(levels: readonly string[]): RegistryError {
  return new RegistryError(42203, `The compatibility level is one of ${levels.join(', ')}.`);
}

export function notPermitted(reason: string): RegistryError {
  return new RegistryError(42205, reason);
}

export function invalidSubject(): RegistryError {
  return new RegistryError(42208, 'A subject is 1 to 500 characters long and holds no control characters.');
}

export function storeFailed(cause: unknown): RegistryError {
  return new RegistryError(50001, 'The registry cannot be read or written now. The log of the daemon says why.', { cause });
}
