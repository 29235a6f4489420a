import { runDaemon } from '../daemon/daemon.ts';
import { nodeRuntime } from '../daemon/node-runtime.ts';
import type { Registry } from '../plugin/registry.ts';
import { VERSION } from '../version.ts';
import { setUp } from './setup.ts';

export interface RunOptions {
  readonly paths: readonly string[];
  readonly once: boolean;
}

/** `sluice run`: runs the connectors until they have stopped for good; returns the exit code. Throws a SluiceError if it cannot start. */
export async function runCommand({ paths, once }: RunOptions, registry: Registry): Promise<number> {
  const { configuration, log } = await setUp(paths, registry);
  const { daemon, connectors } = configuration;
  log.info(`Sluice ${VERSION}, process ${process.pid}: ${connectors.map(({ name }) => name).join(', ')}. State in ${daemon.dataDir}.`);
  return runDaemon({ config: daemon, connectors, runtime: nodeRuntime(), log, once });
}
