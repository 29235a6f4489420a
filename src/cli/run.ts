import { setFlagsFromString } from 'node:v8';
import { shownConnector } from '../config/shown.ts';
import { runDaemon } from '../daemon/daemon.ts';
import type { ConnectorReader } from '../daemon/stored-connectors.ts';
import type { Registry } from '../plugin/registry.ts';
import { VERSION } from '../version.ts';
import { readConfiguration, setUp } from './setup.ts';

export interface RunOptions {
  readonly paths: readonly string[];
  readonly once: boolean;
}

/** `sluice run`: runs the connectors until they have stopped for good; returns the exit code. Throws a SluiceError if it cannot start. */
export async function runCommand({ paths, once }: RunOptions, registry: Registry): Promise<number> {
  const { stderr, stdout, env } = process;
  const bars = stderr.isTTY && env['TERM'] !== 'dumb' ? new (await import('./copy-bars.ts')).CopyBars(stderr) : null;
  const { configuration, log, redaction, runtime, read } = await setUp(paths, registry, bars === null ? undefined : (line) => bars.write(line));
  const { daemon, connectors } = configuration;
  log.info(
    `Sluice ${VERSION}, process ${process.pid}: ${connectors.map(({ name }) => name).join(', ') || 'no connector yet'}. State in ${daemon.dataDir}.`,
  );
  // Bars and messages on one terminal would write over each other.
  const isShared = stdout.isTTY && connectors.some(({ sink }) => sink.plugin.type === 'stdout');
  const show = bars === null || isShared ? {} : { show: bars.follow.bind(bars) };
  // Rows are bytes in arenas: what is made for each batch dies young, and a young generation that grows further only stays resident (docs/decisions/0017).
  setFlagsFromString('--semi-space-growth-factor=1');
  // Where connectors are stored does not change under the daemon, whatever the files say by then.
  const { dataDir } = daemon;
  const watched = { first: read, read: () => readConfiguration(paths, registry, { dataDir }) };
  const reader: ConnectorReader = {
    load: async (stored) => (await readConfiguration(paths, registry, { ...stored, dataDir })).result,
    shown: (text) => shownConnector(text, registry),
  };
  return runDaemon({
    configuration,
    watched,
    reader,
    runtime,
    log,
    once,
    redaction,
    ...show,
  });
}
