import type { ConnectorDefinition } from '../config/definition.ts';
import type { Configuration } from '../config/load.ts';
import { CONTROL_NO_DAEMON } from '../daemon/control-errors.ts';
import { type DeadLetterView, discardLetters, letterView, openDeadLetters, openToDiscard, viewsOf } from '../daemon/dead-letters.ts';
import { nodeRuntime } from '../daemon/node-runtime.ts';
import { findConnector } from '../daemon/offsets.ts';
import type { Replayed } from '../dead-letters/dead-letters.ts';
import { DEAD_LETTER_DAMAGED, DEAD_LETTER_STOPPED } from '../dead-letters/errors.ts';
import { deadLetterDirectory } from '../dead-letters/file.ts';
import { type LetterHead, parseEntry, partsOfEntry } from '../dead-letters/letter.ts';
import { SluiceError } from '../plugin/error.ts';
import type { Registry } from '../plugin/registry.ts';
import { eachHeaderOf } from '../record/messages.ts';
import { entryAt } from '../segments/segment.ts';
import { segmentPath } from '../segments/segment-log.ts';
import { openLevel } from '../state/level.ts';
import { openStore } from '../state/store.ts';
import { controlRequest } from './control-client.ts';
import { type Output, print, table } from './output.ts';
import { setUp } from './setup.ts';

/** What a command asks for. `id` left out: all. */
export type DlqAction =
  | { readonly verb: 'list'; readonly connector?: string }
  | { readonly verb: 'show'; readonly connector?: string; readonly id: string }
  | { readonly verb: 'replay' | 'discard'; readonly connector?: string; readonly id?: string };

/** `sluice dlq …`: asks the daemon that owns the data directory, or opens the state itself when none runs. Throws a SluiceError. */
export async function dlqCommand(paths: readonly string[], action: DlqAction, output: Output, registry: Registry): Promise<number> {
  const { configuration } = await setUp(paths, registry);
  const asked =
    action.verb === 'show' ? { verb: 'list' as const, connector: findConnector(configuration.connectors, action.connector).name } : action;
  const { verb, ...body } = asked;
  const answer = await controlRequest(configuration.daemon.dataDir, `dlq/${verb}`, body).catch((error: unknown) => {
    if (!(error instanceof SluiceError) || error.kind !== CONTROL_NO_DAEMON) throw error;
    return withoutDaemon(configuration, asked);
  });
  if (action.verb === 'show')
    return show(
      configuration.daemon.dataDir,
      findConnector(configuration.connectors, action.connector).name,
      answer as readonly DeadLetterView[],
      action.id,
      output,
    );
  if (action.verb === 'replay') return replayed(answer as readonly Replayed[], output);
  const views = answer as readonly DeadLetterView[];
  print(output, views, action.verb === 'discard' ? `${views.length} discarded.\n` : listText(views));
  return 0;
}

async function withoutDaemon(
  { daemon, connectors }: Configuration,
  action: Exclude<DlqAction, { verb: 'show' }>,
): Promise<readonly DeadLetterView[]> {
  const { dataDir } = daemon;
  const runtime = nodeRuntime();
  const one = (): ConnectorDefinition => findConnector(connectors, action.connector);
  if (action.verb === 'replay') throw new SluiceError(DEAD_LETTER_STOPPED, { connector: one().name });
  // Looking makes no data directory.
  if ((await runtime.files.list(`${dataDir}/dead-letters`)) === null) return [];
  const store = await openStore({ directory: dataDir, runtime, openEngine: openLevel });
  try {
    const ports = { store, runtime, dataDir };
    if (action.verb === 'discard') return await discardLetters(one().name, await openToDiscard(one(), ports, action.id), action.id);
    const views: DeadLetterView[] = [];
    for (const connector of action.connector === undefined ? connectors : [one()])
      views.push(...viewsOf(connector.name, await openDeadLetters(connector, ports)));
    return views;
  } finally {
    await store.close();
  }
}

/** With its content: that is read from the file by the command, it passes no API (I12). */
async function show(dataDir: string, connector: string, views: readonly DeadLetterView[], id: string, output: Output): Promise<number> {
  const view = letterView(connector, views, id);
  const path = segmentPath(deadLetterDirectory(dataDir, view.connector), view.segment);
  const bytes = await nodeRuntime().files.read(path);
  const entry = bytes === null ? null : entryAt(bytes, view.offset);
  const head = entry === null ? null : (parseEntry(entry) as LetterHead);
  if (entry === null || head?.id !== id) throw new SluiceError(DEAD_LETTER_DAMAGED, { connector: view.connector, id, path, offset: view.offset });
  const { key, value, headers } = partsOfEntry(entry, head);
  const named: Record<string, string> = {};
  if (headers !== null) eachHeaderOf(headers, 0, headers.length, (name, text) => (named[name] = text));
  const content = { ...view, key: key?.toString() ?? null, value: value?.toString() ?? null, headers: named };
  print(output, content, `${JSON.stringify(content, null, 2)}\n`);
  return 0;
}

const OUTCOMES = { replayed: 'sent', superseded: 'not sent', refused: 'refused again', damaged: 'not sent: it cannot be read' } as const;

function replayed(results: readonly Replayed[], output: Output): number {
  const lines = results.map(({ id, destination, outcome, error, note }) => [id, destination, OUTCOMES[outcome], error ?? note ?? '']);
  print(output, results, results.length === 0 ? 'There are no open dead letters.\n' : table([['ID', 'DESTINATION', 'OUTCOME', 'WHY'], ...lines]));
  return results.every(({ outcome }) => outcome === 'replayed') ? 0 : 1;
}

function listText(views: readonly DeadLetterView[]): string {
  if (views.length === 0) return 'There are no open dead letters.\n';
  const lines = views.map(({ connector, id, destination, code, time, bytes, superseded }) => [
    connector,
    time,
    destination,
    code,
    String(bytes),
    superseded ? 'yes' : '',
    id,
  ]);
  return table([['CONNECTOR', 'TIME', 'DESTINATION', 'ERROR', 'BYTES', 'SUPERSEDED', 'ID'], ...lines]);
}
