import { isDeepStrictEqual } from 'node:util';
import { type ConnectorChange, connectorChanges, describeChange } from '../config/changes.ts';
import type { Configuration, LoadResult } from '../config/load.ts';
import type { Logger } from '../plugin/context.ts';
import { rootMessage } from '../plugin/error.ts';
import { type Runtime, sleep } from '../plugin/runtime.ts';
import type { Fleet } from './fleet.ts';

/** How often it is looked. Files that are written one after the other are waited for until nothing moves between two looks. */
const LOOK_MS = 1_000;

/** A configuration that was read, and whether its files are others by now. */
export interface ReadConfiguration {
  readonly result: LoadResult;
  haveChanged(): Promise<boolean>;
}

export interface LiveOptions {
  readonly fleet: Fleet;
  readonly runtime: Runtime;
  readonly log: Logger;
  /** Reads it anew, secrets too. */
  readonly read: () => Promise<ReadConfiguration>;
  /** What runs. */
  readonly configuration: Configuration;
  /** Secrets that must not be shown from now on (I12). */
  readonly hide: (secrets: ReadonlySet<string>) => void;
}

/**
 * Watches the configuration and applies what changes in it, connector by connector. A file that is wrong is said, and what ran by it goes on as it was; so does everything while what the
 * connectors have in common is wrong.
 */
export class LiveConfiguration {
  readonly #options: LiveOptions;
  #current: Configuration;

  constructor(options: LiveOptions) {
    this.#options = options;
    this.#current = options.configuration;
  }

  /** Until `signal` is aborted. Never throws. */
  async follow(first: Pick<ReadConfiguration, 'haveChanged'>, signal: AbortSignal): Promise<void> {
    const { runtime, log } = this.#options;
    let read = first;
    while (!signal.aborted) {
      await sleep(runtime, LOOK_MS, signal).catch(() => undefined);
      try {
        if (signal.aborted || !(await read.haveChanged())) continue;
        const now = await this.#options.read();
        await sleep(runtime, LOOK_MS, signal).catch(() => undefined);
        // Somebody is writing still.
        if (signal.aborted || (await now.haveChanged())) continue;
        await this.#take(now.result);
        // Not before: what could not be applied is tried again.
        read = now;
      } catch (error) {
        log.error(`The changed configuration could not be applied: ${rootMessage(error)}. What runs goes on as it was.`);
      }
    }
  }

  async #take(result: LoadResult): Promise<void> {
    const { fleet, log, hide } = this.#options;
    const { problems, warnings } = result.ok ? { problems: [], warnings: result.warnings } : result;
    for (const { file, path, message, code, remedy } of [...problems, ...warnings]) {
      const text = `${file}${path === '' ? '' : ` ${path}`}: ${message}`;
      if (warnings.some((each) => each.message === message)) log.warn(text, { code, remedy });
      else log.error(`${text} What ran by it goes on as it was.`, { code, remedy });
    }
    const next = result.ok ? result.configuration : result.usable;
    if (next === null) return;
    hide(next.secrets);
    if (!isDeepStrictEqual(next.daemon, this.#current.daemon)) {
      log.warn('sluice.json has changed: what it says holds from the next start on.', { remedy: 'Restart the daemon (SIGTERM, then `sluice run`).' });
    }
    // A file that is wrong by now takes its connector neither away nor elsewhere.
    const wrong = new Set(problems.map(({ file }) => file));
    const kept = fleet.definitions.filter(({ file, name }) => wrong.has(file) && !next.connectors.some((each) => each.name === name));
    const wanted = [...next.connectors, ...kept];
    const changes = connectorChanges(fleet.definitions, wanted);
    this.#current = { ...next, connectors: wanted };
    if (changes.length > 0) await this.#apply(changes, wanted);
  }

  async #apply(changes: readonly ConnectorChange[], wanted: Configuration['connectors']): Promise<void> {
    const { fleet, log } = this.#options;
    log.info(`The configuration has changed. ${changes.map(describeChange).join('; ')}.`);
    const ends = changes.filter(({ kind }) => kind !== 'added').map(({ name }) => name);
    const begun = new Set(changes.filter(({ kind }) => kind !== 'removed').map(({ name }) => name));
    await fleet.exchange(
      ends,
      wanted.filter(({ name }) => begun.has(name)),
      this.#current.daemon.shutdown.timeout,
    );
  }
}
