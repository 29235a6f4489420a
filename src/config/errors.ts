import { defineError, type ErrorKind } from '../plugin/error.ts';

/** Everything here is found before anything is started: nothing to retry, exit code 2. */
const configuration = <const C extends string>(code: C, cause: string, remedy: string) =>
  defineError({ code, retry: 'never', exit: 2, cause, remedy });

export const CONFIG_INVALID = configuration(
  'SLUICE_CONFIG_INVALID',
  'The configuration has {count}.',
  'Mend what is listed, then try again with "sluice validate".',
);
export const CONFIG_NOT_FOUND = configuration(
  'SLUICE_CONFIG_NOT_FOUND',
  '{file} does not exist.',
  'Give a directory that holds connectors/*.json, or connector files, on the command line or in SLUICE_CONFIG.',
);
export const CONFIG_UNREADABLE = configuration(
  'SLUICE_CONFIG_UNREADABLE',
  '{file} cannot be read: {reason}.',
  'Let the user that runs Sluice read the file (chmod, chown).',
);
export const CONFIG_NO_CONNECTORS = configuration(
  'SLUICE_CONFIG_NO_CONNECTORS',
  'There is no connector in {directory}.',
  'Put one JSON file per connector into {directory}/connectors; config/examples holds one for each combination.',
);
export const CONFIG_PATHS = configuration(
  'SLUICE_CONFIG_PATHS',
  'A directory was given together with something else.',
  'Give one directory, or connector files (and at most one sluice.json).',
);
export const CONFIG_SYNTAX = configuration('SLUICE_CONFIG_SYNTAX', 'Line {line}, column {column}: {reason}.', 'Mend the JSON there.');
export const CONFIG_DUPLICATE_KEY = configuration(
  'SLUICE_CONFIG_DUPLICATE_KEY',
  'The key "{key}" stands here a second time.',
  'Keep one of the two.',
);
export const CONFIG_UNKNOWN_KEY = configuration('SLUICE_CONFIG_UNKNOWN_KEY', 'There is no option "{key}" here.', '{hint}');
export const CONFIG_MISSING = configuration('SLUICE_CONFIG_MISSING', '"{key}" is missing: {about}.', 'Add {example}.');
export const CONFIG_WRONG_TYPE = configuration('SLUICE_CONFIG_WRONG_TYPE', 'This must be {expected}; {given} was given.', '{hint}');
export const CONFIG_NO_UNIT = configuration(
  'SLUICE_CONFIG_NO_UNIT',
  'A {what} needs a unit; {given} was given.',
  'Write {suggestion}. Units: {units}.',
);
export const CONFIG_BAD_QUANTITY = configuration(
  'SLUICE_CONFIG_BAD_QUANTITY',
  '{given} is no {what}: {reason}.',
  'Write a number and a unit, such as {example}. Units: {units}.',
);
export const CONFIG_OUT_OF_RANGE = configuration('SLUICE_CONFIG_OUT_OF_RANGE', '{given} is too {direction}.', 'Write {bound}.');
export const CONFIG_CHOICE = configuration('SLUICE_CONFIG_CHOICE', '{given} is none of the values that are possible here.', '{hint}');
export const CONFIG_PATTERN = configuration('SLUICE_CONFIG_PATTERN', '{given} does not have the right form.', 'Write {form}.');
export const CONFIG_NOT_SUPPORTED = configuration('SLUICE_CONFIG_NOT_SUPPORTED', '{what} is not supported yet.', '{hint}');
export const CONFIG_DEBEZIUM_FILE = configuration(
  'SLUICE_CONFIG_DEBEZIUM_FILE',
  'This is a Debezium connector file ("connector.class"). Such files are not supported yet.',
  'Write a connector file of Sluice: config/examples/postgres-nats.json shows one, docs/configuration.md says what each option means.',
);
export const CONFIG_UNUSED = configuration(
  'SLUICE_CONFIG_UNUSED',
  '"{path}" has {pattern}, which fits nothing of the captured tables, and so does nothing.',
  'Correct it, or leave it out; for a table or a column that is yet to come it can stay.',
);
export const CONFIG_CHECK = configuration('SLUICE_CONFIG_CHECK', '{statement}', '{advice}');
export const CONFIG_DUPLICATE_NAME = configuration(
  'SLUICE_CONFIG_DUPLICATE_NAME',
  'The connector name "{name}" is taken by {other}.',
  'Give each connector a name of its own: offsets and message ids go by it.',
);
export const CONFIG_CLAIM = configuration(
  'SLUICE_CONFIG_CLAIM',
  'The connector "{other}" already has {claim} for itself.',
  'Give this connector one of its own: two connectors that share it would take changes from each other.',
);
export const CONFIG_REFERENCE = configuration(
  'SLUICE_CONFIG_REFERENCE',
  'A reference is not well formed: {reason}.',
  'Write ${env:NAME} or ${file:/absolute/path}. For the two signs "${" as they are, write "$${".',
);
export const CONFIG_VARIABLE_MISSING = configuration(
  'SLUICE_CONFIG_VARIABLE_MISSING',
  'The environment variable {name} is not set, or is empty.',
  'Set {name} in the environment that Sluice runs in.',
);
export const CONFIG_SECRET_FILE = configuration(
  'SLUICE_CONFIG_SECRET_FILE',
  'The file {name} cannot be used: {reason}.',
  'Create it, readable by the user that runs Sluice (chmod 600 {name}).',
);
export const CONFIG_REACH = configuration(
  'SLUICE_CONFIG_REACH',
  'A connector that was created through the API or a command may not use {what}.',
  '{advice}',
);
export const CONFIG_STORED_NAME = configuration(
  'SLUICE_CONFIG_STORED_NAME',
  'The file {file} in the data directory holds the connector "{name}": such files are called as their connectors are.',
  'Rename the file to {name}.json, or create the connector anew (sluice connectors create).',
);
export const CONFIG_STORED_HIDDEN = configuration(
  'SLUICE_CONFIG_STORED_HIDDEN',
  'The connector "{name}", which was created through the API or a command, is not used: {other} has its name.',
  'Remove {other} to use what was created, or delete {file}.',
);
export const CONFIG_SECRET_INLINE = configuration(
  'SLUICE_CONFIG_SECRET_INLINE',
  'A secret stands in the file itself.',
  'Write ${env:NAME} or ${file:/path} in its place, so that the file can be shown and kept under version control.',
);
export const CONFIG_SECRET_WORD = configuration(
  'SLUICE_CONFIG_SECRET_WORD',
  'This secret is a name or a word that the configuration, or Sluice itself, says openly: it is not hidden where it is said, or nothing could be told of what is called so.',
  'Choose a long random password: openssl rand -hex 24',
);
export const CONFIG_SECRET_FILE_MODE = configuration(
  'SLUICE_CONFIG_SECRET_FILE_MODE',
  'The secret file {name} can be read by other users of this machine (mode {mode}).',
  'chmod 600 {name}',
);

/** Warnings: the configuration is used all the same. */
export const configWarnings: readonly ErrorKind[] = [CONFIG_SECRET_INLINE, CONFIG_SECRET_WORD, CONFIG_SECRET_FILE_MODE, CONFIG_STORED_HIDDEN];

export const configErrors: readonly ErrorKind[] = [
  CONFIG_INVALID,
  CONFIG_NOT_FOUND,
  CONFIG_UNREADABLE,
  CONFIG_NO_CONNECTORS,
  CONFIG_PATHS,
  CONFIG_SYNTAX,
  CONFIG_DUPLICATE_KEY,
  CONFIG_UNKNOWN_KEY,
  CONFIG_MISSING,
  CONFIG_WRONG_TYPE,
  CONFIG_NO_UNIT,
  CONFIG_BAD_QUANTITY,
  CONFIG_OUT_OF_RANGE,
  CONFIG_CHOICE,
  CONFIG_PATTERN,
  CONFIG_NOT_SUPPORTED,
  CONFIG_DEBEZIUM_FILE,
  CONFIG_UNUSED,
  CONFIG_CHECK,
  CONFIG_DUPLICATE_NAME,
  CONFIG_CLAIM,
  CONFIG_REFERENCE,
  CONFIG_VARIABLE_MISSING,
  CONFIG_SECRET_FILE,
  CONFIG_REACH,
  CONFIG_STORED_NAME,
  ...configWarnings,
];
