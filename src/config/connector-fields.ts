import { type FieldTable, fields } from '../plugin/field.ts';

const SCHEMA = { kind: 'string', optional: true, about: 'Where editors find the JSON Schema of this file. Not read by Sluice.' } as const;

/** What every `source` section has beside the options of its plug-in. */
export const sourceFields = fields({
  type: { kind: 'string', about: 'The system that is read.' },
  capture: {
    kind: 'choice',
    choices: ['log'],
    notYet: ['trigger', 'timestamp', 'auto'],
    default: 'log',
    about: "The way changes are captured: `log` reads the server's own log.",
  },
});

/** What every `sink` section has beside the options of its plug-in. */
export const sinkFields = fields({ type: { kind: 'string', about: 'Where the messages go.' } });

/** What every `format` section has beside the options of its plug-in. */
export const formatFields = fields({ type: { kind: 'string', default: 'debezium', about: 'The form of the messages.' } });

/** The options of a connector file that no plug-in owns. */
export const connectorFields = fields({
  $schema: SCHEMA,
  name: {
    kind: 'string',
    pattern: /^[a-z][a-z0-9-]{0,55}$/,
    patternHint: 'a small letter, then small letters, digits and hyphens, 56 at the most',
    example: 'shop',
    about: 'Name of the connector. It is part of message ids, of offsets and of default names on the servers: renaming a connector makes a new one.',
  },
  transforms: { kind: 'notYet', tolerates: 'empty list', about: 'Changes to records on their way.' },
  batch: {
    kind: 'object',
    about: 'How records are gathered. A batch is closed by whichever limit comes first; when nothing waits, a single record goes at once.',
    fields: {
      maxRecords: { kind: 'integer', default: 2000, min: 1, max: 100_000, about: 'Records in one batch, at the most.' },
      maxBytes: {
        kind: 'size',
        default: '1MiB',
        minBytes: 1024,
        maxBytes: 2 ** 30,
        about: 'Bytes in one batch, at the most; one larger record makes a batch of its own.',
      },
      maxDelay: {
        kind: 'duration',
        default: '5ms',
        minMs: 0,
        maxMs: 60_000,
        about: 'How long a record may wait for others while several batches are in flight; when none is, it is sent at once.',
      },
    },
  },
  checkpoint: {
    kind: 'object',
    about: 'How often progress is saved.',
    fields: {
      maxDelay: {
        kind: 'duration',
        default: '200ms',
        minMs: 0,
        maxMs: 60_000,
        about: 'How long what is durable in the sink may stay unsaved. After a crash that much is read again.',
      },
    },
  },
  onError: {
    kind: 'choice',
    choices: ['stop'],
    notYet: ['deadLetter', 'skip'],
    default: 'stop',
    about: 'What happens when a record cannot be delivered.',
  },
  deadLetter: { kind: 'notYet', about: 'Where records go that cannot be delivered.' },
  retry: {
    kind: 'object',
    about: 'How the connector is started again after an error that may pass.',
    fields: {
      maxAttempts: {
        kind: 'integer',
        optional: true,
        min: 0,
        about: 'Attempts before the connector stops for good. Left out: for as long as it takes.',
      },
      initialDelay: { kind: 'duration', default: '1s', minMs: 1, about: 'Wait before the first repetition.' },
      maxDelay: {
        kind: 'duration',
        default: '2s',
        minMs: 1,
        maxMs: 86_400_000,
        about: 'Longest wait between two attempts. It is reconnecting that is repeated, so the wait stays short.',
      },
      exponentialBase: { kind: 'integer', default: 2, min: 1, max: 10, about: 'The wait grows by this factor each time.' },
      jitter: { kind: 'boolean', default: true, about: 'Varies the waits, so that many daemons do not return to one server at once.' },
    },
  },
  maxInFlightBytes: {
    kind: 'size',
    default: '64MiB',
    minBytes: 2 ** 20,
    maxBytes: 2 ** 34,
    about: 'Bytes that may be under way between source and sink. When they are reached, reading pauses.',
  },
});

/** The sections that plug-ins fill. */
export const SECTIONS = ['source', 'format', 'sink'] as const;

/** The options of a section: its own and those of the plug-in. */
export function sectionFields(section: (typeof SECTIONS)[number], plugin: { readonly fields: FieldTable }): FieldTable {
  const own: FieldTable = section === 'source' ? sourceFields : section === 'sink' ? sinkFields : formatFields;
  return { ...own, ...plugin.fields };
}
