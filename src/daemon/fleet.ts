import type { ConnectorDefinition } from '../config/load.ts';
import type { MemoryBudget, MemoryShare } from '../pipeline/memory.ts';
import type { Logger } from '../plugin/context.ts';
import type { SluiceError } from '../plugin/error.ts';
import { aborted, type Runtime } from '../plugin/runtime.ts';
import type { StateStore } from '../state/state-store.ts';
import type { TailPoints } from '../tail/tail.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { Connector } from './connector.ts';
import { isFinal } from './lifecycle.ts';
import { objectiveOf } from './objective.ts';
import { findConnector } from './offsets.ts';
import type { Shutdown } from './signals.ts';

export interface FleetPorts {
  readonly store: StateStore;
  readonly runtime: Runtime;
  readonly metrics: Metrics;
  readonly memory: MemoryBudget;
  readonly shutdown: Pick<Shutdown, 'drain' | 'abort'>;
  readonly log: Logger & { child(bindings: Readonly<Record<string, string>>): Logger };
  readonly once: boolean;
  readonly dataDir: string;
  readonly showsCopies: boolean;
  readonly tails: TailPoints;
}

interface Member {
  readonly definition: ConnectorDefinition;
  readonly connector: Connector;
  readonly share: MemoryShare;
  /** It is to end in order, and at once. */
  readonly drain: AbortController;
  readonly abort: AbortController;
}

/** The connectors of a daemon, as they come and go while it runs. Each runs by itself: what happens to one leaves the others as they are. */
export class Fleet {
  readonly #ports: FleetPorts;
  readonly #members = new Map<string, Member>();
  /** Connectors are being exchanged; resolves when that is done. */
  #changing: Promise<void> | null = null;
  #changed: PromiseWithResolversOf = withResolvers();

  constructor(ports: FleetPorts) {
    this.#ports = ports;
  }

  get definitions(): readonly ConnectorDefinition[] {
    return [...this.#members.values()].map(({ definition }) => definition);
  }

  get connectors(): readonly Connector[] {
    return [...this.#members.values()].map(({ connector }) => connector);
  }

  /** The named one, or the only one. Throws SLUICE_CONNECTOR_UNKNOWN. */
  find(name: string | undefined): Connector {
    return (this.#members.get(findConnector(this.definitions, name).name) as Member).connector;
  }

  async start(definitions: readonly ConnectorDefinition[]): Promise<void> {
    this.#start(definitions, await this.#paused(definitions));
  }

  /** Names of those that an operator has paused. */
  async #paused(definitions: readonly ConnectorDefinition[]): Promise<ReadonlySet<string>> {
    const { store } = this.#ports;
    const names = await Promise.all(definitions.map(async ({ name }) => ((await store.isPaused(name)) ? [name] : [])));
    return new Set(names.flat());
  }

  #start(definitions: readonly ConnectorDefinition[], paused: ReadonlySet<string>): void {
    const { memory } = this.#ports;
    const shares = memory.join(definitions.map(({ batch, maxInFlightBytes }) => ({ batchBytes: batch.maxBytes, inFlightBytes: maxInFlightBytes })));
    for (const [index, definition] of definitions.entries()) {
      const { name } = definition;
      const share = shares[index];
      if (share === undefined) throw new RangeError('each connector has its share');
      this.#ports.metrics.memoryOf(name, share);
      if (definition.freshness !== undefined) this.#ports.metrics.objective(name, objectiveOf(definition.freshness));
      const tap = this.#ports.tails.of(name);
      tap.isBinary = definition.format.plugin.isBinary === true;
      const ports = { ...this.#ports, tap, memory: share, isPaused: paused.has(name), log: this.#ports.log.child({ connector: name }) };
      const member = { definition, share, connector: new Connector(definition, ports), drain: new AbortController(), abort: new AbortController() };
      this.#members.set(name, member);
    }
    for (const { name } of definitions) this.#run(this.#members.get(name) as Member);
    this.#tell();
  }

  #run({ connector, drain, abort }: Member): void {
    const { shutdown } = this.#ports;
    void connector.run(AbortSignal.any([shutdown.drain, drain.signal]), AbortSignal.any([shutdown.abort, abort.signal]));
  }

  /**
   * Ends the connectors of `ends` in order and starts those of `starts`; the others go on meanwhile. What is in flight is waited for, `withinMs` at most: what is not confirmed by then is
   * sent again by the connector that follows.
   */
  async exchange(ends: readonly string[], starts: readonly ConnectorDefinition[], withinMs: number): Promise<void> {
    const work = this.#exchange(ends, starts, withinMs).finally(() => {
      this.#changing = null;
    });
    this.#changing = work.catch(() => undefined);
    await work;
  }

  async #exchange(ends: readonly string[], starts: readonly ConnectorDefinition[], withinMs: number): Promise<void> {
    // Asked before anything is ended: a state that cannot be read must leave what runs as it is.
    const paused = await this.#paused(starts);
    const replace = async (before: readonly string[], after: readonly ConnectorDefinition[]): Promise<void> => {
      await Promise.all(before.map((name) => this.#end(name, withinMs)));
      if (after.length === 0 || this.#ports.shutdown.drain.aborted) return;
      // Once more: they may have been paused or resumed while what was in flight was waited for.
      this.#start(after, await this.#paused(after).catch(() => paused));
    };
    const names = new Set(starts.map(({ name }) => name));
    const gone = ends.filter((name) => !names.has(name));
    const [again, come] = [starts.filter(({ name }) => ends.includes(name)), starts.filter(({ name }) => !ends.includes(name))];
    // One that is slow to end holds up only the one that follows it. Those that come may want what those that go have had: a slot, a stream.
    await Promise.all([replace(gone, come), ...again.map((definition) => replace([definition.name], [definition]))]);
    this.#ports.tails.keep([...this.#members.keys()]);
  }

  async #end(name: string, withinMs: number): Promise<void> {
    const member = this.#members.get(name);
    if (member === undefined) return;
    const { runtime, memory, metrics } = this.#ports;
    const patience = runtime.setTimer(() => member.abort.abort(new Error('ended without waiting')), withinMs, true);
    member.drain.abort();
    await member.connector.ended;
    patience.clear();
    this.#members.delete(name);
    memory.remove(member.share);
    await metrics.forget(name);
  }

  /** Resolves when every connector has stopped for good. Without one it waits for some to come, until it is told to stop. */
  async ended(): Promise<void> {
    const { shutdown, once } = this.#ports;
    for (;;) {
      if (this.#changing !== null) await this.#changing;
      else if (this.#members.size === 0 && !once && !shutdown.drain.aborted) await Promise.race([this.#changed.promise, aborted(shutdown.drain)]);
      else if (this.connectors.every(({ state }) => isFinal(state))) return;
      else await Promise.race([Promise.all(this.connectors.map(({ ended }) => ended)), this.#changed.promise]);
    }
  }

  #tell(): void {
    const before = this.#changed;
    this.#changed = withResolvers();
    before.resolve();
  }

  /** The exit code of the process by what its connectors have stopped for; 0: for nothing. */
  get exit(): number {
    const errors = this.connectors.map(({ error }) => error).filter((error): error is SluiceError => error !== null);
    return Math.max(0, ...errors.map(({ kind }) => kind.exit));
  }
}

interface PromiseWithResolversOf {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
}

function withResolvers(): PromiseWithResolversOf {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
