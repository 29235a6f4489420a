import type { OriginColumn } from '#plugin';

/** Debezium's columns of `source`, in its order. `row` counts the rows of one event. */
export const ORIGIN_COLUMNS: readonly OriginColumn[] = [
  { name: 'server_id', type: 'int64', required: true },
  { name: 'gtid', type: 'text' },
  { name: 'file', type: 'text', required: true },
  { name: 'pos', type: 'int64', required: true },
  { name: 'row', type: 'int32', required: true },
  { name: 'thread', type: 'int64' },
  { name: 'query', type: 'text' },
];
