import { basename, dirname, join, resolve } from 'node:path';
import { SluiceError } from '../plugin/error.ts';
import type { Registry } from '../plugin/registry.ts';
import { loadConnector } from './connector.ts';
import { type DaemonConfig, loadDaemon } from './daemon.ts';
import type { ConnectorDefinition } from './definition.ts';
import {
  CONFIG_CLAIM,
  CONFIG_DUPLICATE_NAME,
  CONFIG_INVALID,
  CONFIG_NO_CONNECTORS,
  CONFIG_NOT_FOUND,
  CONFIG_PATHS,
  CONFIG_SECRET_WORD,
  CONFIG_STORED_HIDDEN,
  CONFIG_STORED_NAME,
  CONFIG_SYNTAX,
  CONFIG_UNREADABLE,
} from './errors.ts';
import { type ConfigurationFiles, diskFiles, fileTrouble } from './files.ts';
import { type JsonNode, JsonSyntaxError, parseJson } from './json.ts';
import { checkMemory } from './memory.ts';
import { FileProblems, nodeAt, type Problem, ProblemList } from './problem.ts';
import { type Reach, storedReach } from './reach.ts';
import { redactor } from './redact.ts';
import { type ReferenceSources, resolveReferences } from './references.ts';
import { storedDirectory, storedFile, storedName } from './stored.ts';
import type { Validation } from './validate.ts';

export type { ConnectorDefinition };

export interface Configuration {
  readonly daemon: DaemonConfig;
  readonly connectors: readonly ConnectorDefinition[];
  /** Connectors of the data directory that are not used, as a file of the configuration has the name: name → that file. */
  readonly hidden: ReadonlyMap<string, string>;
  /** Every secret value, for `redactor` (I12). */
  readonly secrets: ReadonlySet<string>;
}

export type LoadResult =
  | { readonly ok: true; readonly configuration: Configuration; readonly warnings: readonly Problem[] }
  | {
      readonly ok: false;
      readonly problems: readonly Problem[];
      readonly warnings: readonly Problem[];
      /** Null: what the connectors have in common is wrong. */
      readonly daemon: DaemonConfig | null;
      /** With the connectors whose files are right; null: there is none (unless the API is there to mend them), or what they have in common is wrong. */
      readonly usable: Configuration | null;
    };

export interface LoadOptions {
  /** One directory, or connector files (and a `sluice.json`). Empty: `SLUICE_CONFIG`, else the current directory. */
  readonly paths: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly registry: Registry;
  /**
   * `leave`: `${env:}` and `${file:}` are checked for their form and stay as they are. Such a configuration is for looking at, not for running:
   * where a number or a choice is not known, its default stands in.
   */
  readonly secrets: 'resolve' | 'leave';
  /** Which connectors of the data directory are taken beside the files; left out: all. */
  readonly stored?: StoredChoice;
  readonly files?: ConfigurationFiles;
  /** What relative paths start at. */
  readonly cwd?: string;
}

/** Connectors of the data directory. */
export interface StoredChoice {
  /** None of them: only what stands in the configuration counts. */
  readonly none?: true;
  /** The data directory where they stand, whatever `sluice.json` says by now. */
  readonly dataDir?: string;
  /** What is to be stored, in place of what stands there under its name: read last, so that what does not fit is its fault. */
  readonly candidate?: { readonly name: string; readonly text: string };
}

/** Reads and checks a whole configuration. All problems come at once; nothing is connected to, nothing is written. Throws nothing for a user's mistake. */
export async function loadConfiguration(options: LoadOptions): Promise<LoadResult> {
  const loader = new Loader(options);
  return await loader.load();
}

/** A configuration that cannot be used, with everything that is wrong in it. */
export class ConfigurationError extends SluiceError {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(CONFIG_INVALID, { count: problems.length === 1 ? '1 error' : `${problems.length} errors` });
    this.name = 'ConfigurationError';
    this.problems = problems;
  }
}

/** For what cannot go on without any connector. Throws ConfigurationError. */
export function requireConfiguration(result: LoadResult): Configuration {
  if (result.ok) return result.configuration;
  if (result.usable !== null) return result.usable;
  throw new ConfigurationError(result.problems);
}

interface ParsedFile {
  readonly tree: JsonNode;
  readonly validation: Validation;
}

interface Found {
  readonly daemon: string | null;
  readonly connectors: readonly string[];
  /** Stands for the place of `sluice.json` where there is none. */
  readonly home: string;
  /** A directory without a connector. */
  readonly empty?: string;
}

/** Words that stand in messages and remedies everywhere. */
const OWN_WORDS =
  'sluice secret password token public postgres postgresql mysql mariadb kafka nats connector table database schema stream topic subject publication slot snapshot position server source sink user role admin root';

class Loader {
  readonly #options: LoadOptions;
  readonly #cwd: string;
  readonly #references: ReferenceSources;
  readonly #problems = new ProblemList();
  readonly #secrets = new Set<string>();
  readonly #places: NonNullable<Validation['places']> = new Map();
  readonly #words = new Set<string>();
  readonly #connectorFiles = new Set<string>();
  readonly #storedFiles = new Set<string>();
  readonly #names = new Map<string, string>();
  /** Files that do not tell the name of their connector, by their own. */
  readonly #unnamed = new Map<string, string>();
  readonly #claims = new Map<string, string>();
  readonly #hidden = new Map<string, string>();

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#cwd = options.cwd ?? process.cwd();
    this.#references = { mode: options.secrets, env: options.env, files: options.files ?? diskFiles };
  }

  async load(): Promise<LoadResult> {
    const found = await this.#find();
    const home = found.daemon === null ? found.home : dirname(resolve(this.#cwd, found.daemon));
    const parsed = found.daemon === null ? null : await this.#parse(found.daemon);
    const env = this.#options.env;
    const unreadable = found.daemon !== null && parsed === null;
    const daemon = unreadable ? null : loadDaemon(parsed, home, this.#cwd, env, this.#problems);
    const own = await this.#connectors(found.connectors);
    const stored = daemon === null ? [] : await this.#storedConnectors(daemon);
    const connectors = [...own, ...stored];
    if (found.empty !== undefined && this.#storedFiles.size === 0 && (daemon === null || daemon.http === null))
      this.#problems.add(found.empty, '', null, CONFIG_NO_CONNECTORS, { directory: found.empty });
    if (parsed !== null && daemon !== null) checkMemory(daemon.maxMemory, connectors, parsed);
    this.#tellWords();
    const redact = redactor(this.#secrets);
    const shown = (severity: Problem['severity']): Problem[] =>
      this.#problems.sorted(severity).map((problem) => ({ ...problem, message: redact(problem.message), remedy: redact(problem.remedy) }));
    const problems = shown('error');
    const warnings = shown('warning');
    if (problems.length > 0 || daemon === null) return { ok: false, problems, warnings, daemon, usable: this.#usable(daemon, connectors, problems) };
    return { ok: true, configuration: this.#configuration(daemon, connectors), warnings };
  }

  /** What is said openly anyway cannot be hidden: it would only take the names out of remedies. */
  #tellWords(): void {
    const said = [...this.#words, OWN_WORDS].join('\n').toLowerCase();
    for (const secret of [...this.#secrets]) {
      if (!said.includes(secret.toLowerCase())) continue;
      this.#secrets.delete(secret);
      const place = this.#places.get(secret);
      place?.problems.add(place.path, place.node, CONFIG_SECRET_WORD);
    }
  }

  /** One wrong file leaves the other connectors as they are. */
  #usable(daemon: DaemonConfig | null, connectors: readonly ConnectorDefinition[], problems: readonly Problem[]): Configuration | null {
    const wrong = new Set(problems.map(({ file }) => file));
    const isShared = problems.some(({ file }) => !this.#connectorFiles.has(file));
    const right = connectors.filter(({ file }) => !wrong.has(file));
    const isMendable = daemon?.http != null && [...wrong].every((file) => this.#storedFiles.has(file));
    return daemon === null || isShared || (right.length === 0 && !isMendable) ? null : this.#configuration(daemon, right);
  }

  #configuration(daemon: DaemonConfig, connectors: readonly ConnectorDefinition[]): Configuration {
    return { daemon, connectors, hidden: this.#hidden, secrets: this.#secrets };
  }

  /** Which files there are. */
  async #find(): Promise<Found> {
    const fromEnv = this.#options.env.SLUICE_CONFIG;
    const paths = this.#options.paths.length > 0 ? this.#options.paths : [fromEnv === undefined || fromEnv === '' ? '.' : fromEnv];
    const files: string[] = [];
    for (const path of new Set(paths)) {
      const kind = await this.#kind(path);
      if (kind === null) this.#problems.add(path, '', null, CONFIG_NOT_FOUND, { file: path });
      else if (kind === 'file') files.push(path);
      else if (paths.length === 1) return await this.#findIn(path);
      else this.#problems.add(path, '', null, CONFIG_PATHS, {});
    }
    const daemons = files.filter((file) => basename(file) === 'sluice.json');
    const connectors = files.filter((file) => basename(file) !== 'sluice.json');
    const [daemon = null, second] = daemons;
    if (second !== undefined) this.#problems.add(second, '', null, CONFIG_PATHS, {});
    if (daemon !== null && connectors.length === 0) return await this.#findIn(dirname(daemon));
    const folder = dirname(resolve(this.#cwd, connectors[0] ?? '.'));
    // The same state, whether the file is named or the directory that holds `connectors/`.
    return { daemon, connectors, home: basename(folder) === 'connectors' ? dirname(folder) : folder };
  }

  async #findIn(directory: string): Promise<Found> {
    const home = resolve(this.#cwd, directory);
    const daemon = join(directory, 'sluice.json');
    const folder = join(directory, 'connectors');
    const names = (await this.#kind(folder)) === 'directory' ? await this.#list(folder) : [];
    const connectors = names.filter((name) => name.endsWith('.json') && !name.startsWith('.')).sort();
    const found = { daemon: (await this.#kind(daemon)) === 'file' ? daemon : null, connectors: connectors.map((name) => join(folder, name)), home };
    return connectors.length === 0 ? { ...found, empty: directory } : found;
  }

  async #kind(path: string): Promise<'file' | 'directory' | null> {
    try {
      return (await this.#references.files.look(resolve(this.#cwd, path)))?.kind ?? null;
    } catch (error) {
      this.#problems.add(path, '', null, CONFIG_UNREADABLE, { file: path, reason: fileTrouble(error) });
      return null;
    }
  }

  async #list(path: string): Promise<readonly string[]> {
    try {
      return await this.#references.files.list(resolve(this.#cwd, path));
    } catch (error) {
      this.#problems.add(path, '', null, CONFIG_UNREADABLE, { file: path, reason: fileTrouble(error) });
      return [];
    }
  }

  async #parse(file: string, given?: string, reach?: Reach): Promise<ParsedFile | null> {
    let text: string;
    try {
      text = given ?? (await this.#references.files.read(resolve(this.#cwd, file))).toString('utf8');
    } catch (error) {
      this.#problems.add(file, '', null, CONFIG_UNREADABLE, { file, reason: fileTrouble(error) });
      return null;
    }
    const problems = new FileProblems(file, text, this.#problems);
    try {
      const tree = parseJson(text);
      const within = reach === undefined ? {} : { reach };
      const texts = await resolveReferences(tree, { ...this.#references, ...within }, problems);
      return {
        tree,
        validation: {
          problems,
          texts,
          secrets: this.#secrets,
          places: this.#places,
          words: this.#words,
          unknown: new Set(),
          failed: new Set(),
          ...within,
        },
      };
    } catch (error) {
      if (!(error instanceof JsonSyntaxError)) throw error;
      problems.addSyntax(error.offset, CONFIG_SYNTAX, error.message);
      return null;
    }
  }

  async #connectors(files: readonly string[]): Promise<ConnectorDefinition[]> {
    const definitions: ConnectorDefinition[] = [];
    for (const file of files) {
      this.#connectorFiles.add(file);
      const parsed = await this.#parse(file);
      // What it is called is not known: what its file is called stands for that.
      if (parsed === null) this.#unnamed.set(basename(file, '.json'), file);
      else definitions.push(...(await this.#connector(file, parsed)));
    }
    return definitions;
  }

  /** One, or none after an error. */
  async #connector(file: string, { tree, validation }: ParsedFile): Promise<readonly ConnectorDefinition[]> {
    const loaded = await loadConnector(tree, file, this.#options.registry, validation);
    const { name, definition } = loaded;
    if (name === null) this.#unnamed.set(basename(file, '.json'), file);
    else {
      const other = this.#names.get(name);
      if (other !== undefined) validation.problems.add('name', loaded.nameAt, CONFIG_DUPLICATE_NAME, { name, other });
      else this.#names.set(name, file);
    }
    if (definition === null) return [];
    for (const { claim, path } of loaded.claims) {
      const other = this.#claims.get(claim);
      if (other !== undefined) validation.problems.add(path, loaded.sectionAt(path), CONFIG_CLAIM, { claim, other });
      else this.#claims.set(claim, definition.name);
    }
    return [definition];
  }

  /** What was created through the API or a command. A file of the configuration with the same name goes before. */
  async #storedConnectors({ dataDir, stored }: DaemonConfig): Promise<readonly ConnectorDefinition[]> {
    const { none, candidate, dataDir: fixed = dataDir } = this.#options.stored ?? {};
    if (none === true) return [];
    const directory = storedDirectory(fixed);
    // What is wrong with it is no fault of the others.
    this.#connectorFiles.add(directory);
    const listed = (await this.#kind(directory)) === 'directory' ? await this.#list(directory) : [];
    const names = listed.flatMap(storedName).filter((name) => name !== candidate?.name);
    const reach = storedReach(stored);
    const definitions: ConnectorDefinition[] = [];
    for (const name of [...names.sort(), ...(candidate === undefined ? [] : [candidate.name])]) {
      const file = storedFile(fixed, name);
      this.#connectorFiles.add(file);
      this.#storedFiles.add(file);
      const other = this.#names.get(name) ?? this.#unnamed.get(name);
      if (other !== undefined) {
        this.#hidden.set(name, other);
        this.#problems.add(file, '', null, CONFIG_STORED_HIDDEN, { name, other, file });
        continue;
      }
      const parsed = await this.#parse(file, name === candidate?.name ? candidate.text : undefined, reach);
      if (parsed === null) continue;
      for (const definition of await this.#connector(file, parsed)) {
        if (definition.name !== name)
          parsed.validation.problems.add('name', nodeAt(parsed.tree, 'name'), CONFIG_STORED_NAME, { file, name: definition.name });
        else definitions.push({ ...definition, isStored: true });
      }
    }
    return definitions;
  }
}
