import type { Configuration } from '../config/load.ts';
import { CONTROL_NO_DAEMON } from '../daemon/control-errors.ts';
import { nodeRuntime } from '../daemon/node-runtime.ts';
import { findConnector } from '../daemon/offsets.ts';
import { storedCopies } from '../daemon/snapshots.ts';
import { SluiceError } from '../plugin/error.ts';
import type { Registry } from '../plugin/registry.ts';
import { SNAPSHOT_NOT_RUNNING } from '../snapshot/errors.ts';
import { type CopyView, countText, durationText } from '../snapshot/view.ts';
import { openLevel } from '../state/level.ts';
import { openStore } from '../state/store.ts';
import { controlRequest } from './control-client.ts';
import { type Output, print, table } from './output.ts';
import { setUp } from './setup.ts';

/** What a command asks for. `connector` left out: the only one; for `status` all. `tables` empty: all that are being copied. */
export interface SnapshotAction {
  readonly verb: 'status' | 'start' | 'pause' | 'resume' | 'stop';
  readonly connector?: string;
  readonly tables: readonly string[];
  readonly where?: string;
  /** With `status`: answer when nothing is being copied any more, with bars on a terminal until then. */
  readonly watch?: boolean;
  readonly surrogateKey?: string;
}

const WATCH_MS = 500;

/** `sluice snapshot …`: asks the daemon that owns the data directory; what is stored can be looked at without one. Throws a SluiceError. */
export async function snapshotCommand(paths: readonly string[], action: SnapshotAction, output: Output, registry: Registry): Promise<number> {
  const { configuration } = await setUp(paths, registry);
  const { dataDir } = configuration.daemon;
  const views = await (action.watch === true ? watch(dataDir, action, output) : ask(dataDir, action)).catch((error: unknown) => {
    if (!(error instanceof SluiceError) || error.kind !== CONTROL_NO_DAEMON) throw error;
    return withoutDaemon(configuration, action);
  });
  print(output, views, views.length === 0 ? 'Nothing is being copied.\n' : statusText(views));
  return 0;
}

async function ask(dataDir: string, { verb, connector, tables, where, surrogateKey }: SnapshotAction): Promise<readonly CopyView[]> {
  const told = { status: { connector }, start: { connector, tables, where, surrogateKey }, pause: null, resume: null, stop: null }[verb];
  return (await controlRequest(dataDir, `snapshot/${verb}`, told ?? { connector, tables })) as readonly CopyView[];
}

/** Throws SLUICE_CONTROL_NO_DAEMON once none runs any more. */
async function watch(dataDir: string, action: SnapshotAction, { json }: Output): Promise<readonly CopyView[]> {
  const { stderr, env } = process;
  const bars = !json && stderr.isTTY && env['TERM'] !== 'dumb' ? new (await import('./copy-bars.ts')).CopyBars(stderr) : null;
  try {
    for (;;) {
      const views = await ask(dataDir, action);
      if (!views.some(({ state }) => state === 'waiting' || state === 'copying')) return views;
      bars?.show(views);
      await new Promise((resolve) => setTimeout(resolve, WATCH_MS));
    }
  } finally {
    bars?.hide();
  }
}

async function withoutDaemon({ daemon, connectors }: Configuration, action: SnapshotAction): Promise<readonly CopyView[]> {
  const { dataDir } = daemon;
  const runtime = nodeRuntime();
  if (action.verb !== 'status') throw new SluiceError(SNAPSHOT_NOT_RUNNING, { connector: findConnector(connectors, action.connector).name });
  // Looking makes no data directory.
  if ((await runtime.files.list(dataDir)) === null) return [];
  const store = await openStore({ directory: dataDir, runtime, openEngine: openLevel });
  try {
    const asked = action.connector === undefined ? connectors : [findConnector(connectors, action.connector)];
    return (await Promise.all(asked.map(({ name }) => storedCopies(name, store)))).flat();
  } finally {
    await store.close();
  }
}

function statusText(views: readonly CopyView[]): string {
  const lines = views.map(({ connector, table: name, copy, state, rows, estimatedRows, percent, rowsPerSecond, secondsLeft }) => [
    connector,
    name,
    copy,
    state,
    countText(rows),
    estimatedRows === null ? '' : `about ${countText(estimatedRows)}`,
    percent === null ? '' : `${percent} %`,
    rowsPerSecond === null ? '' : countText(rowsPerSecond),
    secondsLeft === null ? '' : durationText(secondsLeft),
  ]);
  const errors = views.flatMap(({ table: name, error }) =>
    error === null ? [] : [`${name}: ${error.message}\n  code:   ${error.code}\n  remedy: ${error.remedy}\n`],
  );
  return `${table([['CONNECTOR', 'TABLE', 'COPY', 'STATE', 'ROWS', 'OF', 'SHARE', 'ROWS/S', 'LEFT'], ...lines])}\n${errors.join('')}`;
}
