import { setTimeout as sleep } from 'node:timers/promises';
import type { Configuration } from '../config/load.ts';
import { CONTROL_NO_DAEMON } from '../daemon/control-errors.ts';
import { nodeRuntime } from '../daemon/node-runtime.ts';
import { findConnector } from '../daemon/offsets.ts';
import { countedViews, discardSpool } from '../daemon/stopped-tables.ts';
import { SluiceError } from '../plugin/error.ts';
import type { Registry } from '../plugin/registry.ts';
import { openLevel } from '../state/level.ts';
import { openStore } from '../state/store.ts';
import { TABLES_NOT_RUNNING } from '../stopped-tables/errors.ts';
import type { StoppedTableView } from '../stopped-tables/state.ts';
import { controlRequest } from './control-client.ts';
import { type Output, print, table } from './output.ts';
import { setUp } from './setup.ts';

/** What a command asks for. `connector` left out: the only one; for `list` all. */
export type TablesAction =
  | { readonly verb: 'list'; readonly connector?: string }
  | { readonly verb: 'resume'; readonly connector?: string; readonly table: string; readonly wait: boolean }
  | { readonly verb: 'discard'; readonly connector?: string; readonly table: string };

/** How often the progress of a resumed table is asked for. */
const ASK_MS = 500;

/** `sluice tables …`: asks the daemon that owns the data directory, or opens the state itself when none runs. Throws a SluiceError. */
export async function tablesCommand(paths: readonly string[], action: TablesAction, output: Output, registry: Registry): Promise<number> {
  const { configuration } = await setUp(paths, registry);
  const { dataDir } = configuration.daemon;
  const answer = await controlRequest(dataDir, `tables/${action.verb}`, argumentsOf(action)).catch((error: unknown) => {
    if (!(error instanceof SluiceError) || error.kind !== CONTROL_NO_DAEMON) throw error;
    return withoutDaemon(configuration, action);
  });
  if (action.verb === 'resume' && action.wait) return follow(dataDir, answer as StoppedTableView, output);
  const views = Array.isArray(answer) ? (answer as readonly StoppedTableView[]) : [answer as StoppedTableView];
  if (action.verb === 'list') print(output, views, listText(views));
  else if (action.verb === 'resume') print(output, views[0], `${action.table} is being resumed; \`sluice tables list\` shows how far it is.\n`);
  else print(output, views[0], `${views[0]?.messages ?? 0} messages of ${action.table} were discarded; the table is live again.\n`);
  return 0;
}

function argumentsOf(action: TablesAction): object {
  const { connector } = action;
  return action.verb === 'list' ? { connector } : { connector, table: action.table };
}

/** Until the table is live (0) or has stopped again (1). */
async function follow(dataDir: string, begun: StoppedTableView, output: Output): Promise<number> {
  const { connector, table: name } = begun;
  for (let left = begun.messages; ; await sleep(ASK_MS)) {
    const views = (await controlRequest(dataDir, 'tables/list', { connector })) as readonly StoppedTableView[];
    const now = views.find((view) => view.table === name);
    if (now === undefined) {
      print(output, { ...begun, state: 'live', messages: 0, bytes: 0 }, `${name} is live again.\n`);
      return 0;
    }
    if (now.stopped !== undefined) {
      const { code, message, remedy } = now.stopped;
      print(output, now, `The connector ${connector} has stopped: ${message}\n  code:   ${code}\n  remedy: ${remedy}\n`);
      return 1;
    }
    if (now.state === 'stopped') {
      print(output, now, `${name} has stopped again: ${now.error}\n  code:   ${now.code}\n  remedy: ${now.remedy}\n`);
      return 1;
    }
    if (!output.json && now.messages !== null && now.messages !== left) output.err(`${now.messages} messages wait …\n`);
    left = now.messages;
  }
}

async function withoutDaemon({ daemon, connectors }: Configuration, action: TablesAction): Promise<StoppedTableView | readonly StoppedTableView[]> {
  const { dataDir } = daemon;
  const runtime = nodeRuntime();
  if (action.verb === 'resume') throw new SluiceError(TABLES_NOT_RUNNING, { connector: findConnector(connectors, action.connector).name });
  // Looking makes no data directory.
  if (action.verb === 'list' && (await runtime.files.list(dataDir)) === null) return [];
  const store = await openStore({ directory: dataDir, runtime, openEngine: openLevel });
  try {
    if (action.verb === 'discard') {
      return await discardSpool({ definition: findConnector(connectors, action.connector), store, runtime, dataDir }, action.table);
    }
    const asked = action.connector === undefined ? connectors : [findConnector(connectors, action.connector)];
    return (await Promise.all(asked.map((definition) => countedViews({ definition, store, runtime, dataDir })))).flat();
  } finally {
    await store.close();
  }
}

function listText(views: readonly StoppedTableView[]): string {
  if (views.length === 0) return 'No table is stopped.\n';
  const number = (value: number | null): string => (value === null ? '?' : String(value));
  const lines = views.map(({ connector, table: name, state, since, code, messages, bytes }) => [
    connector,
    name,
    state,
    since,
    number(messages),
    number(bytes),
    code,
  ]);
  const reasons = views.map(({ table: name, error, remedy }) => `${name}: ${error}\n  remedy: ${remedy}\n`).join('');
  return `${table([['CONNECTOR', 'TABLE', 'STATE', 'SINCE', 'MESSAGES', 'BYTES', 'ERROR'], ...lines])}\n${reasons}`;
}
