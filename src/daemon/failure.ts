import { INTERNAL } from '../pipeline/errors.ts';
import { rootMessage, SluiceError } from '../plugin/error.ts';

export function asSluiceError(error: unknown): SluiceError {
  return error instanceof SluiceError ? error : new SluiceError(INTERNAL, { reason: rootMessage(error) }, { cause: error });
}

/** Only a fault of ours is worth a stack. */
export function stackOf(error: SluiceError): { stack?: string } {
  return error.kind === INTERNAL && error.cause instanceof Error && error.cause.stack !== undefined ? { stack: error.cause.stack } : {};
}
