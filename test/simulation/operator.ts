import { recoverOffset } from '../../src/daemon/offsets.ts';
import { SluiceError } from '../../src/plugin/error.ts';
import { openStore, recreateStore, type StateStore } from '../../src/state/store.ts';
import { Daemon, type Surroundings } from './daemon.ts';
import { CONNECTOR } from './disk.ts';

/** What the remedy of a damaged state says: `sluice offsets recover`. The damaged state is moved aside and reading resumes at the slot. */
export class Operator extends Daemon {
  readonly #around: Surroundings;

  constructor(name: string, around: Surroundings) {
    super(name, around);
    this.#around = around;
  }

  override get mayEnd(): boolean {
    return true;
  }

  override async run(): Promise<unknown> {
    const { world, checks, plan } = this.#around;
    let store: StateStore | null = null;
    try {
      store = await this.#open();
      checks.replacing();
      // The schema history went with the state: versions are counted anew.
      checks.versionsLost = true;
      const ports = { runtime: this.runtime, log: this.log() };
      // Servers with a binary log have no slots.
      const from = plan.source === 'slot' ? world.random.pick(['sink', 'slot'] as const) : 'sink';
      await recoverOffset(store, this.definition(), from, ports, new AbortController().signal);
      await store.close();
      checks.opened(this.#around.disk.storedLsn);
      return null;
    } catch (error) {
      await store?.close().catch(() => undefined);
      return error;
    }
  }

  async #open(): Promise<StateStore> {
    try {
      return (await recreateStore(this.storeOptions(), [CONNECTOR])).store;
    } catch (error) {
      // Somebody has recreated it before, and was interrupted.
      if (error instanceof SluiceError && error.code === 'SLUICE_STATE_SOUND') return await openStore(this.storeOptions());
      throw error;
    }
  }
}
