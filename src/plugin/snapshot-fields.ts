import { type ConfigOf, fields } from './field.ts';

/** The section `snapshot` of every source that can copy tables. */
export const snapshotFields = fields({
  mode: {
    kind: 'choice',
    choices: ['initial', 'initial_only', 'always', 'when_needed', 'no_data', 'never'],
    notYet: ['configuration_based', 'custom'],
    default: 'initial',
    about:
      'Which rows that are there already are copied. `initial`: all of them, once, before the changes; tables that are added to the configuration later, when they are. `always`: at every start; what a start before it left unfinished is finished first, and that is all. `when_needed`: as `initial`, and all of them anew where the position in the log is lost (the slot is gone or invalidated), instead of a stop. `initial_only`: once, and then the connector ends. `no_data` (`never` is the same): none; only a table that has come since the connector began is copied, so that it arrives whole.',
  },
  include: {
    kind: 'list',
    default: [],
    about:
      'Patterns, as in `tables`, of the captured tables whose rows are copied. Left out: all of them. The changes of the others are captured all the same.',
    example: ['public.*'],
  },
  exclude: {
    kind: 'list',
    default: [],
    about: 'Patterns of captured tables whose rows are not copied, whatever `include` says.',
    example: ['public.log'],
  },
  where: {
    kind: 'map',
    namePattern: /./,
    nameHint: 'a table pattern',
    example: { 'public.orders': "status <> 'archived'" },
    about:
      'By pattern: a condition in SQL; only rows that meet it are copied. The first pattern that matches holds. The changes of the other rows are captured all the same. It holds for copies that begin by themselves; `sluice snapshot start` has a condition of its own.',
  },
  order: {
    kind: 'choice',
    choices: ['listed', 'smallest', 'largest'],
    default: 'listed',
    about:
      'Which table is begun first: as `tables` lists them (by name within a pattern), or by their size on disk. The rows of one table come by its key.',
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
