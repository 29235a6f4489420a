import type { Registry } from '../plugin/registry.ts';

/** Formats by `format.type`, each loaded when it is first used. */
export const formats = {
  avro: () => import('./avro/index.ts').then((m) => m.avro),
  cloudevents: () => import('./cloudevents/index.ts').then((m) => m.cloudevents),
  debezium: () => import('./debezium/index.ts').then((m) => m.debezium),
  'json-schema': () => import('./json-schema/index.ts').then((m) => m.jsonSchema),
  native: () => import('./native/index.ts').then((m) => m.native),
} satisfies Registry['formats'];
