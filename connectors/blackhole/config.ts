import { type ConfigOf, fields } from '#plugin';

/** Options of the blackhole sink, as they stand under `sink` in a connector file. */
export const blackholeFields = fields({
  verify: {
    kind: 'boolean',
    default: false,
    about: 'Hash the values of the messages, and log it beside their number when the connector ends.',
  },
});

export type BlackholeConfig = ConfigOf<typeof blackholeFields>;
