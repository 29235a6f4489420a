import { createInbox, errors, type MsgHdrs, type NatsConnection, PermissionViolationError, type Subscription } from '@nats-io/transport-node';
import { rootMessage } from '#plugin';
import type { HeaderWriter } from './header.ts';

/** What a session tells its publisher. None of it may throw: the client's reader would end with it, silently. */
export interface SessionEvents {
  /** The server's answer to the message in `slot`; null: nobody listens to its subject. */
  answer(slot: number, data: Uint8Array | null): void;
  /** Its connection is gone. Everything that was not answered is unknown. */
  lost(session: Session, detail: string): void;
  /** The server refuses a subject to this user, in an error that belongs to no message. */
  denied(violation: PermissionViolationError): void;
}

/** What `nats-core` reads of the options of `publish`. */
interface PublishOptions {
  reply: string;
  readonly headers: MsgHdrs;
}

/**
 * One connection with one inbox for all answers: the last token of an answer's subject is the slot of the message that it is for. No promise, no
 * request object and no header object is made per message.
 */
export class Session {
  readonly connection: NatsConnection;
  readonly #events: SessionEvents;
  readonly #options: PublishOptions;
  #inbox = '';
  #replies: string[] = [];
  #subscription: Subscription | null = null;
  #ended = false;

  constructor(connection: NatsConnection, headers: HeaderWriter, events: SessionEvents) {
    this.connection = connection;
    this.#events = events;
    // Only `encode()` of it is called (nats-core, protocol.js, publish).
    this.#options = { reply: '', headers: headers as unknown as MsgHdrs };
    this.renew();
    void this.#watchStatus();
    void connection.closed().then((error) => this.#lost(error instanceof Error ? rootMessage(error) : 'the server closed it'));
  }

  /** Bytes of headers and body that the server takes in one message. */
  get maxPayloadBytes(): number {
    return this.connection.info?.max_payload ?? Number.MAX_SAFE_INTEGER;
  }

  /** A new inbox: late answers to what was sent before are not heard any more. */
  renew(): void {
    this.#subscription?.unsubscribe();
    this.#inbox = `${createInbox()}.`;
    this.#replies = [];
    const from = this.#inbox.length;
    this.#subscription = this.connection.subscribe(`${this.#inbox}*`, {
      callback: (error, message) => {
        if (this.#ended) return;
        if (error !== null) return this.#refused(error);
        const { data } = message;
        const nobody = data.length === 0 && message.headers?.code === 503;
        this.#events.answer(slotOf(message.subject, from), nobody ? null : data);
      },
    });
  }

  /** Sends with the headers that were assembled last. The client refers to `body` until it wrote it. Throws what the client throws. */
  publish(subject: string, body: Uint8Array, slot: number): void {
    this.#options.reply = this.#replies[slot] ??= this.#inbox + slot;
    this.connection.publish(subject, body, this.#options);
  }

  /** Whether what `publish` threw is the connection's end, and not something that another connection would throw too. */
  isLost(error: unknown): boolean {
    return this.connection.isClosed() || error instanceof errors.ClosedConnectionError || error instanceof errors.DrainingConnectionError;
  }

  /** Ends it; `lost` is not called. */
  async close(): Promise<void> {
    this.#ended = true;
    await this.connection.close();
  }

  #lost(detail: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#events.lost(this, detail);
    // Where the client gave up only the subscription, the connection is still open.
    void this.connection.close();
  }

  #refused(error: Error): void {
    if (this.#ended) return;
    if (error instanceof PermissionViolationError) this.#events.denied(error);
    else this.#lost(rootMessage(error));
  }

  async #watchStatus(): Promise<void> {
    for await (const status of this.connection.status()) {
      if (status.type === 'error' && status.error instanceof PermissionViolationError) this.#refused(status.error);
    }
  }
}

function slotOf(subject: string, from: number): number {
  let slot = 0;
  for (let at = from; at < subject.length; at++) slot = slot * 10 + subject.charCodeAt(at) - 48;
  return slot;
}
