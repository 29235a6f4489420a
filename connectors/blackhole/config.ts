import { type ConfigOf, fields } from '#plugin';

/** Options of the blackhole sink, as they stand under `sink` in a connector file. */
export const blackholeFields = fields({
  verify: {
    kind: 'boolean',
    default: false,
    about: 'Count the messages and hash their values, and log both when the connector ends: what a benchmark compares with the source.',
  },
});

export type BlackholeConfig = ConfigOf<typeof blackholeFields>;
