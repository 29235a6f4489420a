import { BatchWriter } from '../../src/record/batch.ts';
import type { Position } from '../../src/record/position.ts';
import type { TableRegistry } from '../../src/record/table.ts';
import type { Checks } from './checks.ts';
import type { Log } from './log.ts';
import type { Plan } from './plan.ts';
import type { Owner, World } from './world.ts';

const ARENA_BYTES = 2048;
const POISON = 0x5a;
/** Released batches that wait until their memory is used again. */
const RESTING = 3;

/** The database server: its log and the slot, which outlive the processes that read them. */
export class Server {
  readonly log: Log;
  readonly checks: Checks;
  readonly #world: World;
  readonly #plan: Plan;
  /** The slot: what is before it may be forgotten. */
  confirmed = 0;
  /** A walsender that has not noticed its client's death still has the slot. */
  inUseUntil = 0;
  /** No byte comes through until then. */
  cutUntil = 0;
  isCalm = false;
  lost = 0;
  readonly #resting = new WeakMap<TableRegistry, BatchWriter[]>();
  readonly #waiting: { readonly owner: Owner; readonly resolve: () => void }[] = [];

  constructor(world: World, log: Log, checks: Checks, plan: Plan) {
    this.#world = world;
    this.log = log;
    this.checks = checks;
    this.#plan = plan;
  }

  latency(): number {
    const { random } = this.#world;
    return random.next() * this.#plan.latencyMs * (!this.isCalm && random.chance(0.02) ? 50 : 1);
  }

  isLost(): boolean {
    if (this.isCalm || !this.#world.random.chance(this.#plan.sourceTrouble)) return false;
    this.lost++;
    return true;
  }

  /** On its way; it comes although the process that sent it dies, and not through a cut. */
  acknowledge(lsn: number): void {
    if (this.#world.now < this.cutUntil) return;
    this.#world.after(null, this.latency(), `the slot is at ${lsn}`, () => {
      if (lsn <= this.confirmed) return;
      this.confirmed = lsn;
      this.checks.acknowledged = lsn;
      this.checks.progress();
    });
  }

  /** How far the log was read for good, as the one knows it who has to. */
  get settled(): number {
    return this.confirmed;
  }

  /** Where a position is in the log; `complains`: it must be one. */
  numberOf(position: Position, _complains = true): number {
    return Number(position['lsn']);
  }

  /** Resolves when the log has grown. */
  grown(owner: Owner): Promise<void> {
    return new Promise((resolve) => this.#waiting.push({ owner, resolve }));
  }

  wake(): void {
    for (const { owner, resolve } of this.#waiting.splice(0)) this.#world.after(owner, this.latency(), 'the log has grown', resolve);
  }

  forget(owner: Owner): void {
    const rest = this.#waiting.filter((each) => each.owner !== owner);
    this.#waiting.splice(0, this.#waiting.length, ...rest);
  }

  /** What was released is overwritten at once: whoever reads it still reads nonsense. Later its memory is another batch's, as a real source does it. */
  writer(registry: TableRegistry): BatchWriter {
    let resting = this.#resting.get(registry);
    if (resting === undefined) {
      resting = [];
      this.#resting.set(registry, resting);
    }
    const batches = resting;
    return (batches.length > RESTING ? batches.shift() : undefined) ?? new BatchWriter(registry, (batch) => this.#rest(batch, batches), ARENA_BYTES);
  }

  #rest(batch: BatchWriter, resting: BatchWriter[]): void {
    if (resting.includes(batch)) return;
    batch.arena.fill(POISON, 0, batch.arenaLength);
    batch.heads.fill(-1, 0, batch.count);
    batch.reset();
    resting.push(batch);
  }
}
