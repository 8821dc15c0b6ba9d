/** The one table of errors: code → HTTP status, whether the same request may succeed later, and a title. */

interface ErrorKind {
  readonly status: number;
  readonly retryable: boolean;
  readonly title: string;
}

export const ERRORS = {
  malformed_body: { status: 400, retryable: false, title: 'The body cannot be read' },
  body_too_deep: { status: 400, retryable: false, title: 'The body is nested too deeply' },
  foreign_host: { status: 403, retryable: false, title: 'This host name is not served' },
  token_not_set: { status: 403, retryable: false, title: 'This is closed until its token is configured' },
  not_permitted: { status: 403, retryable: false, title: 'This API key may not do that' },
  unauthorized: { status: 401, retryable: false, title: 'A valid API key is required' },
  not_found: { status: 404, retryable: false, title: 'No such resource' },
  method_not_allowed: { status: 405, retryable: false, title: 'This method is not supported here' },
  model_not_found: { status: 404, retryable: false, title: 'No such model' },
  job_not_found: { status: 404, retryable: false, title: 'No such job' },
  job_gone: { status: 410, retryable: false, title: 'The job of this Idempotency-Key is gone' },
  endpoint_not_found: { status: 404, retryable: false, title: 'No such webhook endpoint' },
  message_not_found: { status: 404, retryable: false, title: 'No such webhook message' },
  file_not_found: { status: 404, retryable: false, title: 'No such file' },
  range_not_satisfiable: { status: 416, retryable: false, title: 'The file has no such range' },
  limit_reached: { status: 409, retryable: false, title: 'There are as many of these as there may be' },
  body_too_slow: { status: 408, retryable: true, title: 'The body came too slowly' },
  body_too_large: { status: 413, retryable: false, title: 'The body is too large' },
  file_too_large: { status: 413, retryable: false, title: 'The file is too large' },
  unsupported_media_type: { status: 415, retryable: false, title: 'The body is of another type than is taken' },
  invalid_request: { status: 422, retryable: false, title: 'The request is not valid' },
  destination_not_allowed: { status: 422, retryable: false, title: 'Webhooks may not go to this URL' },
  input_too_long: { status: 422, retryable: false, title: 'An input is longer than the model accepts' },
  result_too_large: { status: 422, retryable: false, title: 'The result would be too large' },
  idempotency_conflict: { status: 422, retryable: false, title: 'This Idempotency-Key was used with another body' },
  too_many_requests: { status: 429, retryable: true, title: 'Too many of your requests are under way' },
  tenant_backlog_full: { status: 429, retryable: true, title: 'Too much of your work is outstanding' },
  tenant_memory_full: { status: 429, retryable: true, title: 'Your jobs and results take too much memory' },
  queue_full: { status: 429, retryable: true, title: 'The queue of this model is full' },
  memory_full: { status: 429, retryable: true, title: 'The memory for results is full' },
  internal_error: { status: 500, retryable: false, title: 'Something failed that should not have' },
  inference_failed: { status: 500, retryable: false, title: 'The model could not process this input' },
  worker_crashed: { status: 500, retryable: false, title: 'The input ended its worker process three times' },
  device_failed: { status: 500, retryable: true, title: 'The device failed while running the model' },
  model_invalid: { status: 500, retryable: false, title: 'The model cannot be loaded' },
  source_unavailable: { status: 502, retryable: false, title: 'The model cannot be had from its source' },
  device_unavailable: { status: 500, retryable: false, title: 'The device that was asked for is not there' },
  webhooks_unavailable: { status: 501, retryable: false, title: 'Webhooks are not set up on this server' },
  files_unavailable: { status: 501, retryable: false, title: 'Files are not set up on this server' },
  not_replicated: { status: 503, retryable: true, title: 'Too few replicas of Redis have confirmed the job' },
  redis_unavailable: { status: 503, retryable: true, title: 'The queue cannot be reached' },
  storage_unavailable: { status: 503, retryable: true, title: 'The store of files cannot be used' },
  model_unloaded: { status: 503, retryable: true, title: 'The model is unloaded' },
  model_failed: { status: 503, retryable: true, title: 'No worker can load the model' },
  model_changed: { status: 503, retryable: true, title: 'The model was replaced before the job could run' },
  storage_full: { status: 507, retryable: true, title: 'The store of files is full' },
  wait_timeout: { status: 504, retryable: true, title: 'The result was not ready in time' },
  cancelled: { status: 409, retryable: false, title: 'The job was cancelled' },
  expired: { status: 409, retryable: false, title: 'The deadline passed before the job ended' },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERRORS;

/** One fault of a request: where it is (`input[3].query`) and what would mend it. */
export interface Fault {
  readonly path: string;
  readonly message: string;
}

interface ErrorOptions {
  /** Every fault found in the request, so that one answer is enough to mend it. */
  readonly faults?: readonly Fault[];
  /** Seconds after which a retry can help (the Retry-After header). */
  readonly retryAfter?: number;
  readonly cause?: unknown;
}

/** What makes a text look like another one: control characters but for ends of lines and tabs, and formatting ones. */
const HIDDEN = /(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

function visible(text: string): string {
  return text.replaceAll(HIDDEN, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`);
}

/**
 * An error a caller may see. `detail` says what is wrong and what to do; it never holds inputs, outputs or secrets. Names that it
 * repeats are a stranger's: what cannot be seen in them is shown by its number.
 */
export class ShoalError extends Error {
  readonly code: ErrorCode;
  readonly faults: readonly Fault[];
  readonly retryAfter: number | undefined;

  constructor(code: ErrorCode, detail: string, options: ErrorOptions = {}) {
    super(visible(detail), options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'ShoalError';
    this.code = code;
    this.faults = options.faults ?? [];
    this.retryAfter = options.retryAfter;
  }

  get status(): number {
    return ERRORS[this.code].status;
  }

  get retryable(): boolean {
    return ERRORS[this.code].retryable;
  }

  get title(): string {
    return ERRORS[this.code].title;
  }
}

/** Whatever was thrown, as an error that callers may see: what is none of the table is `internal_error`, its cause for the log. */
export function asShoalError(thrown: unknown): ShoalError {
  if (thrown instanceof ShoalError) return thrown;
  return new ShoalError('internal_error', 'The request id finds the cause in the log.', { cause: thrown });
}
