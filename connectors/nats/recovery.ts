import { type SinkContext, SluiceError, sleep } from '#plugin';
import type { NatsConfig } from './config.ts';
import { jetStreamUnavailable, messagesLost, streamLost, subjectsUncovered } from './errors.ts';
import type { Order } from './order.ts';
import { acknowledgesNothing, listensTo, uncovered } from './preflight.ts';
import type { Publisher } from './publisher.ts';
import type { Session } from './session.ts';
import { API_TIMEOUT_MS, StreamAccess } from './stream.ts';
import { subjectsOf } from './subject.ts';
import type { Trouble } from './trouble.ts';
import { TroubleLog } from './trouble-log.ts';

/** I10: progress within five seconds after the fault clears. */
const LONGEST_DELAY_MS = 1_000;
const FIRST_DELAY_MS = 50;
/** For an answer, at the first attempt: what is asked while a stream has no leader is never answered. Twice as long each time, for a slow link. */
const FIRST_ANSWER_MS = 1_000;
/** How often in a row the stream must look lost before it is believed: a leader that was just elected may not know yet. */
const BELIEVED_AFTER = 4;

export interface RecoveryHost {
  readonly config: NatsConfig;
  readonly context: SinkContext;
  readonly order: Order;
  readonly publisher: Publisher;
  /** A new session. `attempt` says which server to begin with. */
  connect(attempt: number, signal: AbortSignal): Promise<Session>;
}

/**
 * After a trouble: connects again if need be, reads from the stream what of the unknown messages stands there, and lets the publisher go on behind
 * it. Goes on for as long as it takes; a typed error that does not pass by itself ends the publisher.
 */
export class Recovery {
  readonly #host: RecoveryHost;
  readonly #stop = new AbortController();
  #attempt = 0;
  #suspicions = 0;
  readonly #troubles: TroubleLog;
  #running: Promise<void> = Promise.resolve();

  constructor(host: RecoveryHost) {
    this.#host = host;
    this.#troubles = new TroubleLog(host.context);
  }

  begin(trouble: Trouble): void {
    this.#say(trouble);
    this.#host.context.retried(`nats ${trouble.kind}`);
    this.#running = this.#run(trouble);
  }

  /** A message was confirmed again. */
  worked(): void {
    this.#attempt = 0;
    this.#troubles.over();
  }

  /** There is nothing to send. The next trouble is the next attempt of this one until a message was confirmed: it is not begun without a pause. */
  idle(): void {
    this.#troubles.reachable();
  }

  /** Resolves when nothing of it is left. */
  async end(): Promise<void> {
    this.#stop.abort(new Error('closed'));
    await this.#running;
  }

  async #run(trouble: Trouble): Promise<void> {
    const { publisher, context } = this.#host;
    const { signal } = this.#stop;
    // What the server refused for now is asked again after a while, never at once.
    if (this.#attempt === 0 && trouble.kind !== 'lost' && trouble.kind !== 'resync') this.#attempt = 1;
    let session = publisher.session;
    while (!signal.aborted) {
      try {
        const delayMs = this.#delayMs();
        this.#attempt++;
        if (delayMs > 0) await sleep(context.runtime, delayMs, signal);
        // The one that was there may have been lost meanwhile.
        if (session?.connection.isClosed() === true) session = null;
        if (session === null) session = await this.#host.connect(this.#attempt, signal);
        else session.renew();
        await this.#resync(session, trouble, signal);
        if (session.connection.isClosed()) continue;
        return publisher.resume(session);
      } catch (error) {
        void session?.close();
        session = null;
        if (signal.aborted) return;
        if (!(error instanceof SluiceError) || error.kind.retry !== 'auto') return publisher.fail(error);
        this.#sayError(error);
        context.retried('nats reconnect');
      }
    }
  }

  async #resync(session: Session, trouble: Trouble, signal: AbortSignal): Promise<void> {
    const { config, context, order, publisher } = this.#host;
    const { stream } = config;
    const { connector } = context;
    const access = new StreamAccess(session.connection, config, context, Math.min(API_TIMEOUT_MS, FIRST_ANSWER_MS * 2 ** (this.#attempt - 1)));
    const info = await access.info();
    if (info === null) throw this.#suspect(new SluiceError(streamLost, { stream, connector, detail: 'it does not exist any more' }));
    if (info.created !== publisher.created) throw new SluiceError(streamLost, { stream, connector, detail: 'it was deleted and made again' });
    const end = info.state.last_seq;
    const { confirmed } = publisher;
    if (end < confirmed) throw this.#suspect(new SluiceError(messagesLost, { stream, connector, end, confirmed }));
    this.#suspicions = 0;
    const deaf = acknowledgesNothing(stream, info.config);
    if (deaf !== null) throw deaf;
    const subjects = subjectsOf(config, context);
    if (trouble.kind === 'no responders' && !listensTo(info.config, subjects)) {
      throw new SluiceError(subjectsUncovered, uncovered(stream, subjects, info.config));
    }
    publisher.limits.learned(info.config);
    const found = new Map(await order.resync({ access, info, floor: publisher.floor, confirmed, signal }));
    publisher.settle((id) => {
      const hit = found.get(id);
      found.delete(id);
      return hit?.sequence;
    });
    // What is left and beyond what we know of was written by the process before this one, whose bytes the kernel delivered after its end.
    for (const [id, { subject, ahead }] of found) {
      if (ahead) publisher.noteLate(subject, id, confirmed);
    }
    publisher.confirmed = end;
  }

  /** Not believed at first: until then it is tried again. */
  #suspect(error: SluiceError): SluiceError {
    return ++this.#suspicions >= BELIEVED_AFTER ? error : new SluiceError(jetStreamUnavailable, { address: 'the connection', detail: error.message });
  }

  #delayMs(): number {
    if (this.#attempt === 0) return 0;
    const full = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(this.#attempt - 1, 10));
    return full / 2 + (this.#host.context.runtime.random() * full) / 2;
  }

  #say(trouble: Trouble): void {
    const { kind, detail } = trouble;
    const { stream } = this.#host.config;
    const message = {
      lost: `The connection to NATS was lost: ${detail}.`,
      full: `The stream "${stream}" takes no messages: ${detail}. Waiting for room.`,
      again: `NATS could not take a message for now: ${detail}.`,
      'no responders': `The stream "${stream}" has no leader: ${detail}.`,
      resync: `The stream "${stream}" does not end where expected: ${detail}.`,
    }[kind];
    const remedy = {
      full: `Let consumers make room, or raise the limit: nats stream edit ${stream} --max-bytes … --max-msgs …`,
      resync: 'If another writer publishes to this stream, set "exclusive": false in every connector that writes to it, or give each its own stream.',
    }[kind as string];
    this.#troubles.say({
      kind,
      message,
      // Another writer's message, or our own that came late: the publisher goes on behind it at once.
      quiet: kind === 'resync',
      alone: trouble.kind === 'lost' ? trouble.alone : null,
      ...(remedy === undefined ? {} : { remedy }),
    });
  }

  #sayError(error: SluiceError): void {
    this.#troubles.say({ kind: error.code, message: `${error.message} Trying again.`, code: error.code, remedy: error.remedy });
  }
}
