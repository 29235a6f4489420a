import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Problem } from '../config/problem.ts';
import { Redaction } from '../config/redact.ts';
import { nodeRuntime } from '../daemon/node-runtime.ts';
import { visibleTables } from '../daemon/visible-tables.ts';
import { rootMessage, SluiceError } from '../plugin/error.ts';
import type { TableOutline } from '../plugin/outline.ts';
import { isPatternError, parsePattern } from '../plugin/patterns.ts';
import type { Registry } from '../plugin/registry.ts';
import { tableLabel } from '../record/table.ts';
import { createLogger } from '../telemetry/logger.ts';
import { doctorCommand } from './doctor.ts';
import { asFieldHas, Draft, type Part, type Question } from './init-draft.ts';
import { INIT_EXISTS, INIT_UNANSWERED, INIT_WRITE } from './init-errors.ts';
import { type Output, print } from './output.ts';
import { Questions } from './questions.ts';

export interface InitOptions {
  readonly directory: string;
  readonly name: string | undefined;
  readonly source: string | undefined;
  readonly sink: string | undefined;
  readonly tables: readonly string[];
  /** `source.url=…` */
  readonly assignments: readonly string[];
  readonly isOffline: boolean;
}

/** Longer than connecting may take by its own limit. */
const LOOK_MS = 30_000;
/** More tables are not listed one by one. */
const LISTED = 40;
/** As shells have it of what ended by Ctrl-C. */
const INTERRUPTED = 130;
const NAME = /^[a-z0-9][a-z0-9_-]{0,62}$/i;

/** `sluice init`: writes a connector file, and says what the servers still lack. Returns 0 once it is written. Throws a SluiceError. */
export async function initCommand(options: InitOptions, output: Output, registry: Registry): Promise<number> {
  const questions = new Questions(process.stdin, output.err);
  try {
    const interview = new Interview(options, questions, registry);
    const draft = await interview.hold();
    await write(draft);
    const { path, name } = draft;
    const secrets = interview.variables.map((variable) => `  export ${variable}=…\n`).join('');
    const sluice = process.env['npm_command'] === 'exec' ? 'npx sluice' : 'sluice';
    const next = `${secrets}  ${sluice} doctor ${path}\n  ${sluice} run ${path}\n`;
    if (!output.json && !options.isOffline) {
      output.err('\nWhat doctor says of it:\n');
      await doctorCommand([path], { fix: false }, output, registry);
    }
    print(output, { connector: name, file: path, variables: interview.variables }, `\nWritten: ${path}\nNext:\n${next}`);
    return 0;
  } catch (error) {
    if (!questions.isInterrupted) throw error;
    output.err('Nothing was written.\n');
    return INTERRUPTED;
  } finally {
    questions.close();
  }
}

async function write({ path, text }: Draft): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text, { flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw new SluiceError(INIT_EXISTS, { path });
    throw new SluiceError(INIT_WRITE, { path, reason: rootMessage(error) }, { cause: error });
  }
}

/** The questions, in their order; what the command line says is not asked. */
class Interview {
  readonly #options: InitOptions;
  readonly #questions: Questions;
  readonly #draft: Draft;
  /** Environment variables that the file names. */
  readonly variables: string[] = [];

  constructor(options: InitOptions, questions: Questions, registry: Registry) {
    this.#options = options;
    this.#questions = questions;
    this.#draft = new Draft(options.directory, registry);
  }

  async hold(): Promise<Draft> {
    const draft = this.#draft;
    const { name, source, tables, sink, assignments } = this.#options;
    draft.name = name ?? (await this.#answer('Name of the connector; topics and subjects begin with it', '--name NAME', (text) => NAME.test(text)));
    draft.set('source', 'type', source ?? (await this.#choice('source')));
    if (sink !== undefined) draft.set('sink', 'type', sink);
    for (const text of assignments.filter((each) => !each.startsWith('sink.'))) await draft.assign(text);
    if (tables.length > 0) draft.set('source', 'tables', tables);
    await this.#askSource();
    if (sink === undefined) draft.set('sink', 'type', await this.#choice('sink'));
    for (const text of assignments.filter((each) => each.startsWith('sink.'))) await draft.assign(text);
    await this.#askAll('sink');
    const { problems } = await draft.load(process.env);
    if (problems.length === 0) return draft;
    // Given on the command line, all of it.
    const [first] = problems as [Problem];
    throw new SluiceError({ code: first.code, retry: 'never', exit: 2, cause: `${first.path}: ${first.message}`, remedy: first.remedy });
  }

  /** The server, until it can be reached; then the tables. */
  async #askSource(): Promise<void> {
    const draft = this.#draft;
    for (;;) {
      const asked = await this.#askAll('source');
      if (this.#options.isOffline) break;
      const found = await this.#look();
      if (!(found instanceof SluiceError)) {
        if (!draft.has('source', 'tables')) await this.#askTables(found);
        return;
      }
      if (asked.length === 0) throw found;
      this.#questions.say(`${found.message}\n  remedy: ${found.remedy}\nOnce more, or end it with Ctrl-C:\n`);
      for (const { part, option } of asked) draft.drop(part, option);
      this.variables.length = 0;
    }
    if (!draft.has('source', 'tables')) draft.set('source', 'tables', await this.#patterns());
  }

  /** The captured tables if it captured all, or why that cannot be known. */
  async #look(): Promise<readonly TableOutline[] | SluiceError> {
    this.#questions.say('Looking at the database …\n');
    const { definition, problems, secrets } = await this.#draft.load(process.env, { tables: ['*.*'], sink: { type: 'stdout' } });
    if (definition === null)
      return new SluiceError({
        code: 'SLUICE_CONFIG_INVALID',
        retry: 'never',
        exit: 2,
        cause: problems.map(({ path, message }) => `${path}: ${message}`).join(' '),
        remedy: problems[0]?.remedy ?? '',
      });
    const redaction = new Redaction(secrets);
    const log = createLogger({ level: 'error', format: 'pretty', redact: (text) => redaction.redact(text) });
    try {
      return await visibleTables(definition, { runtime: nodeRuntime((secret) => redaction.hideRenewed(secret)), log }, AbortSignal.timeout(LOOK_MS));
    } catch (error) {
      if (error instanceof SluiceError) return error;
      throw error;
    }
  }

  async #askTables(tables: readonly TableOutline[]): Promise<void> {
    const labels = tables.map(tableLabel);
    const listed = labels.slice(0, LISTED).map((label) => `  ${label}\n`);
    const more = labels.length > LISTED ? `  … and ${labels.length - LISTED} more\n` : '';
    this.#questions.say(labels.length === 0 ? 'There is no table that can be seen yet.\n' : `Tables:\n${listed.join('')}${more}`);
    this.#draft.set('source', 'tables', await this.#patterns());
  }

  /** The tables, or patterns of them, that are wanted. */
  async #patterns(): Promise<readonly string[]> {
    const text = await this.#answer(
      'Tables to capture, with commas between and * for any characters, as in public.orders, public.customer_*',
      '--table PATTERN',
      (answer) => answer !== '' && answer.split(',').every((each) => !isPatternError(parsePattern(each.trim()))),
    );
    return text.split(',').map((each) => each.trim());
  }

  /** Asks for everything that the part lacks; returns what it asked. */
  async #askAll(part: Part): Promise<readonly Question[]> {
    const lacking = await this.#draft.lacking(part);
    // What may be left out is asked for only where somebody answers anyway.
    const asked = lacking.some(({ field }) => field.asked !== true) ? lacking : [];
    for (const question of asked) await this.#ask(question);
    return asked;
  }

  async #ask({ part, option, field }: Question): Promise<void> {
    if (field.secret === true) {
      await this.#askSecret(part, option);
      return;
    }
    const [first = ''] = field.about.split(/(?<=\.) /);
    const example = Array.isArray(field.example) ? field.example.join(', ') : field.example === undefined ? '' : String(field.example);
    const text = `${first}${example === '' ? '' : `\n  such as ${example}`}\n${part}.${option}`;
    for (;;) {
      const answer = await this.#answer(text, `--set ${part}.${option}=…`, (given) => given !== '');
      this.#draft.set(part, option, asFieldHas(field, answer));
      const standIn = part === 'source' ? { tables: ['*.*'], sink: { type: 'stdout' } } : {};
      const { problems } = await this.#draft.load(process.env, standIn);
      const own = problems.filter(({ path }) => path === `${part}.${option}` || path.startsWith(`${part}.${option}[`));
      if (own.length === 0) return;
      this.#questions.say(own.map(({ message, remedy }) => `${message}\n  remedy: ${remedy}\n`).join(''));
    }
  }

  /** Only the name of the variable goes into the file (I12). */
  async #askSecret(part: Part, option: string): Promise<void> {
    const fallback = `${this.#draft.name.toUpperCase().replaceAll('-', '_')}_DB_${option.toUpperCase()}`;
    const question = `Environment variable that holds the ${option} (- if the server asks for none)`;
    const variable = await this.#answer(
      question,
      `--set '${part}.${option}=\${env:NAME}'`,
      (text) => /^([A-Za-z_][A-Za-z0-9_]*|-)$/.test(text),
      fallback,
    );
    if (variable === '-') return;
    this.#draft.set(part, option, `\${env:${variable}}`);
    this.variables.push(variable);
    if (process.env[variable] !== undefined || this.#options.isOffline) return;
    const value = await this.#questions.ask(`${variable} is not set. The ${option}, to look at the server now; it is not stored`, { isHidden: true });
    if (value === null) throw new SluiceError(INIT_UNANSWERED, { what: `the ${option}`, option: `export ${variable}=…` });
    if (value === '') {
      // It asks for none, then.
      this.#draft.drop(part, option);
      this.variables.pop();
    } else process.env[variable] = value;
  }

  #choice(part: Part): Promise<string> {
    const types = this.#draft.types(part);
    const question = `${part === 'source' ? 'Where the changes come from' : 'Where they go'} (${types.join(', ')})`;
    return this.#answer(question, `--${part} TYPE`, (text) => types.includes(text));
  }

  /** Asks until the answer will do. Throws SLUICE_INIT_UNANSWERED. */
  async #answer(question: string, option: string, isRight: (text: string) => boolean, fallback = ''): Promise<string> {
    for (;;) {
      const answer = await this.#questions.ask(question, { fallback });
      if (answer === null) throw new SluiceError(INIT_UNANSWERED, { what: question.split('\n').at(-1) ?? '', option });
      if (isRight(answer)) return answer;
      this.#questions.say(`"${answer}" is no answer to that.\n`);
    }
  }
}
