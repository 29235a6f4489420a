import { connectorFields } from '../config/connector-fields.ts';
import { CONFIG_CHECK, CONFIG_PATTERN, CONFIG_STORED_HIDDEN } from '../config/errors.ts';
import { fileTrouble } from '../config/files.ts';
import { type Configuration, ConfigurationError, type LoadResult, type StoredChoice } from '../config/load.ts';
import { type Problem, ProblemList } from '../config/problem.ts';
import { maskedPaths } from '../config/shown.ts';
import { isConnectorName, storedDirectory, storedFile } from '../config/stored.ts';
import { type ErrorKind, type ErrorParameters, SluiceError } from '../plugin/error.ts';
import { type Runtime, sleep } from '../plugin/runtime.ts';
import type { StateStore } from '../state/state-store.ts';
import type { Connector } from './connector.ts';
import type { ConnectorStatus } from './connector-ports.ts';
import type { Fleet } from './fleet.ts';
import type { LiveConfiguration } from './live-configuration.ts';
import { CONNECTOR_UNKNOWN } from './offsets.ts';
import { CONNECTOR_EXISTS, CONNECTOR_IN_FILE, CONNECTOR_MASKED, CONNECTOR_NOT_WRITTEN } from './stored-connectors-errors.ts';

/** How the files of connectors are read and shown, by what knows the plug-ins. */
export interface ConnectorReader {
  /** Reads the whole configuration anew. */
  load(stored: StoredChoice): Promise<LoadResult>;
  /** A connector file as it may be shown (I12). Throws JsonSyntaxError. */
  shown(text: string): Promise<Record<string, unknown>>;
}

export interface StoredConnectorsPorts {
  readonly dataDir: string;
  readonly runtime: Runtime;
  readonly store: StateStore;
  readonly fleet: Fleet;
  readonly reader: ConnectorReader;
  readonly configuration: Configuration;
  /** Null: the daemon takes no changes up while it runs. */
  readonly live: LiveConfiguration | null;
}

type Config = Readonly<Record<string, unknown>>;

/** A problem without the place in a text that nobody sees. */
export type ConfigProblem = Pick<Problem, 'severity' | 'path' | 'code' | 'message' | 'remedy'>;

/** A connector with its file. */
export interface ConnectorView {
  readonly name: string;
  readonly file: string;
  /** It was created through the API or a command, and can be changed so. */
  readonly isStored: boolean;
  /** Secrets are `***`. */
  readonly config: Config;
  /** Null: it does not run: its file cannot be used, or was not taken up yet. */
  readonly status: ConnectorStatus | null;
  /** Of its file. */
  readonly problems: readonly ConfigProblem[];
}

export interface ConnectorRemoved {
  readonly name: string;
  /** False: what is in flight has not arrived yet. */
  readonly hasEnded: boolean;
  /** What is still there, and how it is removed. */
  readonly remains: readonly string[];
}

/** Whoever changes a connector is told how it is then; what takes longer shows in its status. */
const TAKEN_UP_MS = 30_000;

/**
 * Connectors that are created, changed and removed while the daemon runs: files in the data directory (mode 0600), checked as files of the configuration are and taken up in the same way.
 */
export class StoredConnectors {
  readonly #ports: StoredConnectorsPorts;
  #last: Promise<unknown> = Promise.resolve();

  constructor(ports: StoredConnectorsPorts) {
    this.#ports = ports;
  }

  /** A connector's status with where it is configured, and what is to be known of that. */
  statusOf(connector: Connector): ConnectorStatus {
    const { name } = connector;
    const { hidden, connectors } = this.#configuration;
    const { file, isStored = false } = connectors.find((each) => each.name === name) ?? connector.definition;
    const other = hidden.get(name);
    if (other === undefined) return { ...connector.status(), file, isStored };
    const { code, message, remedy } = new SluiceError(CONFIG_STORED_HIDDEN, { name, other, file: storedFile(this.#ports.dataDir, name) });
    return { ...connector.status(), file, isStored, warnings: [{ code, message, remedy }] };
  }

  /** Throws SLUICE_CONNECTOR_UNKNOWN. */
  async view(name: string): Promise<ConnectorView> {
    const { runtime, reader, fleet } = this.#ports;
    const found = await this.#find(name);
    if (found === null) throw this.#unknown(name);
    const { file, isStored } = found;
    const bytes = await runtime.files.read(file);
    const running = fleet.connectors.find((each) => each.name === name);
    const status = running === undefined ? null : this.statusOf(running);
    // A text that is no JSON is shown by what is wrong with it.
    const config = bytes === null ? {} : await reader.shown(bytes.toString('utf8')).catch(() => ({}));
    return { name, file, isStored, config, status, problems: ofFile(await reader.load({}), file) };
  }

  /** Throws SLUICE_CONNECTOR_EXISTS, and as `configure`. */
  create(name: string, config: Config): Promise<ConnectorView> {
    return this.#alone(async () => {
      const found = await this.#find(name);
      if (found?.isStored === true) throw new SluiceError(CONNECTOR_EXISTS, { connector: name });
      return this.#write(name, config);
    });
  }

  /** Changes a connector, or creates it. Throws ConfigurationError, SLUICE_CONNECTOR_IN_FILE, SLUICE_CONNECTOR_MASKED, SLUICE_CONNECTOR_NOT_WRITTEN. */
  configure(name: string, config: Config): Promise<ConnectorView> {
    return this.#alone(() => this.#write(name, config));
  }

  /** What would be said of it. Throws SLUICE_CONNECTOR_IN_FILE, SLUICE_CONNECTOR_MASKED. */
  async validate(name: string, config: Config): Promise<{ readonly isValid: boolean; readonly problems: readonly ConfigProblem[] }> {
    const { problems } = await this.#check(name, config).catch((error: unknown) => {
      if (error instanceof ConfigurationError) return error;
      throw error;
    });
    return { isValid: problems.every(({ severity }) => severity === 'warning'), problems: problems.map(shortened) };
  }

  /** `offsets`: what becomes of the place where it was. Throws SLUICE_CONNECTOR_UNKNOWN, SLUICE_CONNECTOR_IN_FILE, SLUICE_CONNECTOR_NOT_WRITTEN. */
  remove(name: string, offsets: 'keep' | 'forget'): Promise<ConnectorRemoved> {
    return this.#alone(async () => {
      const { dataDir, runtime, store, fleet } = this.#ports;
      const found = await this.#find(name);
      if (found === null) throw this.#unknown(name);
      if (!found.isStored) throw new SluiceError(CONNECTOR_IN_FILE, { connector: name, file: found.file });
      const definition = fleet.definitions.find((each) => each.name === name);
      const file = storedFile(dataDir, name);
      await this.#change(file, () => runtime.files.remove(file));
      const hasEnded = !fleet.definitions.some((each) => each.name === name);
      const isForgotten = hasEnded && offsets === 'forget';
      if (isForgotten) {
        await store.replaceOffset(name, null, 'connector deleted');
        // Whoever creates another one under this name has not paused that.
        await store.setPaused(name, false);
      }
      const ofServer =
        definition === undefined
          ? ['What it made on its servers stays there.']
          : (definition.source.plugin.remains?.(definition.source.config, name) ?? []);
      const ofState = isForgotten
        ? 'Its offset and its schema history are forgotten; dead letters and what stopped tables have kept stay in the data directory.'
        : 'Its offset, its schema history and its dead letters stay in the data directory: a connector that is created under this name goes on from there.';
      return { name, hasEnded, remains: [...ofServer, 'What it has sent stays where it is.', ofState] };
    });
  }

  get #configuration(): Configuration {
    return this.#ports.live?.current ?? this.#ports.configuration;
  }

  #unknown(name: string): SluiceError {
    const known = this.#configuration.connectors.map((each) => each.name).join(', ');
    return new SluiceError(CONNECTOR_UNKNOWN, { connector: name, known });
  }

  /** One change after the other. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#last.then(work, work);
    this.#last = next.catch(() => undefined);
    return next;
  }

  /** Where it is configured; a file of the configuration goes before. Null: nowhere. */
  async #find(name: string): Promise<{ readonly file: string; readonly isStored: boolean } | null> {
    const { connectors, hidden } = this.#configuration;
    const own = connectors.find((each) => each.name === name && each.isStored !== true)?.file ?? hidden.get(name);
    if (own !== undefined) return { file: own, isStored: false };
    if (!isConnectorName(name)) return null;
    const file = storedFile(this.#ports.dataDir, name);
    return (await this.#ports.runtime.files.state(file)) === null ? null : { file, isStored: true };
  }

  async #write(name: string, config: Config): Promise<ConnectorView> {
    const { dataDir, runtime } = this.#ports;
    const { text } = await this.#check(name, config);
    const file = storedFile(dataDir, name);
    await this.#change(file, async () => {
      await runtime.files.makeDirectory(storedDirectory(dataDir));
      await runtime.files.replace(file, Buffer.from(text));
    });
    return this.view(name);
  }

  async #change(file: string, work: () => Promise<void>): Promise<void> {
    const { runtime, live } = this.#ports;
    await work().catch((error: unknown) => {
      throw new SluiceError(CONNECTOR_NOT_WRITTEN, { file, reason: fileTrouble(error) }, { cause: error });
    });
    const late = new AbortController();
    await Promise.race([live?.look(), sleep(runtime, TAKEN_UP_MS, late.signal).catch(() => undefined)]);
    late.abort();
  }

  /** The file, if it is right beside all that is configured. */
  async #check(name: string, config: Config): Promise<{ readonly text: string; readonly problems: readonly Problem[] }> {
    const { dataDir, reader } = this.#ports;
    const found = await this.#find(name);
    if (found?.isStored === false) throw new SluiceError(CONNECTOR_IN_FILE, { connector: name, file: found.file });
    const paths = maskedPaths(config);
    if (paths.length > 0) throw new SluiceError(CONNECTOR_MASKED, { paths: paths.join(', ') });
    if (!isConnectorName(name))
      throw wrong('name', CONFIG_PATTERN, { given: JSON.stringify(name.slice(0, 60)), form: connectorFields.name.patternHint });
    const { name: inner = name, ...rest } = config;
    if (inner !== name)
      throw wrong('name', CONFIG_CHECK, {
        statement: `The request is about "${name}", and "config" has another name.`,
        advice: 'Leave "name" out of it.',
      });
    const text = `${JSON.stringify({ name, ...rest }, null, 2)}\n`;
    const file = storedFile(dataDir, name);
    const result = await reader.load({ dataDir, candidate: { name, text } });
    const hiding = result.warnings.find((each) => each.file === file && each.code === CONFIG_STORED_HIDDEN.code);
    if (hiding !== undefined) throw new SluiceError(CONNECTOR_IN_FILE, { connector: name, file: 'the configuration directory' });
    const errors = result.ok ? [] : result.problems;
    const caused = errors.some((each) => each.file !== file) ? await this.#caused(errors.filter((each) => each.file !== file)) : [];
    const problems = [...errors.filter((each) => each.file === file), ...caused];
    if (problems.length > 0) throw new ConfigurationError(problems);
    return { text, problems: result.warnings.filter((each) => each.file === file) };
  }

  /** What is not wrong as things stand (a budget that the one more does not fit into). */
  async #caused(problems: readonly Problem[]): Promise<readonly Problem[]> {
    const before = await this.#ports.reader.load({ dataDir: this.#ports.dataDir });
    const known = new Set((before.ok ? [] : before.problems).map(({ file, message }) => `${file} ${message}`));
    return problems.filter(({ file, message }) => !known.has(`${file} ${message}`));
  }
}

function wrong(path: string, kind: ErrorKind, parameters: ErrorParameters): ConfigurationError {
  const list = new ProblemList();
  list.add('the request', path, null, kind, parameters);
  return new ConfigurationError(list.all);
}

function ofFile(result: LoadResult, file: string): readonly ConfigProblem[] {
  return [...(result.ok ? [] : result.problems), ...result.warnings].filter((each) => each.file === file).map(shortened);
}

function shortened({ severity, path, code, message, remedy }: Problem): ConfigProblem {
  return { severity, path, code, message, remedy };
}
