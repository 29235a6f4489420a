/** Headers of a message as bytes in their stored form (`MessageBatch`): u16 length, name, u32 length, value. */
import { encodeHeaders } from '../../record/messages.ts';
import { writePiece } from '../json-text.ts';

const HEX = Buffer.from('0123456789ABCDEF', 'latin1');
const PERCENT = 0x25;
const QUOTE = 0x22;

/** A header up to its value's length. */
export function headerName(name: string): Uint8Array {
  return encodeHeaders([[name, '']])
    .subarray(0, -4)
    .slice();
}

/** A text as a header's value: as it is, or percent-encoded as CloudEvents' HTTP and NATS bindings ask for. */
export function headerValue(text: string, isPercentEncoded: boolean): string {
  if (!isPercentEncoded) return text;
  const from = Buffer.from(text, 'utf8');
  const to = Buffer.allocUnsafe(3 * from.length);
  return to.toString('latin1', 0, writePercentEncoded(to, 0, from, 0, from.length));
}

/** One header with a value that stands in `from`. Takes three bytes for one at the most, and those of name and length. */
export function writeHeader(name: Uint8Array, isPercentEncoded: boolean, to: Buffer, at: number, from: Buffer, start: number, end: number): number {
  const valueAt = writePiece(to, at, name) + 4;
  const valueEnd = isPercentEncoded ? writePercentEncoded(to, valueAt, from, start, end) : valueAt + from.copy(to, valueAt, start, end);
  to.writeUInt32BE(valueEnd - valueAt, valueAt - 4);
  return valueEnd;
}

/** Everything but printable ASCII, the quote and the percent sign itself (CloudEvents 1.0, HTTP protocol binding, section 3.1.3.2). */
function writePercentEncoded(to: Uint8Array, at: number, from: Uint8Array, start: number, end: number): number {
  for (let index = start; index < end; index++) {
    const byte = from[index] as number;
    if (byte > 0x20 && byte < 0x7f && byte !== QUOTE && byte !== PERCENT) to[at++] = byte;
    else {
      to[at++] = PERCENT;
      to[at++] = HEX[byte >> 4] as number;
      to[at++] = HEX[byte & 15] as number;
    }
  }
  return at;
}
