import { setTimeout as sleep } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';
import type { ConnectorStatus } from '../daemon/connector-ports.ts';
import { CONTROL_NO_DAEMON } from '../daemon/control-errors.ts';
import { nodeRuntime } from '../daemon/node-runtime.ts';
import { findConnector } from '../daemon/offsets.ts';
import { SluiceError } from '../plugin/error.ts';
import type { Registry } from '../plugin/registry.ts';
import { openLevel } from '../state/level.ts';
import { openStore } from '../state/store.ts';
import { controlRequest } from './control-client.ts';
import { type Output, print, table } from './output.ts';
import { dataDirectory, setUp } from './setup.ts';

/** What a command asks for. `connector` left out: the only one; for `status` all. */
export type ConnectorsAction =
  | { readonly verb: 'status'; readonly connector?: string; readonly watch: boolean }
  | { readonly verb: 'pause' | 'resume' | 'restart'; readonly connector?: string; readonly wait: boolean };

/** How often it is looked again. */
const WATCH_MS = 1_000;
const ASK_MS = 200;
const CLEAR = '\u001b[H\u001b[J';

/** `sluice status|pause|resume|restart`: asks the daemon that owns the data directory. Throws a SluiceError. */
export async function connectorsCommand(paths: readonly string[], action: ConnectorsAction, output: Output, registry: Registry): Promise<number> {
  if (action.verb === 'status') return status(await dataDirectory(paths, registry), action, output);
  const { configuration } = await setUp(paths, registry);
  const { dataDir } = configuration.daemon;
  const asked = controlRequest(dataDir, `connectors/${action.verb}`, { connector: action.connector }) as Promise<ConnectorStatus>;
  const begun = await asked.catch(async (error: unknown) => {
    if (!(error instanceof SluiceError) || error.kind !== CONTROL_NO_DAEMON || action.verb === 'restart') throw error;
    await setPaused(dataDir, findConnector(configuration.connectors, action.connector).name, action.verb === 'pause');
    return null;
  });
  if (begun === null) {
    const name = findConnector(configuration.connectors, action.connector).name;
    const text = action.verb === 'pause' ? 'begins paused' : 'goes on';
    print(output, { name, paused: action.verb === 'pause' }, `No daemon runs; ${name} ${text} when one is started.\n`);
    return 0;
  }
  const now = action.wait ? await settled(dataDir, begun, action.verb, output) : begun;
  print(output, now, statusText([now], new Map()));
  return now.state === 'failed' ? 1 : 0;
}

/** For the next daemon. */
async function setPaused(dataDir: string, connector: string, isPaused: boolean): Promise<void> {
  const store = await openStore({ directory: dataDir, runtime: nodeRuntime(), openEngine: openLevel });
  try {
    await store.setPaused(connector, isPaused);
  } finally {
    await store.close();
  }
}

/** Until the connector rests, or runs, or cannot. */
async function settled(dataDir: string, begun: ConnectorStatus, verb: 'pause' | 'resume' | 'restart', output: Output): Promise<ConnectorStatus> {
  let said = '';
  for (;;) {
    await sleep(ASK_MS);
    const now = (await controlRequest(dataDir, 'connectors/status', { connector: begun.name })) as ConnectorStatus;
    const isNew = verb !== 'restart' || now.since !== begun.since;
    if (now.state === (verb === 'pause' ? 'paused' : 'running') && isNew) return now;
    if (now.state === 'failed' || now.state === 'stopped' || (verb !== 'pause' && now.state === 'retrying')) return now;
    if (!output.json && now.state !== said) output.err(`${now.name} is ${now.state} …\n`);
    said = now.state;
  }
}

async function status(dataDir: string, { connector, watch }: { connector?: string; watch: boolean }, output: Output): Promise<number> {
  const ask = async (): Promise<readonly ConnectorStatus[]> => {
    const all = (await controlRequest(dataDir, 'connectors/list')) as readonly ConnectorStatus[];
    if (connector === undefined) return all;
    return [(await controlRequest(dataDir, 'connectors/status', { connector })) as ConnectorStatus];
  };
  let before = await ask();
  if (!watch) {
    print(output, before, statusText(before, new Map()));
    return 0;
  }
  for (let atMs = performance.now(); ; ) {
    await sleep(WATCH_MS);
    const now = await ask().catch((error: unknown) => {
      // The daemon has ended: so does the looking.
      if (error instanceof SluiceError && error.kind === CONTROL_NO_DAEMON) return null;
      throw error;
    });
    if (now === null) return 0;
    const seconds = (performance.now() - atMs) / 1000;
    atMs = performance.now();
    const rows = new Map(before.map(({ name, figures }) => [name, figures.rows]));
    const rates = new Map(now.map(({ name, figures }) => [name, Math.max(0, figures.rows - (rows.get(name) ?? 0)) / seconds]));
    before = now;
    if (output.json) output.out(`${JSON.stringify(now)}\n`);
    else output.out(`${process.stdout.isTTY ? CLEAR : ''}${statusText(now, rates)}`);
  }
}

/** @param rates rows a second, by connector; empty: not known */
function statusText(all: readonly ConnectorStatus[], rates: ReadonlyMap<string, number>): string {
  if (all.length === 0) return 'There is no connector.\n';
  const lines = all.map(({ name, state, since, source, sink, tables, figures, health }) => [
    name,
    state,
    since.slice(0, 19).replace('T', ' '),
    `${source} to ${sink}`,
    tables === null ? '' : String(tables),
    `${figures.lagSeconds.toFixed(1)} s`,
    health === null || health.lagBytes === null ? '' : bytesText(health.lagBytes),
    health === null || health.retainedBytes === null ? '' : bytesText(health.retainedBytes),
    String(figures.rows),
    rates.has(name) ? (rates.get(name) as number).toFixed(0) : '',
  ]);
  const head = ['CONNECTOR', 'STATE', 'SINCE (UTC)', 'FROM AND TO', 'TABLES', 'LAG', 'LOG BEHIND', 'LOG KEPT', 'ROWS', 'ROWS/S'];
  const shown = rates.size === 0 ? [head, ...lines].map((line) => line.slice(0, -1)) : [head, ...lines];
  const errors = all.flatMap(({ name, error, warnings = [] }) =>
    [...(error === undefined ? [] : [error]), ...warnings].map(({ message, code, remedy }) =>
      stripVTControlCharacters(`${name}: ${message}\n  code:   ${code}\n  remedy: ${remedy}\n`),
    ),
  );
  const pressed = all.map(({ name, pressure }) => (pressure === null ? '' : `${name}: behind (${pressure.action}): ${pressure.reason}.\n`));
  return `${table(shown)}${all.map(freshnessText).join('')}${pressed.join('')}${errors.join('')}`;
}

/** Tables that have used up more than may be late, the worst first; or that there is none. */
function freshnessText({ name, freshness }: ConnectorStatus): string {
  if (freshness === null || freshness.length === 0) return '';
  const late = freshness.filter(({ burnRate }) => burnRate['1h'] > 1).toSorted((a, b) => b.burnRate['1h'] - a.burnRate['1h']);
  if (late.length === 0) return `${name}: fresh: all ${freshness.length} tables are within their objective.\n`;
  return late
    .map((each) => {
      const { table: label, freshShare, objectiveSeconds, burnRate } = each;
      return `${name}: late: ${label}, ${(freshShare * 100).toFixed(1)} % of the last hour within ${objectiveSeconds} s, burn rate ${burnRate['1h'].toFixed(1)} (5 min: ${burnRate['5m'].toFixed(1)}).\n`;
    })
    .join('');
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

function bytesText(bytes: number): string {
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  const value = bytes / 1024 ** power;
  return `${power === 0 || value >= 100 ? value.toFixed(0) : value.toFixed(1)} ${UNITS[power]}`;
}
