import { dirname } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { type ConnectorChange, connectorChanges, describeChange } from '../config/changes.ts';
import type { Configuration, LoadResult } from '../config/load.ts';
import type { Logger } from '../plugin/context.ts';
import { rootMessage } from '../plugin/error.ts';
import { type Runtime, sleep } from '../plugin/runtime.ts';
import type { Fleet } from './fleet.ts';

/** How often it is looked. Files that are written one after the other are waited for until nothing moves between two looks. */
const LOOK_MS = 1_000;
/** The same where somebody waits for what was written whole. */
const ASKED_MS = 100;

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
  /** Who waits for the next look. */
  #asking: (() => void)[] = [];
  #word = new AbortController();
  /** Nobody looks any more. */
  #isOver = false;

  constructor(options: LiveOptions) {
    this.#options = options;
    this.#current = options.configuration;
  }

  /** What runs, with what is wrong by now as it was. */
  get current(): Configuration {
    return this.#current;
  }

  /** Looks at once. Resolves when what stands in the files by now was taken up, or could not be. */
  look(): Promise<void> {
    if (this.#isOver) return Promise.resolve();
    return new Promise((resolve) => {
      this.#asking.push(resolve);
      this.#word.abort();
    });
  }

  /** Until `signal` is aborted. Never throws. */
  async follow(first: Pick<ReadConfiguration, 'haveChanged'>, signal: AbortSignal): Promise<void> {
    const { runtime, log } = this.#options;
    let read = first;
    while (!signal.aborted) {
      if (this.#asking.length === 0) await sleep(runtime, LOOK_MS, AbortSignal.any([signal, this.#newWord()])).catch(() => undefined);
      const asking = this.#asking;
      this.#asking = [];
      try {
        read = (await this.#looked(read, asking.length > 0 ? ASKED_MS : LOOK_MS, signal)) ?? read;
      } catch (error) {
        log.error(`The changed configuration could not be applied: ${rootMessage(error)}. What runs goes on as it was.`);
      }
      for (const answer of asking) answer();
    }
    this.#isOver = true;
    for (const answer of this.#asking) answer();
  }

  /** What was taken up; null: nothing was, and nothing but the same is to be compared with next time. */
  async #looked(read: Pick<ReadConfiguration, 'haveChanged'>, settleMs: number, signal: AbortSignal): Promise<ReadConfiguration | null> {
    if (signal.aborted || !(await read.haveChanged())) return null;
    for (;;) {
      const now = await this.#options.read();
      await sleep(this.#options.runtime, settleMs, signal).catch(() => undefined);
      if (signal.aborted) return null;
      // Somebody is writing still.
      if (await now.haveChanged()) continue;
      await this.#take(now.result);
      // Not before: what could not be applied is tried again.
      return now;
    }
  }

  #newWord(): AbortSignal {
    this.#word = new AbortController();
    return this.#word.signal;
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
    const running = new Set(fleet.definitions.map(({ name }) => name));
    const kept = this.#current.connectors.filter(({ file, name, isStored }) => {
      const isWrong = wrong.has(file) || (isStored === true && wrong.has(dirname(file)));
      // What was created by the way takes the place of no file that is being mended.
      return isWrong && running.has(name) && !next.connectors.some((each) => each.name === name && each.isStored !== true);
    });
    const names = new Set(kept.map(({ name }) => name));
    const wanted = [...next.connectors.filter(({ name }) => !names.has(name)), ...kept];
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
