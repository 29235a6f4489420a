import { createHash } from 'node:crypto';
import { type ConfigOf, fields, type MessageBatch, type PluginContext, type Sink, type SinkPlugin, SPAN, SPAN_SIZE } from '#plugin';

const blackholeFields = fields({
  verify: {
    kind: 'boolean',
    default: false,
    about: 'Logs at the end how many messages came, and a hash of their values that does not depend on their order.',
  },
});

/** Keeps nothing: for trials, and for benchmarks of everything before the sink. */
export const blackhole: SinkPlugin<typeof blackholeFields> = {
  role: 'sink',
  type: 'blackhole',
  fields: blackholeFields,
  errors: [],
  create: (config, context) => new Blackhole(config, context),
};

class Blackhole implements Sink {
  readonly #verify: boolean;
  readonly #context: PluginContext;
  #messages = 0;
  #bytes = 0;
  #hash = 0n;

  constructor(config: ConfigOf<typeof blackholeFields>, context: PluginContext) {
    this.#verify = config.verify;
    this.#context = context;
  }

  preflight(): Promise<readonly []> {
    return Promise.resolve([]);
  }

  open(): ReturnType<Sink['open']> {
    return Promise.resolve({ transactions: [], holdsOutput: false });
  }

  destination(table: { readonly label: string }): string {
    return table.label;
  }

  write(batch: MessageBatch): ReturnType<Sink['write']> {
    this.#messages += batch.count;
    this.#bytes += batch.bytesLength;
    if (this.#verify) this.#add(batch);
    return Promise.resolve({});
  }

  recover(): ReturnType<Sink['recover']> {
    return Promise.resolve({ place: {}, lastTransaction: null });
  }

  close(): Promise<void> {
    if (this.#verify) {
      const hash = BigInt.asUintN(64, this.#hash).toString(16).padStart(16, '0');
      this.#context.log.info('All that came.', { messages: this.#messages, bytes: this.#bytes, hash });
    }
    return Promise.resolve();
  }

  #add(batch: MessageBatch): void {
    for (let message = 0; message < batch.count; message++) {
      const at = message * SPAN_SIZE;
      const start = batch.spans[at + SPAN.valueStart] as number;
      const value = start < 0 ? '' : batch.bytes.subarray(start, batch.spans[at + SPAN.valueEnd] as number);
      this.#hash += createHash('md5').update(value).digest().readBigUInt64BE();
    }
  }
}
