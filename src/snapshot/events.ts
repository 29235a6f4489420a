import type { SluiceError } from '../plugin/error.ts';
import type { TableCopy } from './table-copy.ts';

/** What a copy tells about itself. */
export interface CopyEvents {
  /** It is known how it will be read. */
  planned(copy: TableCopy): void;
  /** It cannot be read; it alone ends, and says why (I10). Sets its state. */
  failed(copy: TableCopy, error: SluiceError): void;
  /** It is read again later: it changed meanwhile. */
  later(copy: TableCopy, error: SluiceError): void;
  /** Rows were handed on, or it has ended. */
  moved(copy: TableCopy): void;
  /** The log has ended, with so many copies open. */
  unfinished(open: number): void;
}
