import type { StreamConfig } from '@nats-io/jetstream';
import { type Runtime, SluiceError } from '#plugin';
import { messageTooLarge } from './errors.ts';
import { CODE } from './pub-ack.ts';

/** nats-server refuses longer header sections (error 10097). */
const MAX_HEADER_BYTES = 65_535;
/** For so long the stream's limit is believed: its administrator may raise it at any time, and then sends the dead letters again. Shorter than a command takes. */
const BELIEVED_MS = 200;

/** How large a message may be, as far as it is known. Sizes are bytes. */
export class SizeLimits {
  readonly #stream: string;
  readonly #runtime: Runtime;
  /** max_msg_size of the stream, −1 = none. */
  #ofStream = -1;
  #learnedMs = Number.NEGATIVE_INFINITY;

  constructor(stream: string, runtime: Runtime) {
    this.#stream = stream;
    this.#runtime = runtime;
  }

  learned({ max_msg_size }: Pick<StreamConfig, 'max_msg_size'>): void {
    this.#ofStream = max_msg_size > 0 ? max_msg_size : -1;
    this.#learnedMs = this.#runtime.monotonicMs();
  }

  /** Null: it may be sent. `unsure`: it is larger than the stream's limit was. `ofServer`: its max_payload. */
  check(subject: string, headers: number, size: number, ofServer: number): SluiceError | 'unsure' | null {
    if (headers > MAX_HEADER_BYTES) return this.#tooLarge(subject, headers, 'headers', MAX_HEADER_BYTES);
    // Of two limits the smaller one is named.
    if (size > ofServer && !this.#exceedsStream(ofServer)) return this.#tooLarge(subject, size, 'server', ofServer);
    if (!this.#exceedsStream(size)) return null;
    if (this.#runtime.monotonicMs() - this.#learnedMs > BELIEVED_MS) return 'unsure';
    return this.#tooLarge(subject, size, 'stream', this.#ofStream);
  }

  /** The server has found it too large. Null: by what was learned since, it is not. */
  found(subject: string, size: number, code: number): SluiceError | null {
    if (code === CODE.headerExceedsMaximum) return this.#tooLarge(subject, size, 'headers', MAX_HEADER_BYTES);
    return this.#exceedsStream(size) ? this.#tooLarge(subject, size, 'stream', this.#ofStream) : null;
  }

  #exceedsStream(size: number): boolean {
    return this.#ofStream >= 0 && size > this.#ofStream;
  }

  /** The error for a message that no attempt will bring through, with the one setting that would. */
  #tooLarge(subject: string, size: number, of: 'headers' | 'stream' | 'server', limit: number): SluiceError {
    const words = {
      headers: ['the size of a header section', 'it is fixed in the server; the key is too long'],
      stream: ['max_msg_size of the stream', `nats stream edit ${this.#stream} --max-msg-size ${size}`],
      server: ['max_payload of the server', `max_payload: ${size} in its configuration`],
    } as const;
    const [limitName, how] = words[of];
    return new SluiceError(messageTooLarge, { subject, size, limit, limitName, how });
  }
}
