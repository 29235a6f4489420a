import { CONFIG_SYNTAX, CONFIG_UNREADABLE, CONFIG_WRONG_TYPE } from '../config/errors.ts';
import { diskFiles, fileTrouble } from '../config/files.ts';
import { JsonSyntaxError, locate, parseJson } from '../config/json.ts';
import { ConfigurationError } from '../config/load.ts';
import { ProblemList } from '../config/problem.ts';
import type { ConfigProblem, ConnectorRemoved, ConnectorView } from '../daemon/stored-connectors.ts';
import type { ErrorKind, ErrorParameters } from '../plugin/error.ts';
import type { Registry } from '../plugin/registry.ts';
import { controlRequest } from './control-client.ts';
import { type Output, print } from './output.ts';
import { setUp } from './setup.ts';
import { formatProblems } from './validate.ts';

/** What a command asks for. */
export type StoredAction =
  | { readonly verb: 'create' | 'configure' | 'validate'; readonly file: string }
  | { readonly verb: 'show'; readonly connector: string }
  | { readonly verb: 'delete'; readonly connector: string; readonly offsets: 'keep' | 'forget' };

/** `sluice connectors …`: asks the daemon that owns the data directory. Throws a SluiceError. */
export async function storedCommand(paths: readonly string[], action: StoredAction, output: Output, registry: Registry): Promise<number> {
  const { dataDir } = (await setUp(paths, registry)).configuration.daemon;
  const ask = (body: object): Promise<unknown> => controlRequest(dataDir, `connectors/${action.verb}`, body);
  if (action.verb === 'show') {
    const view = (await ask({ connector: action.connector })) as ConnectorView;
    print(output, view, `${JSON.stringify(view, null, 2)}\n`);
    return 0;
  }
  if (action.verb === 'delete') {
    const { connector, offsets } = action;
    const removed = (await ask({ connector, offsets })) as ConnectorRemoved;
    const ended = removed.hasEnded ? 'has ended and is deleted' : 'is deleted and ends when what is in flight has arrived';
    print(output, removed, `${connector} ${ended}.\n${removed.remains.map((each) => `  ${each}\n`).join('')}`);
    return 0;
  }
  const { name, config } = await readConnector(action.file);
  const answer = await ask(action.verb === 'create' ? { name, config } : { connector: name, config }).catch((error: unknown) => {
    // Its places are those of the file.
    if (error instanceof ConfigurationError) throw new ConfigurationError(error.problems.map((each) => placed(each, action.file)));
    throw error;
  });
  if (action.verb === 'validate') {
    const { isValid, problems } = answer as { isValid: boolean; problems: readonly ConfigProblem[] };
    print(output, answer, `${formatProblems(problems.map((each) => placed(each, action.file)))}${isValid ? 'valid\n' : ''}`);
    return isValid ? 0 : 2;
  }
  const view = answer as ConnectorView;
  print(
    output,
    view,
    `${formatProblems(view.problems.map((each) => placed(each, action.file)))}${name} is ${view.status?.state ?? 'not running yet'}.\n`,
  );
  return 0;
}

function placed({ severity, path, code, message, remedy }: ConfigProblem, file: string): ConfigurationError['problems'][number] {
  return { severity, file, path, code, message, remedy };
}

/** Throws ConfigurationError. */
async function readConnector(file: string): Promise<{ readonly name: string; readonly config: Readonly<Record<string, unknown>> }> {
  let text = '';
  try {
    text = (await diskFiles.read(file)).toString('utf8');
    parseJson(text);
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw wrong(file, CONFIG_UNREADABLE, { file, reason: fileTrouble(error) });
    throw wrong(file, CONFIG_SYNTAX, { ...locate(text, error.offset), reason: error.message });
  }
  const value = JSON.parse(text.replace(/^\ufeff/, '')) as unknown;
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw wrong(file, CONFIG_WRONG_TYPE, { expected: 'an object', given: 'something else', hint: 'A connector file is one JSON object.' });
  const { name } = value as { name?: unknown };
  return { name: typeof name === 'string' ? name : '', config: value as Readonly<Record<string, unknown>> };
}

function wrong(file: string, kind: ErrorKind, parameters: ErrorParameters): ConfigurationError {
  const list = new ProblemList();
  list.add(file, '', null, kind, parameters);
  return new ConfigurationError(list.all);
}
