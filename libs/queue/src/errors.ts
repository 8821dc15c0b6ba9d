/** Errors that scripts store in records on their own: packed once. */
import { type ErrorCode, type JobError, ShoalError } from '@shoal/contracts';
import { pack } from './codec.js';

/** What of an error is stored in a job and shown to its caller. */
export function toJobError(error: ShoalError): JobError {
  return { code: error.code, title: error.title, detail: error.message, retryable: error.retryable };
}

const packed = (code: ErrorCode, detail: string) => pack(toJobError(new ShoalError(code, detail)));

export const CANCELLED = packed('cancelled', 'cancelled before it ended');
export const EXPIRED = packed('expired', 'the deadline passed before it was done');
export const TOO_LARGE = packed(
  'result_too_large',
  'the results of this job exceed 8 MB; submit fewer items in one job',
);
