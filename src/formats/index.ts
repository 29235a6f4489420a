import type { Registry } from '../plugin/registry.ts';

/** Formats by `format.type`, each loaded when it is first used. */
export const formats = {
  cloudevents: () => import('./cloudevents/index.ts').then((m) => m.cloudevents),
  debezium: () => import('./debezium/index.ts').then((m) => m.debezium),
  native: () => import('./native/index.ts').then((m) => m.native),
} satisfies Registry['formats'];
