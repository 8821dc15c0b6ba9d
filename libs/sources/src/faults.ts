/** What goes wrong with a source: what ends a pull, in one line, and what may pass and is tried again. */
import { ShoalError } from '@shoal/contracts';

/** Ends the pull; `message` says what is wrong and what to do, and holds no token and no query of a URL. */
export function unavailable(message: string, cause?: unknown): ShoalError {
  return new ShoalError('source_unavailable', message, cause === undefined ? {} : { cause });
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
