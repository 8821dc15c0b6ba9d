/** Whatever was thrown, as one of the errors that callers can see; and that error as problem details (RFC 9457). */
import { HttpException } from '@nestjs/common';
import { asShoalError, ERRORS, type ErrorCode, type Fault, ShoalError } from '@shoal/contracts';

export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ErrorCode;
  readonly retryable: boolean;
  readonly errors: readonly Fault[];
  /** The id of the request, as in the X-Request-Id header. */
  readonly instance: string;
}

export function problemOf(error: ShoalError, requestId: string): Problem {
  const { title, status, retryable } = ERRORS[error.code];
  return {
    type: `urn:shoal:error:${error.code}`,
    title,
    status,
    detail: error.message,
    code: error.code,
    retryable,
    errors: error.faults,
    instance: requestId,
  };
}

/** What Nest and Fastify refuse by themselves, by status. Their 5xx and everything unknown is `internal_error`. */
export function toShoalError(thrown: unknown): ShoalError {
  if (thrown instanceof ShoalError) return thrown;
  const status = statusOf(thrown);
  if (status === 415) return new ShoalError('unsupported_media_type', 'Send Content-Type: application/json.');
  if (status === 404 || status === 414) return new ShoalError('not_found', 'There is nothing at this path.');
  if (status >= 400 && status < 500) return new ShoalError('malformed_body', 'The request cannot be read.');
  return asShoalError(thrown);
}

function statusOf(thrown: unknown): number {
  if (thrown instanceof HttpException) return thrown.getStatus();
  if (thrown instanceof Error && 'statusCode' in thrown) return Number(thrown.statusCode);
  return 500;
}
