/** THE registry: one lazy line per plug-in. Adding a system is one folder beside this file and one line here. */
export const sources = {
  postgres: () => import('./postgres/index.ts').then((m) => m.postgres),
  mysql: () => import('./mysql/index.ts').then((m) => m.mysql),
  mariadb: () => import('./mysql/index.ts').then((m) => m.mariadb),
};

export const sinks = {
  kafka: () => import('./kafka/index.ts').then((m) => m.kafka),
  nats: () => import('./nats/index.ts').then((m) => m.nats),
  stdout: () => import('./stdout/index.ts').then((m) => m.stdout),
  blackhole: () => import('./blackhole/index.ts').then((m) => m.blackhole),
};

/** Types that are planned. Each is an error that says so. */
export const notYet = {
  sources: ['journal'],
  sinks: ['journal'],
  formats: ['avro', 'json-schema'],
};
