import { availableKafkas } from './available-servers.ts';

/** Tests of the long form: `npm run test:chaos`. */
export const LONG = process.env['SLUICE_CHAOS'] === 'full';

/** What a change may be delivered to: NATS, and Kafka by each driver, the second one in the long form only. */
export const SINK_KINDS: readonly string[] = ['nats', ...(availableKafkas.length > 0 ? ['platformatic', ...(LONG ? ['kafkajs'] : [])] : [])];
