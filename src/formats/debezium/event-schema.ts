/** Schemas of what is no table's: transactions, heartbeats, and what they have in common with those of statements. */
import { type ConnectSchema, field, schemaText, struct } from './schema.ts';

/** Of keys and values, as text. */
export interface EventSchemas {
  readonly key: string;
  readonly value: string;
}

const COMMON = 'io.debezium.connector.common';

/** Of the `transaction` block of a change. */
export const TRANSACTION_BLOCK: ConnectSchema = {
  ...struct([field('id', 'string', false), field('total_order', 'int64', false), field('data_collection_order', 'int64', false)], {
    name: 'event.block',
    version: 1,
  }),
  optional: true,
  field: 'transaction',
};

/** Of BEGIN and END. */
export function transactionSchemas(): EventSchemas {
  const collection: ConnectSchema = {
    ...struct([field('data_collection', 'string', false), field('event_count', 'int64', false)], { name: 'event.collection', version: 1 }),
    optional: true,
  };
  return eventSchemaTexts(
    COMMON,
    [field('id', 'string', false)],
    'TransactionMetadataKey',
    [
      field('status', 'string', false),
      field('id', 'string', false),
      field('event_count', 'int64'),
      { type: 'array', items: collection, optional: true, field: 'data_collections' },
      field('ts_ms', 'int64', false),
    ],
    'TransactionMetadataValue',
  );
}

export function heartbeatSchemas(): EventSchemas {
  return eventSchemaTexts(COMMON, [field('serverName', 'string', false)], 'ServerNameKey', [field('ts_ms', 'int64', false)], 'Heartbeat');
}

/** `space`: what the schemas' names begin with. */
export function eventSchemaTexts(
  space: string,
  key: readonly ConnectSchema[],
  keyName: string,
  value: readonly ConnectSchema[],
  valueName: string,
): EventSchemas {
  const whole = (fields: readonly ConnectSchema[], name: string): string =>
    schemaText({ ...struct(fields, { name: `${space}.${name}`, version: 1 }), optional: false });
  return { key: whole(key, keyName), value: whole(value, valueName) };
}
