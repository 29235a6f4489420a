import { type ConfigOf, fields } from './field.ts';

/** The section `snapshot` of every source that can copy tables. */
export const snapshotFields = fields({
  mode: {
    kind: 'choice',
    choices: ['initial', 'initial_only', 'always', 'when_needed', 'no_data', 'never'],
    notYet: ['configuration_based', 'custom'],
    default: 'initial',
    about:
      'Which rows that are there already are copied. `initial`: all of them, once, before the changes; tables that are added to the configuration later, when they are. `always`: at every start; what a start before it left unfinished is finished first, and that is all. `when_needed`: as `initial`, and all of them anew where the position in the log is lost (the slot is gone or invalidated), instead of a stop. `initial_only`: once, and then the connector ends. `no_data` (`never` is the same): none.',
  },
  parallelism: {
    kind: 'integer',
    default: 2,
    min: 1,
    max: 64,
    about: 'How many connections copy at a time. Large tables with a key are parted among them.',
  },
  maxRowsPerSecond: {
    kind: 'integer',
    default: 0,
    min: 0,
    about: 'How many rows a second the connector copies at most, over all its connections. 0: as many as it can.',
  },
  maxLag: {
    kind: 'size',
    default: '1GiB',
    minBytes: 1024,
    about:
      'While the connector is further behind the log than this, nothing is copied beside it. The first copy, before the log is read, is not held up.',
  },
  maxStandbyLag: {
    kind: 'size',
    optional: true,
    minBytes: 1024,
    about:
      'While a standby of the server has replayed less of the log than that, nothing is copied beside it. For Postgres the role needs `pg_monitor`. Left out: standbys are not looked at.',
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
