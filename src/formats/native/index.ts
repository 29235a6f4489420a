import { type ConfigOf, fields } from '../../plugin/field.ts';
import type { Encoder, Format, FormatContext } from '../../plugin/format.ts';
import type { TableVersion } from '../../record/table.ts';
import { type BatchCounter, NativeEncoder } from './encoder.ts';
import { nativeJsonSchemas } from './json-schema.ts';

const options = fields({
  tombstones: {
    kind: 'boolean',
    default: true,
    about: 'Follow each delete of a table with a key by a message with the same key and no value, so that a compacted topic forgets the row.',
  },
});

/** Compact and lossless JSON for people who write JavaScript and SQL. */
class NativeFormat implements Format {
  readonly #tombstones: boolean;
  readonly #context: FormatContext;
  readonly #counter: BatchCounter = { batch: 0 };

  constructor(tombstones: boolean, context: FormatContext) {
    this.#tombstones = tombstones;
    this.#context = context;
  }

  prepare(table: TableVersion): Encoder {
    return new NativeEncoder(this.#context, this.#tombstones, this.#counter, table);
  }

  begin(): void {
    this.#counter.batch++;
  }
}

export const native = {
  role: 'format' as const,
  type: 'native',
  fields: options,
  jsonSchemas: nativeJsonSchemas,
  create(config: ConfigOf<typeof options>, context: FormatContext): Format {
    return new NativeFormat(config.tombstones, context);
  },
};
