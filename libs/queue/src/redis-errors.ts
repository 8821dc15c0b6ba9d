/** What a failed command means to a caller. */
import { ShoalError } from '@shoal/contracts';

/** Redis out of memory, or away, or a fault of ours. ShoalErrors pass. */
export function redisError(error: unknown): ShoalError {
  if (error instanceof ShoalError) return error;
  const message = messageOf(error);
  if (/\bOOM\b/.test(message)) {
    return new ShoalError('memory_full', 'Redis is out of memory; repeat the request later', {
      cause: error,
      retryAfter: 5,
    });
  }
  if (/^(ERR|WRONGTYPE|NOPERM|NOSCRIPT|CROSSSLOT|EXECABORT)/.test(message)) {
    return new ShoalError('internal_error', 'The queue refused a command', { cause: error });
  }
  return new ShoalError(
    'redis_unavailable',
    'The queue cannot be reached; it is unknown whether the request took effect: repeat it with the same Idempotency-Key',
    { cause: error, retryAfter: 1 },
  );
}

/** Of a transaction that was given up, what its first command met with: there is why. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const [first] = 'previousErrors' in error && Array.isArray(error.previousErrors) ? error.previousErrors : [];
  return first instanceof Error ? first.message : error.message;
}
