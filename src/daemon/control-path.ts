import { join, relative } from 'node:path';
import { SluiceError } from '../plugin/error.ts';
import { CONTROL_PATH } from './control-errors.ts';

/** `sun_path` holds 108 bytes with the final NUL on Linux (unix(7)), 104 on the BSDs and macOS. */
const LIMIT_BYTES = process.platform === 'linux' ? 107 : 103;

/** Where the daemon of a data directory listens: the shorter way to name it, if the whole path is too long for a socket. Throws SLUICE_CONTROL_PATH. */
export function controlPath(directory: string): string {
  const whole = join(directory, 'control.sock');
  const path = [whole, relative(process.cwd(), whole)].find((each) => Buffer.byteLength(each) <= LIMIT_BYTES);
  if (path === undefined) throw new SluiceError(CONTROL_PATH, { path: whole, limitBytes: LIMIT_BYTES });
  return path;
}
