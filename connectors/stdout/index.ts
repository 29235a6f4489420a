import type { SinkPlugin } from '#plugin';
import { stdoutFields, validateStdout } from './config.ts';
import { stdoutErrors } from './errors.ts';
import { StdoutSink } from './sink.ts';

/** The standard output as a sink. */
export const stdout: SinkPlugin<typeof stdoutFields> = {
  role: 'sink',
  type: 'stdout',
  fields: stdoutFields,
  errors: stdoutErrors,
  validate: validateStdout,
  // There is one standard output.
  claims: () => ['stdout'],
  create: (config, context) => new StdoutSink(config, context),
};
