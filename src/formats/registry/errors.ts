import { defineError } from '../../plugin/error.ts';

export const REGISTRY_UNREACHABLE = defineError({
  code: 'SLUICE_REGISTRY_UNREACHABLE',
  retry: 'auto',
  exit: 3,
  cause: 'The schema registry at {urls} does not answer: {reason}.',
  remedy:
    'Check "format.registry.urls", that a registry runs there and that the network lets this machine through. Nothing is lost: what needs a schema waits until the registry is back.',
});

export const REGISTRY_ACCESS = defineError({
  code: 'SLUICE_REGISTRY_ACCESS',
  retry: 'manual',
  exit: 3,
  cause: 'The schema registry at {url} refuses the user for subject "{subject}" (HTTP {status}).',
  remedy:
    'Check "format.registry.user" and "password", or "token", and that the user may read and write the subject; with "autoRegister": false reading is enough.',
});

export const REGISTRY_TLS = defineError({
  code: 'SLUICE_REGISTRY_TLS',
  retry: 'manual',
  exit: 3,
  cause: 'There is no trusted connection to the schema registry: {reason}.',
  remedy:
    'Set "format.registry.tls.ca" to the PEM file of the authority that signed the registry\'s certificate, and "tls.serverName" where it is for another name.',
});

export const REGISTRY_INCOMPATIBLE = defineError({
  code: 'SLUICE_REGISTRY_INCOMPATIBLE',
  retry: 'manual',
  exit: 3,
  cause: 'The schema registry refuses the schema of {table} as a new version of subject "{subject}" (HTTP {status}): {reason}.',
  remedy:
    'Change the table so that its schema is compatible again, or let the change through: set the subject\'s level of compatibility in the registry (PUT /config/{subject}), then `sluice tables resume`. Its table alone waits meanwhile; with "compatibility": {"action": "stop"} the connector stops, and is started again.',
});

export const REGISTRY_MISSING = defineError({
  code: 'SLUICE_REGISTRY_MISSING',
  retry: 'manual',
  exit: 3,
  cause: 'The schema registry has no such schema of {table} under subject "{subject}", and "format.registry.autoRegister" is false.',
  remedy: 'Register it (`sluice schema show` prints the table), or set "autoRegister": true. Subjects are named by "format.registry.subjects".',
});

export const REGISTRY_ANSWER = defineError({
  code: 'SLUICE_REGISTRY_ANSWER',
  retry: 'manual',
  exit: 3,
  cause: 'The schema registry at {url} answers what no registry should for subject "{subject}" (HTTP {status}): {reason}.',
  remedy:
    'Check that "format.registry.urls" names the root of a Confluent-compatible API (Apicurio: http://host:8080/apis/ccompat/v7), and look into the registry\'s log.',
});

export const REGISTRY_FORGOTTEN = defineError({
  code: 'SLUICE_REGISTRY_FORGOTTEN',
  retry: 'manual',
  exit: 3,
  cause: 'Messages of {table} wait for the id of a schema whose version of the table is not kept any more: 200 newer ones are.',
  remedy: '`sluice tables discard`, then a new copy of the table: `sluice snapshot start`.',
});

export const registryErrors = [
  REGISTRY_UNREACHABLE,
  REGISTRY_ACCESS,
  REGISTRY_TLS,
  REGISTRY_INCOMPATIBLE,
  REGISTRY_MISSING,
  REGISTRY_ANSWER,
  REGISTRY_FORGOTTEN,
];
