import { fields } from '../plugin/field.ts';

const RETAINED =
  'Bytes of log that the server keeps for this connector, at the most. For sources whose server keeps its log until it is read (Postgres).';
const FREE =
  'Of what the server keeps at most before it gives up or deletes what is not confirmed yet, the part that must be left, in percent: of `max_slot_wal_keep_size` (Postgres), of the time for which it keeps its log (MySQL, MariaDB). Never passed where the server has no such bound.';

const bounds = fields({
  retained: { kind: 'size', optional: true, example: '50GiB', about: RETAINED },
  headroom: {
    kind: 'size',
    optional: true,
    example: '1GiB',
    about:
      'Bytes of older log that must be left on the server in front of what is not confirmed yet. For sources whose server deletes its log whether it was read or not (MySQL, MariaDB).',
  },
  freePercent: { kind: 'integer', optional: true, min: 0, max: 75, about: FREE },
  timeLeft: {
    kind: 'duration',
    optional: true,
    example: '6h',
    about:
      'Time that must be left until the server gives up or deletes what is not confirmed yet: by the age of its log (MySQL, MariaDB), by `max_slot_wal_keep_size` and the rate of the last minutes (Postgres).',
  },
});

/** The section `protect` of a connector. */
export const protectFields = fields({
  warn: {
    kind: 'object',
    about: 'It is said in the log, in `sluice status` and by `sluice_source_pressure`.',
    fields: {
      ...bounds,
      retained: { kind: 'size', default: '10GiB', about: `${RETAINED} \`0B\`: never.` },
      freePercent: { kind: 'integer', default: 50, min: 0, max: 75, about: `${FREE} 0: never.` },
    },
  },
  pauseSnapshot: {
    kind: 'object',
    about:
      'Nothing is copied beside the log any more, and a first copy is broken off: the log is read first. Copying goes on by itself where it was once there is a fifth more room than the bound.',
    fields: { ...bounds, freePercent: { kind: 'integer', default: 25, min: 0, max: 75, about: `${FREE} 0: never.` } },
  },
  stop: {
    kind: 'object',
    optional: true,
    about: 'The connector stops with an error that says what to do (it has `patience`). Left out: never.',
    fields: bounds,
  },
  dropSlot: {
    kind: 'object',
    optional: true,
    about:
      'The connector stops and drops its slot, so that the server can delete its log (it has `patience`): what was not confirmed is lost for it, and only a new snapshot brings it. For Postgres. Left out: never.',
    fields: bounds,
  },
  patience: {
    kind: 'duration',
    default: '1m',
    minMs: 1_000,
    maxMs: 86_400_000,
    about:
      'For how long a bound of `stop` or `dropSlot` must stay passed without becoming any better meanwhile: a connector that catches up is left to it.',
  },
});
