import type { ConnectorDefinition } from '../config/load.ts';
import type { Logger, SourceContext } from '../plugin/context.ts';
import { SluiceError } from '../plugin/error.ts';
import type { Written } from '../plugin/sink.ts';
import type { SnapshotConfig } from '../plugin/snapshot-fields.ts';
import type { ReadOptions } from '../plugin/source.ts';
import type { SnapshotCommands } from '../snapshot/commands.ts';
import { SNAPSHOT_INCOMPLETE } from '../snapshot/errors.ts';
import type { Loaded } from '../state/state-store.ts';
import { type OpenSource, openSource } from './open.ts';

/** What a connector's snapshot mode asks for beside its first copy, over all lives of the process. */
export class CopyRounds {
  readonly #definition: ConnectorDefinition;
  readonly #log: Logger;
  readonly #mode: SnapshotConfig['mode'] | null;
  readonly #isShown: boolean;
  /** `always`: everything is copied once more. Until that is saved. */
  #isDue: boolean;
  /** `when_needed`: the stored position is lost, and given up. Until another one is saved. */
  #isLost = false;
  #stored: Loaded['offset'] = null;

  /** `isShown`: people see how far copies are by other means than the log. */
  constructor(definition: ConnectorDefinition, log: Logger, isShown: boolean) {
    const { plugin, config } = definition.source;
    this.#definition = definition;
    this.#log = log;
    this.#mode = plugin.snapshot?.(config).mode ?? null;
    this.#isShown = isShown;
    this.#isDue = this.#mode === 'always';
  }

  /** The source of one life. */
  open(stored: Loaded, context: SourceContext): OpenSource {
    this.#stored = stored.offset;
    const round = this.#isLost ? 'anew' : this.#isDue && stored.offset !== null ? 'again' : null;
    return openSource(this.#definition, stored, context, { round, isShown: this.#isShown });
  }

  /** Where it begins. */
  from({ transactions, holdsOutput }: Written): ReadOptions {
    const position = this.#stored?.position ?? null;
    if (this.#isLost && position !== null) return { from: null, replaces: position, published: transactions, sinkHoldsOutput: false };
    return { from: position, published: transactions, sinkHoldsOutput: position === null && holdsOutput };
  }

  /** The findings of a lost position are known. */
  get isLost(): boolean {
    return this.#isLost;
  }

  /** A life has ended by this error: whether the next one, at once, begins the log anew and copies all tables. Said here. */
  takes(error: SluiceError): boolean {
    // Once: a source that still finds it lost has found something that is not to be given up.
    if (error.kind.positionLost !== true || this.#mode !== 'when_needed' || this.#stored === null || this.#isLost) return false;
    this.#isLost = true;
    this.#log.warn(
      `${error.message} By "snapshot.mode": "when_needed" the log is begun anew and all tables are copied once more: their rows come again, with "op": "r". Rows that were deleted meanwhile are not told as deletes, and what changed several times shows only its last state.`,
      { code: error.code, remedy: 'Where deletes matter, compare the tables with what was rebuilt from the output, or build it anew.' },
    );
    return true;
  }

  /** What was to be begun stands with the offset. */
  saved(): void {
    this.#isDue = false;
    this.#isLost = false;
  }

  /** Everything is confirmed and saved, and there is nothing more to read. Throws SLUICE_SNAPSHOT_INCOMPLETE. */
  ended(snapshots: SnapshotCommands | null): void {
    if (this.#mode !== 'initial_only' || snapshots === null) return;
    const copies = snapshots.views().filter(({ copy }) => copy === 'first');
    if (copies.some(({ state }) => state === 'waiting' || state === 'copying' || state === 'paused')) return;
    const failed = copies.filter(({ state }) => state === 'failed').map(({ table }) => table);
    if (failed.length > 0) throw new SluiceError(SNAPSHOT_INCOMPLETE, { connector: this.#definition.name, tables: failed.join(', ') });
    this.#log.info('All tables are copied and confirmed: with "snapshot.mode": "initial_only" there is nothing more to do.', {
      remedy:
        'Another mode reads the changes on from here. Until then the server keeps its log for this connector: drop its slot if it is not needed.',
    });
  }
}
