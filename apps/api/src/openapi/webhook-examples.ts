/** One answer of each kind about webhooks; see examples.ts. */
import type { AttemptView, EndpointView, SecretView } from '@shoal/contracts';

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const MESSAGE = 'msg_01m83zn5fqbsmkqgj7c913jd4z';

const ENDPOINT: EndpointView = {
  id: 'ep_01m83zn5fqbsmkqgj7c913jd4z',
  object: 'webhook_endpoint',
  url: 'https://example.com/hooks/shoal',
  events: ['job.completed', 'job.failed'],
  description: 'production',
  disabled: false,
  disabled_reason: null,
  created_at: '2026-01-05T09:30:00.000Z',
};

const SIGNING: SecretView = {
  object: 'webhook_secret',
  secret: SECRET,
  overlapping_until: ['2026-01-06T09:30:00.000Z'],
};

const ATTEMPT: AttemptView = {
  id: '1767605400021-0',
  object: 'webhook_attempt',
  message: MESSAGE,
  event: 'job.completed',
  job: 'wordnet-topic.1.fp32.0.01m83zn5fqbsmkqgj7c913jd4z',
  attempt: 1,
  at: '2026-01-05T09:30:00.030Z',
  duration_ms: 41,
  delivered: false,
  status: 503,
  error: null,
  reason: null,
  response: 'down for maintenance',
  next_attempt_at: '2026-01-05T09:30:05.071Z',
};

export const WEBHOOK_EXAMPLES = {
  WebhookEndpoint: ENDPOINT,
  NewWebhookEndpoint: { ...ENDPOINT, secret: SECRET },
  WebhookEndpointList: { object: 'list', data: [ENDPOINT] },
  WebhookSecret: SIGNING,
  WebhookAttempt: ATTEMPT,
  WebhookAttemptList: { object: 'list', data: [ATTEMPT], has_more: false, next_cursor: null },
  WebhookReplay: { object: 'webhook_replay', since: '2026-01-05T09:30:00Z' },
  WebhookMessage: { object: 'webhook_message', id: MESSAGE },
} as const;
