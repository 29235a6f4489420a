import { SluiceError } from '#plugin';
import { messageTooLarge } from './errors.ts';
import { CODE } from './pub-ack.ts';

/** nats-server refuses longer header sections (error 10097). */
const MAX_HEADER_BYTES = 65_535;

/** Throws before anything is sent where a limit is known. `ofServer`: its max_payload; `ofStream`: its max_msg_size, −1 = none. */
export function checkSize(
  stream: string,
  subject: string,
  { headers, size }: { readonly headers: number; readonly size: number },
  ofServer: number,
  ofStream: number,
): void {
  if (headers > MAX_HEADER_BYTES) throw tooLarge(stream, subject, headers, 'headers', MAX_HEADER_BYTES);
  const limit = ofStream < 0 ? ofServer : Math.min(ofServer, ofStream);
  if (size > limit) throw tooLarge(stream, subject, size, limit === ofStream ? 'stream' : 'server', limit);
}

/** The server has found it so. */
export function foundTooLarge(stream: string, subject: string, size: number, code: number, ofStream: number): SluiceError {
  return code === CODE.headerExceedsMaximum
    ? tooLarge(stream, subject, size, 'headers', MAX_HEADER_BYTES)
    : tooLarge(stream, subject, size, 'stream', ofStream);
}

/** The error for a message that no attempt will bring through, with the one setting that would. Sizes are bytes. */
function tooLarge(stream: string, subject: string, size: number, of: 'headers' | 'stream' | 'server', limit: number): SluiceError {
  const words = {
    headers: ['the size of a header section', 'it is fixed in the server; the key is too long'],
    stream: ['max_msg_size of the stream', `nats stream edit ${stream} --max-msg-size ${size}`],
    server: ['max_payload of the server', `max_payload: ${size} in its configuration`],
  } as const;
  const [limitName, how] = words[of];
  return new SluiceError(messageTooLarge, { subject, size, limit, limitName, how });
}
