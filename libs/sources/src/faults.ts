/** What goes wrong with a source: what ends a pull, in one line, and what may pass and is tried again. */
import { ShoalError } from '@shoal/contracts';

/** Ends the pull; `message` says what is wrong and what to do, and holds no token and no query of a URL. */
export function unavailable(message: string, cause?: unknown): ShoalError {
  return new ShoalError('source_unavailable', message, cause === undefined ? {} : { cause });
}

/** What writing fails of: a disk that is full, a quota, a name that is too long, a folder in the place of a file. */
export function isOfDisk(error: unknown): error is NodeJS.ErrnoException & { readonly code: string } {
  return error instanceof Error && 'syscall' in error && 'code' in error && !(error instanceof PassingFault);
}

/** A fault that may pass: the connection, or a server that is not itself just now. Its message follows a URL. */
export class PassingFault extends Error {
  /** What the server asked for, in ms. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, retryAfterMs?: number) {
    super(message);
    this.retryAfterMs = retryAfterMs;
  }
}

/** The part that was asked for is not there: what lies here is not the beginning of that file. */
export class NoSuchPart extends PassingFault {}
