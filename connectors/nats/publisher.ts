import type { PermissionViolationError } from '@nats-io/transport-node';
import { type MessageBatch, type Noted, type Place, rootMessage, type SinkContext, SluiceError, SPAN, SPAN_SIZE } from '#plugin';
import type { NatsConfig } from './config.ts';
import { closed, headerUnsafe, refused } from './errors.ts';
import { HeaderWriter, UnsafeHeader } from './header.ts';
import { Listening } from './listening.ts';
import { Job, type Order } from './order.ts';
import { toPlace } from './place.ts';
import { meaningOf, parseReply, sequenceOf } from './pub-ack.ts';
import { QuietWatch } from './quiet-watch.ts';
import type { Session, SessionEvents } from './session.ts';
import { SizeLimits } from './size-limits.ts';
import type { Alone, Trouble } from './trouble.ts';

const NO_BODY = new Uint8Array(0);
/** State of a slot. A message that was answered with anything but an acknowledgement keeps its slot until the stream was asked for it. */
const FREE = 0;
const WAITING = 1;
const REFUSED = 2;

export interface PublisherHost {
  readonly config: NatsConfig;
  readonly context: SinkContext;
  readonly order: Order;
  /** What stands beyond the saved place and must not be written again. */
  readonly noted: Noted;
  /** Finds out what arrived and answers with `resume`, or with `fail`. Called once everything on its way has settled or is given up. */
  recover(trouble: Trouble): void;
  /** A subject is refused to this user. */
  denied(violation: PermissionViolationError): SluiceError;
  /** Asks for the stream's own limits, and tells `limits`; a trouble on the way is the publisher's by then. */
  learnLimits(): Promise<void>;
  /** Everything works again after a trouble: a message was confirmed. */
  recovered(): void;
  /** Nothing is left to send after a trouble: whether messages get through will show. */
  idle(): void;
}

/**
 * Sends messages in windows and knows of each whether it stands in the stream. Per message it keeps integers in arrays; a promise exists only per call.
 * While it is in trouble it sends nothing: it waits until everything on its way has settled, and lets its host find out from the stream what arrived.
 */
export class Publisher implements SessionEvents {
  /** The stream's highest known sequence. */
  confirmed = 0;
  /** While something is noted, all of it stands beyond this sequence. */
  notedFloor = 0;
  created = '';
  readonly limits: SizeLimits;
  readonly #host: PublisherHost;
  readonly #order: Order;
  readonly #headers: HeaderWriter;
  readonly #jobs: (Job | null)[];
  readonly #indexes: Int32Array;
  readonly #sizes: Int32Array;
  readonly #states: Uint8Array;
  /** Per slot the stream's highest known sequence when the message was sent: it stands beyond that, if at all. */
  readonly #sentAfter: Float64Array;
  readonly #free: Int32Array;
  #freeCount: number;
  #session: Session | null = null;
  #first: Job | null = null;
  #last: Job | null = null;
  #inFlight = 0;
  #bytes = 0;
  #limit: number;
  /** A message was confirmed over this session. */
  #proven = false;
  #trouble: Trouble | null = null;
  #recovering = true;
  #stopping: { readonly error: unknown } | null = null;
  /** What becomes of a message that cannot be delivered is not known yet: nothing is sent behind it (I3). */
  #held = false;
  #failure: { readonly error: unknown } | null = null;
  readonly #watch: QuietWatch;
  readonly #listening = new Listening((reason) => this.fail(reason));

  constructor(host: PublisherHost) {
    const { window, publishTimeout } = host.config;
    const slots = window.messages;
    this.#host = host;
    this.#headers = new HeaderWriter(undefined, host.context.isBinary);
    this.#watch = new QuietWatch(
      host.context.runtime,
      publishTimeout,
      () => this.#inFlight > 0 && this.#session !== null,
      () => this.#giveUp(this.#session as Session, `nothing was confirmed for ${publishTimeout} ms`),
    );
    this.#order = host.order;
    this.limits = new SizeLimits(host.config.stream, host.context.runtime);
    this.#jobs = new Array<Job | null>(slots).fill(null);
    this.#indexes = new Int32Array(slots);
    this.#sizes = new Int32Array(slots);
    this.#states = new Uint8Array(slots);
    this.#sentAfter = new Float64Array(slots);
    this.#free = Int32Array.from({ length: slots }, (_, slot) => slots - 1 - slot);
    this.#freeCount = slots;
    this.#limit = slots;
  }

  get headers(): HeaderWriter {
    return this.#headers;
  }

  /** Rejects with whatever ended the publisher. */
  write(batch: MessageBatch, signal: AbortSignal): Promise<Place> {
    return new Promise<Place>((resolve, reject) => {
      if (this.#failure !== null) return reject(this.#failure.error);
      if (signal.aborted) return reject(signal.reason);
      this.#listening.to(signal);
      const job = new Job(batch, resolve, reject);
      // Linked even if the one before is complete: the order may still stand on it.
      if (this.#last !== null) this.#last.next = job;
      this.#last = job;
      this.#first ??= job;
      this.#order.add(job);
      if (batch.count === 0) this.#complete(job);
      this.#pump();
    });
  }

  /** Ends everything: all pending calls are rejected. */
  fail(error: unknown): void {
    if (this.#failure !== null) return;
    this.#failure = { error };
    this.#watch.end();
    for (let job = this.#first; job !== null; job = job.next) job.reject(error);
    this.#first = null;
    this.#last = null;
    this.#listening.end();
    void this.#session?.close();
  }

  async close(): Promise<void> {
    this.fail(new SluiceError(closed));
    await this.#session?.close();
  }

  /** Sends on over this session, beginning with the first message that is not done, and one at a time until one is confirmed. */
  resume(session: Session): void {
    if (this.#failure !== null) return void session.close();
    if (this.#session !== session) void this.#session?.close();
    this.#session = session;
    this.#limit = 1;
    this.#proven = false;
    this.#trouble = null;
    this.#recovering = false;
    this.#order.rebuild(this.#first);
    if (this.#stopping !== null) this.fail(this.#stopping.error);
    this.#pump();
    if (this.#first === null) this.#host.idle();
  }

  /** There may be something to send now. */
  wake(): void {
    this.#pump();
  }

  /** A message that is noted after the beginning; it stands beyond `floor`. */
  noteLate(subject: string, id: string, floor: number): void {
    const { noted } = this.#host;
    const before = noted.size;
    if (noted.note(this.#order.lane(subject), id)) this.notedFloor = before === 0 ? floor : Math.min(this.notedFloor, floor);
  }

  /** The session, if it is not lost. */
  get session(): Session | null {
    return this.#session;
  }

  /** Sequence beyond which everything stands that is not known. */
  get floor(): number {
    let floor = this.confirmed;
    for (let slot = 0; slot < this.#states.length; slot++) {
      if (this.#states[slot] !== FREE) floor = Math.min(floor, this.#sentAfter[slot] as number);
    }
    return floor;
  }

  /** Settles what was on its way: `sequenceOf` says which of it was found in the stream. */
  settle(sequenceOfId: (id: string) => number | undefined): void {
    for (let slot = 0; slot < this.#states.length; slot++) {
      if (this.#states[slot] === FREE) continue;
      const job = this.#jobs[slot] as Job;
      const index = this.#indexes[slot] as number;
      const sequence = sequenceOfId(job.id(index));
      this.#release(slot);
      if (sequence !== undefined && job.done[index] === 0) this.#done(job, index, sequence);
    }
    this.#inFlight = 0;
    this.#bytes = 0;
  }

  // From the session

  answer(slot: number, data: Uint8Array | null): void {
    if (this.#states[slot] !== WAITING) return;
    this.#watch.heard();
    const sequence = data === null ? -1 : sequenceOf(data);
    if (sequence < 0) {
      this.#refusal(slot, data);
      return;
    }
    const job = this.#jobs[slot] as Job;
    const index = this.#indexes[slot] as number;
    this.#inFlight--;
    this.#bytes -= this.#sizes[slot] as number;
    this.#release(slot);
    if (sequence > this.confirmed) this.confirmed = sequence;
    this.#order.stored(job, index, sequence);
    this.#done(job, index, sequence);
    if (!this.#proven && this.#trouble === null) {
      this.#proven = true;
      this.#limit = this.#free.length;
      this.#host.recovered();
    }
    if (this.#trouble !== null || this.#stopping !== null) this.#settledOrLost();
    else this.#pump();
  }

  lost(session: Session, detail: string): void {
    // One that was given up already, or is not in use yet: who made it looks whether it is still open.
    if (session !== this.#session) return;
    this.#session = null;
    this.stop({ kind: 'lost', detail, alone: this.#proven ? null : this.#alone() });
  }

  denied(violation: PermissionViolationError): void {
    this.fail(this.#host.denied(violation));
  }

  /** Sends nothing more, and recovers once everything on its way has settled; at once where nothing can be heard any more. */
  stop(trouble: Trouble): void {
    if (this.#failure !== null) return;
    // A lost connection is worse than anything that was found out over it.
    if (this.#trouble === null || trouble.kind === 'lost') this.#trouble = trouble;
    this.#settledOrLost();
  }

  #alone(): Alone | null {
    const slot = this.#states.indexOf(WAITING);
    if (slot < 0) return null;
    const [job, index] = [this.#jobs[slot] as Job, this.#indexes[slot] as number];
    return { id: job.id(index), subject: job.subject(index), bytes: this.#sizes[slot] as number };
  }

  #refusal(slot: number, data: Uint8Array | null): void {
    const reply = data === null ? null : parseReply(data);
    this.#inFlight--;
    this.#states[slot] = REFUSED;
    if (reply === null || reply.kind !== 'error') {
      const [kind, detail] =
        reply === null ? (['no responders', 'nobody listens'] as const) : (['again', 'the answer is no acknowledgement'] as const);
      this.stop({ kind, detail });
      return;
    }
    const { code, detail } = reply;
    const meaning = meaningOf(code, detail);
    const [job, index, size] = [this.#jobs[slot] as Job, this.#indexes[slot] as number, this.#sizes[slot] as number];
    const { stream } = this.#host.config;
    if (meaning === 'refused') this.#handOver(job, index, new SluiceError(refused, { stream, subject: job.subject(index), detail, code }), true);
    else if (meaning === 'too large') this.#foundTooLarge(job, index, size, code, `${detail} (error ${code})`);
    else this.stop({ kind: meaning, detail: `${detail} (error ${code})` });
  }

  /** The server has found it so: the limit may be another one than it was. */
  #foundTooLarge(job: Job, index: number, size: number, code: number, detail: string): void {
    this.#learnLimits(() => {
      const error = this.limits.found(job.subject(index), size, code);
      if (error === null) this.stop({ kind: 'again', detail });
      else if (job.done[index] === 0) this.#handOver(job, index, error, true);
    });
  }

  /** Sends nothing meanwhile. */
  #learnLimits(then: () => void): void {
    this.#held = true;
    void this.#host.learnLimits().then(() => {
      this.#held = false;
      if (this.#failure === null) then();
    });
  }

  #done(job: Job, index: number, sequence: number): void {
    job.done[index] = 1;
    if (sequence > job.highest) job.highest = sequence;
    if (--job.remaining === 0) this.#complete(job);
  }

  #complete(job: Job): void {
    const sequence = this.#host.noted.size > 0 ? this.notedFloor : this.#order.place(job, this.confirmed);
    job.resolve(toPlace({ sequence, created: this.created }));
    while (this.#first !== null && this.#first.remaining === 0) this.#first = this.#first.next;
    if (this.#first === null) this.#listening.end();
  }

  #release(slot: number): void {
    this.#jobs[slot] = null;
    this.#states[slot] = FREE;
    this.#free[this.#freeCount++] = slot;
  }

  #pump(): void {
    const { noted } = this.#host;
    const maxBytes = this.#host.config.window.bytes;
    const order = this.#order;
    while (!this.#held && this.#trouble === null && !this.#recovering && this.#stopping === null && this.#failure === null) {
      if (this.#inFlight >= this.#limit || (this.#bytes >= maxBytes && this.#inFlight > 0)) return;
      if (!order.pick(this.#inFlight, this.confirmed)) return;
      const { job, index } = order;
      if (job.done[index] === 1) order.skipped();
      else if (noted.size > 0 && noted.skips(order.lane(job.subject(index)), job.id(index))) {
        if (job.floor < 0 || this.notedFloor < job.floor) job.floor = this.notedFloor;
        order.skipped();
        this.#done(job, index, 0);
      } else if (!this.#send(job, index)) return;
    }
  }

  /** False if it could not be sent; why is known then. */
  #send(job: Job, index: number): boolean {
    const order = this.#order;
    const session = this.#session as Session;
    const { batch } = job;
    const at = index * SPAN_SIZE;
    const start = batch.spans[at + SPAN.valueStart] as number;
    const body = start < 0 ? NO_BODY : batch.bytes.subarray(start, batch.spans[at + SPAN.valueEnd] as number);
    const subject = batch.destinations[batch.spans[at + SPAN.destination] as number] as string;
    try {
      this.#headers.assemble(batch, index, order.expect, order.sequence);
      const size = this.#headers.length + body.length;
      const large = this.limits.check(subject, this.#headers.length, size, session.maxPayloadBytes);
      if (large === 'unsure') this.#learnLimits(() => this.#pump());
      else if (large !== null) this.#handOver(job, index, large, false);
      if (large !== null) return false;
      const slot = this.#free[this.#freeCount - 1] as number;
      session.publish(subject, body, slot);
      this.#freeCount--;
      this.#jobs[slot] = job;
      this.#indexes[slot] = index;
      this.#sizes[slot] = size;
      this.#states[slot] = WAITING;
      this.#sentAfter[slot] = this.confirmed;
      if (job.floor < 0) job.floor = this.confirmed;
      this.#bytes += size;
      this.#inFlight++;
      order.sent();
      this.#watch.begin();
      return true;
    } catch (error) {
      if (error instanceof UnsafeHeader) this.#handOver(job, index, new SluiceError(headerUnsafe, { subject, part: error.part }), false);
      else if (session.isLost(error)) this.#giveUp(session, rootMessage(error));
      // Nothing of the connection's: a new one would not help, and the same would happen for ever.
      else this.#stopFor(error);
      return false;
    }
  }

  /** No attempt will bring this message through. What `sent` ones behind it met with is found out from the stream. */
  #handOver(job: Job, index: number, error: SluiceError, sent: boolean): void {
    this.#held = true;
    const kept = (): void => {
      this.#held = false;
      if (this.#failure !== null) return;
      if (job.done[index] === 0) this.#done(job, index, 0);
      if (sent) this.stop({ kind: 'resync', detail: error.message });
      else this.#pump();
    };
    this.#host.context.undeliverable(job.batch, index, error).then(kept, (reason: unknown) => {
      this.#held = false;
      this.#stopFor(reason);
    });
  }

  /** A message that can never be sent. What was sent before it may still be confirmed, so that less is read again. */
  #stopFor(error: unknown): void {
    this.#stopping ??= { error };
    this.#settledOrLost();
  }

  #settledOrLost(): void {
    if (this.#recovering || this.#failure !== null) return;
    const lost = this.#trouble?.kind === 'lost';
    if (this.#inFlight > 0 && !lost) return;
    if (this.#stopping !== null) this.fail(this.#stopping.error);
    if (this.#trouble === null || this.#stopping !== null) return;
    this.#recovering = true;
    this.#watch.end();
    this.#host.recover(this.#trouble);
  }

  #giveUp(session: Session, detail: string): void {
    this.lost(session, detail);
    void session.close();
  }
}
