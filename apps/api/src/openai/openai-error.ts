/** Errors in OpenAI's shape, so that its clients raise their own classes. */
import { ERRORS, type ErrorCode, type ShoalError } from '@shoal/contracts';

export interface OpenAiError {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: ErrorCode;
  };
}

/** OpenAI answers 400 where the native API answers 422. */
export function openAiStatusOf(error: ShoalError): number {
  return error.status === 422 ? 400 : error.status;
}

export function openAiErrorOf(error: ShoalError): OpenAiError {
  const param = error.faults[0]?.path ?? null;
  return { error: { message: messageOf(error), type: typeOf(ERRORS[error.code].status), param, code: error.code } };
}

function typeOf(status: number): string {
  if (status === 401) return 'authentication_error';
  if (status === 429) return 'rate_limit_error';
  return status < 500 ? 'invalid_request_error' : 'server_error';
}

const LATER: readonly ErrorCode[] = ['redis_unavailable', 'not_replicated'];

/** These calls have no Idempotency-Key, which the native API tells its callers to repeat with, and need none: what they queued ends with them. */
export function messageOf({ code, message }: ShoalError): string {
  return LATER.includes(code) ? 'The queue cannot be reached now; repeat the call later.' : message;
}
