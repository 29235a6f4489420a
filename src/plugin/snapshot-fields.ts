import { type ConfigOf, fields } from './field.ts';

/** The section `snapshot` of every source that can copy tables. */
export const snapshotFields = fields({
  mode: {
    kind: 'choice',
    choices: ['initial', 'initial_only', 'always', 'no_data', 'never'],
    notYet: ['when_needed', 'configuration_based', 'custom'],
    default: 'initial',
    about:
      'Which rows that are there already are copied. `initial`: all of them, once, before the changes; tables that are added to the configuration later, when they are. `always`: at every start. `initial_only`: once, and then the connector ends. `no_data` (`never` is the same): none.',
  },
  parallelism: {
    kind: 'integer',
    default: 2,
    min: 1,
    max: 64,
    about: 'How many connections copy at a time. Large tables with a key are parted among them.',
  },
  signalTable: {
    kind: 'string',
    optional: true,
    pattern: /^[^.]+\..+$/su,
    patternHint: 'schema.table',
    about:
      "A table whose new rows are commands for copies, as Debezium's `signal.data.collection`: `schema.table`, as the catalogue has it. It is captured without being named in `tables`; its rows are never published nor copied. Left out: there is none.",
    example: 'public.debezium_signal',
  },
});

export type SnapshotConfig = ConfigOf<typeof snapshotFields>;
