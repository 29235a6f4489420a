import { MAPPED_TYPES } from '../mapping/types.ts';
import { type FieldTable, fields } from '../plugin/field.ts';
import { protectFields } from './protect-fields.ts';

const SCHEMA = { kind: 'string', optional: true, about: 'Where editors find the JSON Schema of this file. Not read by Sluice.' } as const;

export const LEVELS = ['none', 'backward', 'backward-transitive', 'forward', 'forward-transitive', 'full', 'full-transitive'] as const;
export const ACTIONS = ['stopTable', 'stop', 'deadLetter', 'continue'] as const;
const TABLES = /^\S.*$/s;
const COLUMN_HINT = 'a column: schema.table.column, with * for any characters';
const TYPES = Object.keys(MAPPED_TYPES)
  .map((type) => `\`${type}\``)
  .join(', ');
const TABLES_HINT = 'a table pattern: schema.table, with * for any characters, or /regular expression/';

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
    choices: ['stop', 'stopTable', 'deadLetter'],
    notYet: ['skip'],
    default: 'stop',
    about:
      'What happens to a message that can never be delivered (too large, refused): the connector stops; or its table alone stops, whose changes are kept until it is resumed (`sluice tables`); or the message becomes a dead letter.',
  },
  spool: {
    kind: 'object',
    about: 'Where the changes of a stopped table are kept (`spool/` in the data directory).',
    fields: {
      maxBytes: {
        kind: 'size',
        default: '1GiB',
        minBytes: 2 ** 20,
        maxBytes: 2 ** 42,
        about:
          'Bound of what waits for each stopped table: the connector stops when it is reached, unless the table is being resumed; then what comes waits until there is room.',
      },
    },
  },
  deadLetter: {
    kind: 'object',
    about:
      'With `onError: deadLetter`: such messages are kept in a local file (`dead-letters/` in the data directory) until an operator deals with them: `sluice dlq`.',
    fields: {
      topic: {
        kind: 'string',
        optional: true,
        pattern: /^[^\s*>{}]*(\{connector\}[^\s*>{}]*)*$/,
        patternHint: 'a topic or subject, with `{connector}` where the name of the connector belongs',
        example: '{connector}.dead-letter',
        about: 'Topic or subject of the same sink that gets them as well, each at least once. What is too large for that too is only named there.',
      },
      routes: {
        kind: 'map',
        namePattern: /^SLUICE_[A-Z0-9_]+$/,
        nameHint: 'an error code of the sink (docs/errors.md)',
        example: { SLUICE_KAFKA_MESSAGE_TOO_LARGE: '{connector}.too-large', SLUICE_KAFKA_RECORD_REFUSED: 'stop' },
        about: 'By error code: another topic, `file` for the file alone, `stop` or `stopTable`.',
      },
      maxPercent: {
        kind: 'integer',
        default: 5,
        min: 0,
        max: 100,
        about:
          'The connector stops when more than this share of the messages of a window, and at least ten, became dead letters: that is a wrong setting, not a bad row. A restart does not begin the window anew.',
      },
      window: { kind: 'duration', default: '1m', minMs: 1_000, maxMs: 86_400_000, about: 'Length of that window.' },
      maxBytes: {
        kind: 'size',
        default: '1GiB',
        minBytes: 2 ** 20,
        maxBytes: 2 ** 40,
        about: 'Bound of the local file. When it is reached, the connector stops.',
      },
    },
  },
  schemaChanges: {
    kind: 'object',
    about: "Changes of a captured table's shape as messages of their own (docs/schema-history.md).",
    fields: {
      topic: {
        kind: 'string',
        optional: true,
        pattern: /^[^\s*>{}]*(\{connector\}[^\s*>{}]*)*$/,
        patternHint: 'a topic or subject, with `{connector}` where the name of the connector belongs',
        example: '{connector}.schema-changes',
        about:
          'Topic or subject of the same sink that gets each change, before the first row in the new shape; left out: none does. What the catalogue says of the tables is then read for each shape.',
      },
    },
  },
  compatibility: {
    kind: 'object',
    about: "Which changes of a captured table's shape may go to the sink (docs/compatibility.md).",
    fields: {
      level: {
        kind: 'choice',
        choices: LEVELS,
        default: 'none',
        about:
          'What a new shape has to be to the one before it: `backward`: whoever knows the new one can read rows of the old; `forward`: whoever knows the old one can read rows of the new; `full`: both; `-transitive`: to all before it.',
      },
      levels: {
        kind: 'map',
        namePattern: TABLES,
        nameHint: TABLES_HINT,
        example: { 'public.orders': 'full-transitive', 'public.scratch_*': 'none' },
        about: 'Another level for some tables; the first that matches counts.',
      },
      rules: {
        kind: 'choice',
        choices: ['avro', 'jsonSchema'],
        default: 'avro',
        about:
          'What counts as compatible: the rules by which Avro resolves schemas, or whether each JSON object that was valid stays so (docs/compatibility.md).',
      },
      action: {
        kind: 'choice',
        choices: ACTIONS,
        default: 'stopTable',
        about:
          'What happens to rows of a shape that is not allowed: their table alone stops, and its changes are kept (`spool`); or the connector stops; or they become dead letters; or they go, and it is said in the log.',
      },
      actions: {
        kind: 'map',
        namePattern: TABLES,
        nameHint: TABLES_HINT,
        example: { 'public.audit_*': 'continue' },
        about: 'Another action for some tables; the first that matches counts.',
      },
      deprecated: {
        kind: 'list',
        default: [],
        example: ['public.orders.old_note'],
        about: 'Columns, `schema.table.column`, that are on their way out: that they change or go breaks nothing.',
      },
    },
  },
  mapping: {
    kind: 'object',
    about:
      'Keeps an old shape of tables alive for those who read it: what follows (formats, compatibility, schema changes as messages) sees the mapped table (docs/compatibility.md).',
    fields: {
      rename: {
        kind: 'map',
        namePattern: TABLES,
        nameHint: COLUMN_HINT,
        example: { 'public.orders.full_name': 'name' },
        about: 'Columns by the name that they have in the table, and the name that they get.',
      },
      cast: {
        kind: 'map',
        namePattern: TABLES,
        nameHint: COLUMN_HINT,
        example: { 'public.orders.total': 'integer' },
        about: `Columns by the name that they have in the table, and the type that they get: ${TYPES}. The connector stops at a value that is none of it; a cast that cannot be exact is an error.`,
      },
      defaults: {
        kind: 'map',
        namePattern: TABLES,
        nameHint: COLUMN_HINT,
        example: { 'public.orders.fax': 'text', 'public.orders.discount': 'integer=0' },
        about:
          'Columns, by the name that readers know, that are there where the table has them no more (or not yet): `type`, for one that is null, or `type=constant`. The types as of `cast`.',
      },
      fixed: {
        kind: 'map',
        namePattern: TABLES,
        nameHint: TABLES_HINT,
        example: { 'public.orders': 'id, name, total' },
        about:
          'Schema on read: tables, and the columns (by the name that readers know) that stay columns, whatever comes. All others are gathered in one column, a JSON object of texts: a new column is carried there and changes no schema. The first table pattern that matches counts.',
      },
      rest: {
        kind: 'string',
        default: 'rest',
        pattern: /^\S(.*\S)?$/s,
        patternHint: 'the name of a column',
        about: 'With `fixed`: the name of that column.',
      },
    },
  },
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
  protect: {
    kind: 'object',
    about:
      'What happens, in this order, when the connector falls so far behind that the server fills its disk for it, or comes to delete what was not read yet. Each action has bounds of its own; one that is passed is enough. What can be passed depends on the source.',
    fields: protectFields,
  },
  freshness: {
    kind: 'object',
    optional: true,
    about:
      'How soon changes are to arrive. `sluice status` and the metrics `sluice_freshness_…` say, for each table, how much of the time that held, and how fast what may be late is used up. Nothing else follows from it.',
    fields: {
      objective: {
        kind: 'duration',
        minMs: 10,
        maxMs: 86_400_000,
        example: '30s',
        about: 'A change is to be durable in the sink so soon after its commit, by the clock of this machine.',
      },
      share: {
        kind: 'string',
        default: '99%',
        pattern: /^\d{1,2}(\.\d{1,3})?%$/,
        patternHint: 'a percentage less than 100, such as "99.9%"',
        about: 'The part of the time in which that is to hold.',
      },
      tables: {
        kind: 'map',
        namePattern: TABLES,
        nameHint: TABLES_HINT,
        example: { 'public.audit_*': '10m' },
        about: 'Another `objective` for some tables; the first that matches counts.',
      },
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
