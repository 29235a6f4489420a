import { type ConfigOf, fields } from './field.ts';

/** The section `snapshot` of every source that can copy tables. */
export const snapshotFields = fields({
  mode: {
    kind: 'choice',
    choices: ['initial', 'initial_only', 'always', 'no_data', 'never'],
    notYet: ['when_needed', 'configuration_based', 'custom'],
    default: 'initial',
    about:
      'Which rows that are there already are copied. `initial`: all of them, once, before the changes; tables that are added to the configuration later, when they are. `always`: at every start. `initial_only`: once, and then the connector ends. `no_data` (`never` is the same): none; only a table that has come since the connector began is copied, so that it arrives whole.',
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
});

export type SnapshotConfig = ConfigOf<typeof snapshotFields>;
