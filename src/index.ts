/** Sluice as a library: the plug-in interface, and running connectors from code. */
export { type Configuration, loadConfiguration } from './config/load.ts';
export { type DaemonOptions, runDaemon } from './daemon/daemon.ts';
export { nodeRuntime } from './daemon/node-runtime.ts';
export * from './plugin/index.ts';
export { createLogger, type LoggerOptions } from './telemetry/logger.ts';
