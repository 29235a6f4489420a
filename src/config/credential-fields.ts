import { fields } from '../plugin/field.ts';

/** A secret that a file holds. */
export const FROM_FILE = fields({
  file: {
    kind: 'string',
    pattern: /^\//,
    patternHint: 'an absolute path',
    reaches: 'file',
    about: 'A file that holds the secret as one line. It is read anew for each connection, and may be replaced meanwhile.',
    example: '/run/secrets/token',
  },
});

/** A secret that a program prints. */
export const FROM_COMMAND = fields({
  command: {
    kind: 'list',
    minItems: 1,
    reaches: 'program',
    about:
      'Program and arguments that print the secret as one line. It is run anew for each connection, without a shell, in the environment of Sluice; what it prints is never shown.',
    example: ['aws', 'rds', 'generate-db-auth-token', '--hostname', 'db.internal', '--port', '5432', '--username', 'sluice'],
  },
  timeout: { kind: 'duration', default: '10s', minMs: 100, maxMs: 120_000, about: 'How long it may take; then it is ended.' },
});
