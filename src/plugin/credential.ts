import { defineError } from './error.ts';

/** A secret of a configuration that may be short-lived: the secret itself, or where it is got from, anew for each connection. */
export type Credential = string | { readonly file: string } | CredentialCommand;

export interface CredentialCommand {
  /** Program and arguments. No shell reads them. */
  readonly command: readonly string[];
  /** Milliseconds. */
  readonly timeout: number;
}

/** Gets secrets. What it gave is hidden in every log and answer from then on (I12). */
export interface Credentials {
  /**
   * The secret as it is now: of a file its content, of a command the line that it prints. Rejects with the signal's reason when it is aborted, else with SLUICE_CREDENTIAL_PROGRAM,
   * SLUICE_CREDENTIAL_COMMAND, SLUICE_CREDENTIAL_FILE.
   */
  get(credential: Credential, signal?: AbortSignal): Promise<string>;
}

/** It is no more there than any other wrong path: it stops at the start, and is waited for where it once was there. */
export const credentialProgram = defineError({
  code: 'SLUICE_CREDENTIAL_PROGRAM',
  retry: 'manual',
  exit: 2,
  cause: 'The program "{program}", which is to print a secret, cannot be run: {detail}.',
  remedy: 'Name it by its absolute path in "command", and let the user that runs Sluice execute it.',
  refusesCredentials: true,
});

export const credentialCommand = defineError({
  code: 'SLUICE_CREDENTIAL_COMMAND',
  retry: 'auto',
  exit: 3,
  cause: 'The program "{program}" gave no secret: {detail}.',
  remedy:
    'Run its "command" by hand as the user that runs Sluice, with its environment: it must print the secret as one line, end with 0, and do so within "timeout". What it prints is not shown here.',
});

export const credentialFile = defineError({
  code: 'SLUICE_CREDENTIAL_FILE',
  retry: 'auto',
  exit: 3,
  cause: 'The file "{path}" gave no secret: {detail}.',
  remedy: 'It must hold the secret as one line and be readable by the user that runs Sluice.',
});

export const credentialErrors = [credentialProgram, credentialCommand, credentialFile];
