import type { StreamInfo } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import {
  destinationAt,
  errorFinding,
  type Finding,
  idAt,
  type MessageBatch,
  type Noted,
  type Place,
  rootMessage,
  type Sink,
  type SinkContext,
  SluiceError,
  type TableIdentity,
  type Written,
} from '#plugin';
import { forbiddenSubject } from './account.ts';
import type { NatsConfig } from './config.ts';
import { openConnection } from './connection.ts';
import { streamLost, streamRefused, subjectsUncovered, unreachable } from './errors.ts';
import { ExclusiveOrder } from './exclusive-order.ts';
import type { Order } from './order.ts';
import { fromPlace, type StreamPlace, toPlace } from './place.ts';
import { clockFindings, findingsOf, tlsFindings, uncovered } from './preflight.ts';
import { Publisher } from './publisher.ts';
import { holdsOutput, lastWritten, readSuffix, type Suffix, UNSAVED_MESSAGES } from './read-back.ts';
import { Recovery } from './recovery.ts';
import { Session } from './session.ts';
import { SharedOrder } from './shared-order.ts';
import { permissionError, StreamAccess } from './stream.ts';
import { subjectFilter, subjectOf, subjectsOf } from './subject.ts';

/** Writes messages to a JetStream stream. */
export class NatsSink implements Sink {
  readonly #config: NatsConfig;
  readonly #context: SinkContext;
  #connection: NatsConnection | null = null;
  #connecting: Promise<NatsConnection> | null = null;
  #publisher: Publisher | null = null;
  #recovery: Recovery | null = null;
  /** What stands behind the place, by the lanes of the order. */
  #found: { readonly order: Order; readonly noted: Noted } | null = null;
  /** The stream's end when it was opened. */
  #opened = 0;
  #foreignSaid = false;
  #hasLookedAtServer = false;

  constructor(config: NatsConfig, context: SinkContext) {
    this.#config = config;
    this.#context = context;
  }

  async preflight(destinations: readonly string[], signal: AbortSignal): Promise<readonly Finding[]> {
    const connection = await this.#connected(signal);
    const access = this.#access(connection);
    const { runtime, connector } = this.#context;
    const asked = runtime.nowMicros();
    const info = await access.info();
    const findings = [...clockFindings((info as { ts?: string } | null)?.ts, asked, runtime.nowMicros())];
    if (!this.#hasLookedAtServer) findings.push(...tlsFindings(this.#config, connection.info?.tls_required === true));
    this.#hasLookedAtServer = true;
    signal.throwIfAborted();
    findings.push(...findingsOf(this.#config, this.#context, connection.info?.version ?? '', info).map((finding) => this.#withFix(finding, info)));
    if (info === null && this.#config.createStream) findings.push(...(await this.#takenFindings(access)));
    const forbidden = await forbiddenSubject(connection, [...destinations, ...this.#context.extraDestinations]);
    if (forbidden !== null) findings.push(errorFinding(permissionError(this.#config, connector, { operation: 'publish', subject: forbidden })));
    return findings;
  }

  /** Whether a stream that is to be made would be refused. */
  async #takenFindings(access: StreamAccess): Promise<readonly Finding[]> {
    const { stream } = this.#config;
    const subjects = subjectsOf(this.#config, this.#context);
    const other = await access.holderOf(subjects);
    if (other === null) return [];
    const detail = `stream "${other}" listens to subjects of it already`;
    return [errorFinding(new SluiceError(streamRefused, { stream, subjects: subjects.join(','), detail }))];
  }

  /** Subjects of its own are nobody else's; what a stream of several writers listens to is a decision. */
  #withFix(finding: Finding, info: StreamInfo | null): Finding {
    const { exclusive } = this.#config;
    if (finding.code !== subjectsUncovered.code || !exclusive || info === null) return finding;
    const apply = async (signal: AbortSignal): Promise<void> => {
      const { all } = uncovered(this.#config.stream, subjectsOf(this.#config, this.#context), info.config);
      const connection = await openConnection(this.#config, this.#context, 0, signal);
      try {
        await this.#access(connection).listenTo(info.config, String(all).split(','));
      } finally {
        await connection.close();
      }
    };
    return { ...finding, fix: { statement: finding.remedy, apply } };
  }

  async open(place: Place | null, signal: AbortSignal): Promise<Written> {
    const connection = await this.#connected(signal);
    const access = this.#access(connection);
    const saved = place === null ? null : this.#parsed(place);
    const info = await this.#stream(access, saved);
    const { connector } = this.#context;
    const order = this.#order();
    const end = info.state.last_seq;
    // Without a place the whole of what can be unsaved is read: the first checkpoint may have been saved before anything was written.
    const from = saved === null ? Math.max(0, end - UNSAVED_MESSAGES, info.state.first_seq - 1) : saved.sequence;
    const suffix = await readSuffix(access, info, from, connector, (subject) => order.lane(subject), signal);
    if (saved !== null) this.#saySuffix(suffix, end - from);
    const { noted } = suffix;
    const holds =
      saved === null && (noted.size > 0 || (await holdsOutput(access, info, connector, subjectFilter(this.#config.subject, connector), signal)));
    signal.throwIfAborted();
    this.#opened = end;
    this.#found = { order, noted };
    this.#start(connection, info, order, noted, from);
    return { transactions: noted.transactions(), holdsOutput: holds };
  }

  destination(table: TableIdentity): string {
    return subjectOf(this.#config.subject, this.#context.connector, table);
  }

  stands(batch: MessageBatch, index: number): boolean {
    if (this.#found === null) return false;
    return this.#found.noted.has(this.#found.order.lane(destinationAt(batch, index)), idAt(batch, index));
  }

  write(batch: MessageBatch, signal: AbortSignal): Promise<Place> {
    if (this.#publisher === null) return Promise.reject(new Error('write() before open()'));
    return this.#publisher.write(batch, signal);
  }

  async recover(signal: AbortSignal): Promise<{ readonly place: Place; readonly lastTransaction: string | null }> {
    const access = this.#access(await this.#connected(signal));
    const info = await access.info();
    if (info === null) throw access.missing();
    const { sequence, transaction } = await lastWritten(access, info, this.#context.connector, signal);
    const place = toPlace({ sequence, created: info.created });
    // In a shared stream each subject has its own order: the last message of all says nothing about the others.
    return { place, lastTransaction: this.#config.exclusive ? transaction : null };
  }

  async close(): Promise<void> {
    await this.#publisher?.close();
    await this.#recovery?.end();
    await this.#connection?.close();
    this.#connection = null;
  }

  /** The connection of preflight serves `open` too. */
  async #connected(signal: AbortSignal): Promise<NatsConnection> {
    if (this.#connection !== null && !this.#connection.isClosed()) return this.#connection;
    // One at a time: the doctor looks at the server while the source is asked for its tables.
    this.#connecting ??= openConnection(this.#config, this.#context, 0, signal).finally(() => (this.#connecting = null));
    this.#connection = await this.#connecting;
    return this.#connection;
  }

  #access(connection: NatsConnection): StreamAccess {
    return new StreamAccess(connection, this.#config, this.#context);
  }

  #parsed(place: Place): StreamPlace | null {
    // The place of another kind of sink: this connector wrote somewhere else until now.
    if (place['sequence'] === undefined) return null;
    const parsed = fromPlace(place);
    if (parsed === null) throw this.#lost('the saved place cannot be read');
    return parsed;
  }

  /** The stream, made if it may be. Throws if it is not the one that `saved` is of, or ends before it (I8). */
  async #stream(access: StreamAccess, saved: StreamPlace | null): Promise<StreamInfo> {
    let info = await access.info();
    if (info === null && saved !== null) throw this.#lost('it does not exist any more');
    if (info === null) {
      if (!this.#config.createStream) throw access.missing();
      info = await access.create();
      this.#context.log.info(`Stream "${this.#config.stream}" was created.`);
    }
    if (saved === null) return info;
    if (info.created !== saved.created) throw this.#lost('it was deleted and made again');
    if (info.state.last_seq < saved.sequence) {
      throw this.#lost(`it ends at sequence ${info.state.last_seq}, and what was saved as written ends at ${saved.sequence}`);
    }
    return info;
  }

  #lost(detail: string): SluiceError {
    return new SluiceError(streamLost, { stream: this.#config.stream, connector: this.#context.connector, detail });
  }

  #order(): Order {
    const { connector } = this.#context;
    if (this.#config.exclusive) return new ExclusiveOrder(connector, (count) => this.#sayForeign(count));
    return new SharedOrder(
      (subject) => this.#learn(subject),
      () => this.#publisher?.wake(),
    );
  }

  #start(connection: NatsConnection, info: StreamInfo, order: Order, noted: Noted, notedFloor: number): void {
    const [config, context] = [this.#config, this.#context];
    const publisher = new Publisher({
      config,
      context,
      order,
      noted,
      recover: (trouble) => recovery.begin(trouble),
      learnLimits: () => this.#learnLimits(),
      denied: (violation) => permissionError(config, context.connector, violation),
      recovered: () => recovery.worked(),
      idle: () => recovery.idle(),
    });
    const session = (to: NatsConnection): Session => {
      try {
        return new Session(to, publisher.headers, publisher);
      } catch (error) {
        // It was lost in this very moment.
        if (to.isClosed()) throw new SluiceError(unreachable, { detail: rootMessage(error) }, { cause: error });
        throw error;
      }
    };
    const recovery = new Recovery({
      config,
      context,
      order,
      publisher,
      connect: async (attempt, signal) => session(await openConnection(config, context, attempt, signal)),
    });
    order.begin(info);
    publisher.created = info.created;
    publisher.confirmed = info.state.last_seq;
    publisher.notedFloor = notedFloor;
    publisher.limits.learned(info.config);
    this.#publisher = publisher;
    this.#recovery = recovery;
    publisher.resume(session(connection));
  }

  async #learnLimits(): Promise<void> {
    await this.#asked(null, async (access, publisher) => {
      const info = await access.info();
      if (info === null) publisher.stop({ kind: 'again', detail: 'the stream does not exist' });
      else publisher.limits.learned(info.config);
      return null;
    });
  }

  /** For a shared stream: the sequence of a subject's last message, 0 = none, −1 = not known. */
  #learn(subject: string): Promise<number> {
    return this.#asked(-1, async (access) => {
      const last = await access.last(subject);
      if (last === null) return 0;
      if (last.sequence > this.#opened) await this.#noteLate(access, subject, last.sequence);
      return last.sequence;
    });
  }

  /** Asks while the publisher is at work. `unknown`: the answer where there is none; what was in the way is the publisher's trouble by then. */
  async #asked<T>(unknown: T, ask: (access: StreamAccess, publisher: Publisher) => Promise<T>): Promise<T> {
    const publisher = this.#publisher as Publisher;
    try {
      const connection = publisher.session?.connection;
      return connection === undefined ? unknown : await ask(this.#access(connection), publisher);
    } catch (error) {
      if (error instanceof SluiceError && error.kind.retry === 'auto') publisher.stop({ kind: 'again', detail: error.message });
      else publisher.fail(error);
      return unknown;
    }
  }

  /** What came to a subject after the stream was opened may be of the process before this one: the kernel delivers its bytes after its end. */
  async #noteLate(access: StreamAccess, subject: string, end: number): Promise<void> {
    const publisher = this.#publisher as Publisher;
    const info = await access.info();
    if (info === null) return;
    await access.readBack(info, this.#opened + 1, end, (_, __, id) => publisher.noteLate(subject, id, this.#opened), new AbortController().signal, {
      filter: subject,
    });
  }

  #sayForeign(count: number): void {
    const fields = { remedy: 'Set "exclusive": false in every connector that writes to this stream, or give each its own stream.' };
    const message = `Another writer publishes to the stream "${this.#config.stream}", which this connector believes to have for itself (${count} messages of others).`;
    this.#context.log[this.#foreignSaid ? 'debug' : 'warn'](message, fields);
    this.#foreignSaid = true;
  }

  #saySuffix({ noted, gone }: Suffix, total: number): void {
    if (gone > 0) {
      this.#context.log.warn(
        `${gone} of ${total} messages behind the saved place are gone from the stream "${this.#config.stream}": those of this connector are published again (at least once for them).`,
      );
    } else if (noted.size > 0)
      this.#context.log.info(`The stream holds ${noted.size} transactions behind the saved place: they are not written again.`);
  }
}
