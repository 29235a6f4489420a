import { defineError } from '../plugin/error.ts';

export const CONNECTOR_EXISTS = defineError({
  code: 'SLUICE_CONNECTOR_EXISTS',
  retry: 'never',
  exit: 2,
  cause: 'There is a connector "{connector}" already.',
  remedy: 'Change it (PUT /api/v1/connectors/{connector}/config, or sluice connectors configure), or choose another name.',
});

export const CONNECTOR_IN_FILE = defineError({
  code: 'SLUICE_CONNECTOR_IN_FILE',
  retry: 'never',
  exit: 2,
  cause: 'The connector "{connector}" stands in {file}, a file of the configuration: it is not changed or deleted from here.',
  remedy: 'Change or delete that file: the daemon takes it up by itself.',
});

export const CONNECTOR_MASKED = defineError({
  code: 'SLUICE_CONNECTOR_MASKED',
  retry: 'never',
  exit: 2,
  cause: 'The configuration holds "***", which is shown in place of a secret, at {paths}: the secret would be lost.',
  remedy: 'Write the secret itself there, or a reference such as ${env:NAME} that "stored.env" in sluice.json allows.',
});

export const CONNECTOR_NOT_WRITTEN = defineError({
  code: 'SLUICE_CONNECTOR_NOT_WRITTEN',
  retry: 'manual',
  exit: 3,
  cause: 'The file {file} could not be written or removed: {reason}.',
  remedy: 'Make the data directory one that the user of the daemon may write to, with space on its volume (`ls -ld`, `df`), and ask again.',
});

export const storedConnectorErrors = [CONNECTOR_EXISTS, CONNECTOR_IN_FILE, CONNECTOR_MASKED, CONNECTOR_NOT_WRITTEN];
