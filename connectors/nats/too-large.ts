import { SluiceError } from '#plugin';
import { messageTooLarge } from './errors.ts';

/** nats-server refuses longer header sections (error 10097). */
export const MAX_HEADER_BYTES = 65_535;

/** The error for a message that no attempt will bring through, with the one setting that would. Sizes are bytes. */
export function tooLarge(stream: string, subject: string, size: number, of: 'headers' | 'stream' | 'server', limit: number): SluiceError {
  const words = {
    headers: ['the size of a header section', 'it is fixed in the server; the key is too long'],
    stream: ['max_msg_size of the stream', `nats stream edit ${stream} --max-msg-size ${size}`],
    server: ['max_payload of the server', `max_payload: ${size} in its configuration`],
  } as const;
  const [limitName, how] = words[of];
  return new SluiceError(messageTooLarge, { subject, size, limit, limitName, how });
}
