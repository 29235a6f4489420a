import { stripVTControlCharacters } from 'node:util';
import type { Registry } from '../plugin/registry.ts';
import type { TailLine, TailMessage, TailRecord, TailValue } from '../tail/render.ts';
import { controlStream } from './control-client.ts';
import type { Output } from './output.ts';
import { dataDirectory } from './setup.ts';

/** What is to be shown, as the operation `tail` takes it. */
export interface TailRequest {
  readonly connector: string | undefined;
  readonly stages: readonly string[];
  readonly tables: readonly string[];
  readonly operations: readonly string[];
  readonly where: readonly string[];
  readonly limit: string | undefined;
}

/** `sluice tail`: shows changes until it is interrupted, enough were shown, or the daemon ends. Throws a SluiceError. */
export async function tailCommand(paths: readonly string[], wish: TailRequest, output: Output, registry: Registry): Promise<number> {
  const dataDir = await dataDirectory(paths, registry);
  const ending = new AbortController();
  const end = (): void => ending.abort();
  process.once('SIGINT', end);
  process.once('SIGTERM', end);
  let part = '';
  let shown = 0;
  try {
    const onOpen = (): void => {
      if (!output.json) output.err('Waiting for changes; Ctrl-C ends it.\n');
    };
    for await (const text of controlStream(dataDir, 'tail', wish, { signal: ending.signal, onOpen })) {
      const lines = (part + text).split('\n');
      part = lines.pop() as string;
      shown += lines.length;
      if (lines.length > 0) output.out(output.json ? `${lines.join('\n')}\n` : lines.map((line) => lineText(JSON.parse(line) as TailLine)).join(''));
    }
  } finally {
    process.off('SIGINT', end);
    process.off('SIGTERM', end);
  }
  const isDone = ending.signal.aborted || shown >= Number(wish.limit);
  if (!isDone) output.err('The connector has ended, or its daemon.\n');
  return 0;
}

function lineText(line: TailLine): string {
  if ('missed' in line) return `… ${line.missed} changes were not shown: they came faster than they could be\n`;
  // Rows may hold what a terminal would obey.
  return `${stripVTControlCharacters('destination' in line ? messageText(line) : recordText(line))}\n`;
}

function recordText({ stage, operation, table, committed, before, after }: TailRecord): string {
  const images =
    before !== null && after !== null ? `${rowText(before)} -> ${rowText(after)}` : before === null && after === null ? '' : rowText(after ?? before);
  return `${committed.slice(11, 23)}  ${stage.padEnd(7)}  ${operation.padEnd(8)}  ${table}  ${images}`.trimEnd();
}

function messageText({ stage, operation, destination, key, value, isBinary }: TailMessage): string {
  const shape = isBinary === true ? ' (base64)' : '';
  return `${stage.padEnd(7)}  ${(operation ?? '').padEnd(8)}  ${destination}${shape}  ${key ?? 'no key'}  ${value ?? 'tombstone'}`;
}

function rowText(row: Readonly<Record<string, TailValue>> | null): string {
  const cells = Object.entries(row ?? {}).map(([name, value]) => {
    const text = value === null ? 'null' : typeof value === 'string' ? value : '(not sent)';
    return `${name}=${text}`;
  });
  return cells.join(' ');
}
