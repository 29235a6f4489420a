import type { ConfigOf } from '../../plugin/field.ts';
import { fields } from '../../plugin/field.ts';
import type { Format, FormatContext } from '../../plugin/format.ts';
import { VERSION } from '../../version.ts';
import { DebeziumFormat } from './format.ts';

const options = fields({
  tombstones: {
    kind: 'boolean',
    default: true,
    about: 'Follow each delete by a message with the same key and no value, so that a compacted topic forgets the row.',
  },
});

/** Debezium's envelope, without inline schemas: the default format. */
export const debezium = {
  role: 'format' as const,
  type: 'debezium',
  fields: options,
  create(config: ConfigOf<typeof options>, context: FormatContext): Format {
    return new DebeziumFormat(context, { tombstones: config.tombstones, version: VERSION });
  },
};
