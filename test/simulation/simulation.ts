import { SluiceError } from '../../src/plugin/error.ts';
import type { Position } from '../../src/record/position.ts';
import { isDamage } from '../../src/state/errors.ts';
import { BinlogServer } from './binlog/server.ts';
import { Checks } from './checks.ts';
import { Cluster, LATEST_MS } from './cluster.ts';
import { Daemon, type Surroundings } from './daemon.ts';
import { damage } from './damage.ts';
import { CONNECTOR, Disk } from './disk.ts';
import { Oracle } from './expected.ts';
import { Log } from './log.ts';
import { modelOf } from './model.ts';
import { Operator } from './operator.ts';
import { drawPlan, type Plan } from './plan.ts';
import { Random } from './random.ts';
import { makeSignalsCollectable } from './signals.ts';
import { type Violation, World } from './world.ts';

makeSignalsCollectable();

/** I10: after a fault clears. */
const PROGRESS_MS = 5_000;
/** With faults all around there is progress now and then all the same. */
const HANG_MS = 120_000;
const MOST_STEPS = 400_000;
/** Somebody has to read the error first; by then every byte of a dead process has come or is lost. */
const OPERATOR_MS = LATEST_MS + 1_000;

export interface Tally {
  records: number;
  crashes: number;
  cuts: number;
  stops: number;
  damages: number;
  typedStops: number;
  diskFailures: number;
  lost: number;
  steps: number;
  virtualMs: number;
  /** Which source it was; of a binary log, restarts of the server and files that it purged. */
  slot: number;
  gtid: number;
  file: number;
  mixed: number;
  mariadb: number;
  restarts: number;
  purged: number;
  readonly fates: Readonly<Record<string, number>>;
}

export interface Outcome {
  readonly seed: number;
  readonly violation: Violation | null;
  /** Two runs of a seed have the same one. */
  readonly hash: number;
  readonly tally: Tally;
  readonly told: readonly string[];
}

const STATE_TROUBLE: ReadonlySet<string> = new Set(['SLUICE_STATE_WRITE', 'SLUICE_STATE_FULL', 'SLUICE_STATE_ACCESS']);

/** Everything that one seed says, from the first start to the orderly end. */
export class Simulation {
  readonly #seed: number;
  readonly #random: Random;
  readonly #world: World;
  readonly #plan: Plan;
  readonly #log: Log;
  readonly #checks: Checks;
  readonly #around: Surroundings;
  readonly #tally = {
    records: 0,
    crashes: 0,
    cuts: 0,
    stops: 0,
    damages: 0,
    typedStops: 0,
    slot: 0,
    gtid: 0,
    file: 0,
    mixed: 0,
    mariadb: 0,
    restarts: 0,
    purged: 0,
  };
  #process: Daemon | null = null;
  #processes = 0;
  /** The next crash, in steps. */
  #crashIn = -1;
  readonly #crashes: number[];
  readonly #cuts: number[];
  readonly #stops: number[];
  #failuresBefore = 0;
  #calmSince = -1;
  #isEnding = false;
  #isOver = false;

  constructor(seed: number, tell = false) {
    this.#seed = seed;
    this.#random = new Random(seed);
    this.#world = new World(this.#random, tell);
    this.#plan = drawPlan(this.#random);
    const { style, serve } = modelOf(this.#random, this.#plan);
    this.#log = new Log(this.#random, style);
    const oracle = new Oracle(this.#plan.topicTemplate, CONNECTOR, this.#plan.partitions);
    this.#checks = new Checks(this.#world, this.#log, oracle);
    this.#checks.bound(this.#plan.maxInFlightBytes);
    const server = serve(this.#world, this.#log, this.#checks);
    const numberOf = (position: Position, complains?: boolean): number => server.numberOf(position, complains);
    this.#around = {
      world: this.#world,
      plan: this.#plan,
      checks: this.#checks,
      disk: new Disk(this.#world, this.#checks, this.#plan, numberOf),
      server,
      cluster: new Cluster(this.#world, this.#checks, this.#plan),
    };
    const descending = (shares: readonly number[]): number[] => shares.map((share) => share * this.#log.records).sort((a, b) => b - a);
    this.#crashes = descending(this.#plan.crashes);
    this.#cuts = descending(this.#plan.cuts);
    this.#stops = descending(this.#plan.stops);
    for (const committed of this.#log.transactions) oracle.add(committed);
  }

  async run(): Promise<Outcome> {
    this.#commitSoon();
    this.#startIn(0);
    await new Promise<void>((resolve) => this.#turn(resolve));
    const { server, disk, cluster } = this.#around;
    const { steps, now, hash, violation, told } = this.#world;
    const tally = { ...this.#tally, diskFailures: disk.failures, lost: server.lost, steps, virtualMs: now, fates: Object.fromEntries(cluster.fates) };
    tally.records = this.#log.records;
    tally[this.#plan.source] = 1;
    if (server instanceof BinlogServer) Object.assign(tally, { restarts: server.restarts, purged: server.purged });
    return { seed: this.#seed, violation, hash, tally, told: told ?? [] };
  }

  /**
   * One step. All promises have settled when it begins: a tick that is asked for by a microtask comes when no microtask is left, at a tenth of what a
   * turn of the event loop costs.
   */
  #turn(resolve: () => void): void {
    if (!this.#judge()) {
      resolve();
      return;
    }
    if (!this.#world.step()) this.#world.violated('I10', 'nothing will ever happen again');
    void Promise.resolve().then(() => process.nextTick(() => this.#turn(resolve)));
  }

  /** After each step: invariants, and what is due by progress. False: it is over. */
  #judge(): boolean {
    const { steps, now } = this.#world;
    this.#checks.each();
    if (steps > MOST_STEPS) this.#world.violated('I10', `no end after ${steps} steps`);
    const limit = this.#calmSince < 0 ? HANG_MS : PROGRESS_MS;
    if (now - this.#checks.lastProgress > limit) this.#world.violated('I10', `no progress for ${limit} ms`);
    if (this.#world.violation !== null || this.#isOver) return false;
    this.#faults();
    return true;
  }

  #faults(): void {
    const { records } = this.#checks;
    const due = (points: number[]): boolean => (points.at(-1) ?? Number.POSITIVE_INFINITY) <= records && points.pop() !== undefined;
    if (due(this.#cuts)) this.#cut();
    if (this.#process === null) return;
    if (this.#crashIn < 0 && due(this.#crashes)) this.#crashIn = this.#random.below(60);
    // When all is quiet steps are rare.
    if (this.#checks.isComplete) this.#crashIn = Math.min(this.#crashIn, 3);
    if (this.#crashIn >= 0 && this.#crashIn-- === 0) this.#crash();
    else if (this.#process?.isRunning === true && due(this.#stops)) this.#stop();
    this.#maybeCalm();
    this.#maybeEnd();
  }

  #start(make = (name: string): Daemon => new Daemon(name, this.#around)): void {
    const started = make(`p${++this.#processes}`);
    this.#process = started;
    this.#failuresBefore = this.#around.disk.failures;
    // Crashes while it starts, or recovers, are the ones that are rarely tried.
    if (this.#calmSince < 0 && this.#random.chance(0.2)) this.#crashIn = this.#random.below(80);
    this.#world.tell(`${started.name} starts`);
    void started.run().then((outcome) => this.#ended(started, outcome));
  }

  #startIn(ms: number, make?: (name: string) => Daemon): void {
    this.#process = null;
    this.#world.after(null, ms, 'start', () => {
      if (this.#calmSince >= 0) this.#checks.progress();
      this.#start(make);
    });
  }

  #crash(): void {
    const dead = this.#process as Daemon;
    this.#tally.crashes++;
    this.#crashIn = -1;
    this.#world.tell(`${dead.name} is killed`);
    this.#gone(dead);
    this.#around.cluster.crash();
    if (this.#random.chance(0.5)) this.#around.server.inUseUntil = this.#world.now + this.#random.next() * 1500;
    if (this.#random.chance(this.#plan.corruption)) this.#damage();
    this.#startIn(this.#random.next() * 800);
  }

  #damage(): void {
    const what = damage(this.#around.disk, this.#random);
    if (what === null) return;
    this.#tally.damages++;
    this.#checks.isDamaged = true;
    this.#world.tell(`damage: ${what}`);
  }

  /** The process does not exist any more. */
  #gone(dead: Daemon): void {
    this.#world.kill(dead);
    dead.gone();
    this.#around.disk.crash();
    this.#around.server.forget(dead);
    this.#checks.inFlight = 0;
  }

  #stop(): void {
    const stopped = this.#process as Daemon;
    this.#tally.stops++;
    this.#world.after(stopped, 0, 'SIGTERM', () => stopped.stop());
    // The shutdown time-out.
    this.#world.after(stopped, 4000, 'shutdown time-out', () => stopped.abort());
  }

  #cut(): void {
    const { cluster, server } = this.#around;
    const until = this.#world.now + (this.#random.chance(0.3) ? 6000 : 1200) * this.#random.next();
    const side = this.#random.below(3);
    this.#tally.cuts++;
    this.#world.tell(`cut off from ${['the sink', 'the source', 'both'][side]} until ${until.toFixed(1)}`);
    if (side !== 1) cluster.cutUntil = Math.max(cluster.cutUntil, until);
    if (side !== 0) server.cutUntil = Math.max(server.cutUntil, until);
  }

  #ended(daemon: Daemon, outcome: unknown): void {
    if (daemon !== this.#process) return;
    this.#world.tell(`${daemon.name} has ended: ${outcome instanceof Error ? outcome.message : 'in order'}`);
    this.#gone(daemon);
    if (outcome === null && this.#isEnding) {
      this.#checks.end();
      this.#isOver = true;
    } else if (outcome !== null) this.#afterStop(daemon, outcome);
    else if (daemon.mayEnd) this.#startIn(this.#random.next() * 300);
    else this.#world.violated('I8', 'it has ended, and nobody has asked for it');
  }

  /** Somebody reads why it stopped, and does what the remedy says. */
  #afterStop(daemon: Daemon, error: unknown): void {
    const code = error instanceof SluiceError ? error.code : '';
    if (this.#checks.isDamaged && (isDamage(error) || code === 'SLUICE_STATE_RECOVERING')) {
      this.#tally.typedStops++;
      this.#startIn(OPERATOR_MS, (name) => new Operator(`${name} (operator)`, this.#around));
    } else if (this.#around.disk.failures > this.#failuresBefore && (STATE_TROUBLE.has(code) || isDiskError(error))) {
      this.#startIn(50 + this.#random.next() * 500);
    } else if (daemon instanceof Operator && error instanceof SluiceError && error.kind.retry === 'auto') {
      // A command does not try again by itself.
      this.#startIn(500);
    } else {
      this.#world.violated('I8', `stopped for good without a cause: ${code} ${error instanceof Error ? error.stack : String(error)}`);
    }
  }

  #commitSoon(): void {
    this.#world.after(null, this.#random.next() * this.#plan.pauseMs, 'commit', () => {
      if (this.#random.chance(0.1)) this.#log.idle(this.#random);
      // Some come together, as from a busy server.
      else for (let more = this.#random.chance(0.3) ? this.#random.between(1, 3) : 0; more >= 0 && !this.#log.complete; more--) this.#log.commit();
      this.#around.server.wake();
      if (!this.#log.complete) this.#commitSoon();
    });
  }

  /** From now on nothing goes wrong: what is left must go through (I10). */
  #maybeCalm(): void {
    const open = this.#crashes.length + this.#cuts.length + this.#stops.length;
    if (this.#calmSince >= 0 || open > 0 || this.#crashIn >= 0 || !this.#log.complete) return;
    const { cluster, server, disk } = this.#around;
    this.#calmSince = this.#world.now;
    cluster.isCalm = server.isCalm = disk.isCalm = true;
    cluster.cutUntil = server.cutUntil = server.inUseUntil = disk.fullUntil = this.#world.now;
    this.#checks.progress();
    this.#world.tell('the faults are over');
  }

  #maybeEnd(): void {
    if (this.#calmSince < 0 || this.#isEnding || !this.#checks.isComplete) return;
    const last = this.#process;
    if (this.#around.server.settled < this.#log.end || last?.isRunning !== true) return;
    this.#isEnding = true;
    this.#checks.progress();
    this.#world.after(last, 0, 'SIGTERM: everything has arrived', () => last.stop());
  }
}

function isDiskError(error: unknown): boolean {
  return ['ENOSPC', 'EIO'].includes((error as { code?: string } | null)?.code ?? '');
}

export async function simulate(seed: number, tell = false): Promise<Outcome> {
  return await new Simulation(seed, tell).run();
}
