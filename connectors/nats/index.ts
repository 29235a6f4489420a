import type { FindingKind, SinkPlugin } from '#plugin';
import { addressText, natsFields, parseAddress, validateNats } from './config.ts';
import { natsErrors, undeliverable } from './errors.ts';
import * as findings from './findings.ts';
import { NatsSink } from './sink.ts';

/** NATS JetStream as a sink. */
export const nats: SinkPlugin<typeof natsFields> = {
  role: 'sink',
  type: 'nats',
  fields: natsFields,
  errors: natsErrors,
  findings: Object.values<FindingKind>(findings),
  undeliverable,
  cloudEvents: { prefix: 'ce-', isPercentEncoded: true },
  validate: validateNats,
  // One writer for a stream that a connector believes to have for itself.
  claims: (config) => {
    if (!config.exclusive) return [];
    const servers = config.servers.map((server) => parseAddress(server)).map((address) => (address === null ? '' : addressText(address)));
    return [`nats:${[...servers].sort().join(',')}/${config.stream}`];
  },
  create: (config, context) => new NatsSink(config, context),
};
