import type { SinkPlugin } from '#plugin';
import { blackholeFields } from './config.ts';
import { BlackholeSink } from './sink.ts';

/** A sink that keeps nothing: for benchmarks and trials. */
export const blackhole: SinkPlugin<typeof blackholeFields> = {
  role: 'sink',
  type: 'blackhole',
  fields: blackholeFields,
  errors: [],
  create: (config, context) => new BlackholeSink(config, context),
};
