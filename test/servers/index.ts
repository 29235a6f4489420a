/** Real servers for the tests, the demo, the benchmark and for trying things: see README.md beside this file. */
export * from './certificates.ts';
export * from './kafka.ts';
export * from './mysql.ts';
export * from './nats.ts';
export * from './postgres.ts';
export { FaultProxy, startProxy } from './proxy.ts';
export * from './registry.ts';
export { ServerUnavailable } from './resolve.ts';
export { type KafkaVersion, MYSQL_VERSIONS, type MysqlVersion, POSTGRES_MAJORS, type PostgresMajor } from './versions.ts';
