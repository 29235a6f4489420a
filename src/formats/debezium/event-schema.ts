/** Schemas of what is no table's: transactions and heartbeats. */
import { field, schemaText, struct } from './schema.ts';

/** Of keys and values, as text. */
export interface MessageSchemas {
  readonly key: string;
  readonly value: string;
}

/** Of the `transaction` block of a change. */
export const TRANSACTION_BLOCK = schemaText(
  struct([field('id', 'string', false), field('total_order', 'int64', false), field('data_collection_order', 'int64', false)], {
    name: 'event.block',
    version: 1,
  }),
  { optional: true, field: 'transaction' },
);

/** Of BEGIN and END. */
export function transactionSchemas(): MessageSchemas {
  const collection = schemaText(
    struct([field('data_collection', 'string', false), field('event_count', 'int64', false)], { name: 'event.collection', version: 1 }),
    { optional: true },
  );
  return schemasOf(
    [field('id', 'string', false)],
    'TransactionMetadataKey',
    [
      field('status', 'string', false),
      field('id', 'string', false),
      field('event_count', 'int64'),
      schemaText({ type: 'array', body: `,"items":${collection}` }, { optional: true, field: 'data_collections' }),
      field('ts_ms', 'int64', false),
    ],
    'TransactionMetadataValue',
  );
}

export function heartbeatSchemas(): MessageSchemas {
  return schemasOf([field('serverName', 'string', false)], 'ServerNameKey', [field('ts_ms', 'int64', false)], 'Heartbeat');
}

function schemasOf(key: readonly string[], keyName: string, value: readonly string[], valueName: string): MessageSchemas {
  const whole = (fields: readonly string[], name: string): string =>
    schemaText(struct(fields, { name: `io.debezium.connector.common.${name}`, version: 1 }), { optional: false });
  return { key: whole(key, keyName), value: whole(value, valueName) };
}
