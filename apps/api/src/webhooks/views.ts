/** Endpoints and attempts as their owner sees them. Pure. */
import type { AttemptView, EndpointView } from '@shoal/contracts';
import type { Endpoint, LoggedAttempt } from '@shoal/queue';

export function endpointView({ id, url, events, description, disabled, createdAt }: Endpoint): EndpointView {
  return {
    id,
    object: 'webhook_endpoint',
    url,
    events,
    description,
    disabled: disabled !== null,
    disabled_reason: disabled,
    created_at: timeOf(createdAt),
  };
}

export function attemptView(attempt: LoggedAttempt): AttemptView {
  const { id, message, event, job, at, durationMs, delivered, status, error, reason, response, nextAt } = attempt;
  return {
    id,
    object: 'webhook_attempt',
    message,
    event,
    job,
    attempt: attempt.attempt,
    at: timeOf(at),
    duration_ms: durationMs,
    delivered,
    status,
    error,
    reason,
    response,
    next_attempt_at: nextAt === null ? null : timeOf(nextAt),
  };
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}
