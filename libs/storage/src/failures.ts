/** What a store fails of. Messages hold no path, host or key: callers of the API see them; `cause` tells the log. */
import { ShoalError } from '@shoal/contracts';

/** The same may succeed later, when whoever runs the store has seen to it. */
export function unavailable(words: string, cause?: unknown): ShoalError {
  return new ShoalError('storage_unavailable', `The store of files ${words}.`, cause === undefined ? {} : { cause });
}

export function full(words: string, cause: unknown): ShoalError {
  return new ShoalError('storage_full', `The store of files ${words}.`, { cause });
}

/** Of the caller: a key that is none. */
export function invalid(words: string): ShoalError {
  return new ShoalError('invalid_request', words);
}

export function tooLarge(maxBytes: number): ShoalError {
  return new ShoalError(
    'file_too_large',
    `The file has more than ${maxBytes} bytes, which are the most that are taken.`,
  );
}

/** The blob that was being read is another one now, or gone. */
export function changed(cause?: unknown): ShoalError {
  return unavailable('has another file in the place of the one that was being read, or none: read it again', cause);
}
