/** Registered webhook endpoints: what callers send and what they are shown. */
import { z } from 'zod';
import { requestObject } from './request.js';
import { SomeWebhookEvents, type WebhookEvent, WebhookEvents, WebhookSecret } from './webhook.js';

/** Most endpoints of one tenant. */
export const MAX_ENDPOINTS = 20;
/** Seconds that a secret goes on signing after it was replaced: a day, at most a week. */
export const DEFAULT_OVERLAP_SECONDS = 24 * 3600;
export const MAX_OVERLAP_SECONDS = 7 * 24 * 3600;
/** Most replaced secrets of one endpoint that still sign. */
export const MAX_OVERLAPPING_SECRETS = 10;

const Description = z
  .string()
  .max(256)
  .meta({ description: 'A note of your own.', examples: ['production'] });
const Url = z.string().meta({ description: 'Where events are sent.', examples: ['https://example.com/hooks/shoal'] });
const Disabled = z.boolean().describe('True: nothing is sent.');

/** `POST /v1/webhook-endpoints`. */
export const EndpointRequest = requestObject({
  url: Url,
  events: WebhookEvents,
  description: Description.default(''),
  disabled: Disabled.default(false),
  secret: WebhookSecret.optional(),
});
export type EndpointRequest = z.infer<typeof EndpointRequest>;

/** `PATCH /v1/webhook-endpoints/{id}`: what is left out stays. */
export const EndpointPatch = requestObject({
  url: Url.optional(),
  events: SomeWebhookEvents.optional().meta({ description: 'Which events are sent.', examples: [['job.failed']] }),
  description: Description.optional(),
  disabled: Disabled.optional(),
}).describe('What is left out stays as it is.');
export type EndpointPatch = z.infer<typeof EndpointPatch>;

/** `POST …/rotate-secret` and `POST /v1/webhook-secret/rotate`. */
export const RotateRequest = requestObject({
  secret: WebhookSecret.optional(),
  overlap: z
    .int()
    .min(0)
    .max(MAX_OVERLAP_SECONDS)
    .default(DEFAULT_OVERLAP_SECONDS)
    .meta({ description: 'Seconds that the secret before goes on signing, beside the new one.', examples: [3600] }),
});
export type RotateRequest = z.infer<typeof RotateRequest>;

const EITHER = 'give either "message", an id, or "since", an RFC 3339 time with an offset';

/** `POST …/replay`: one message, delivered or not, or all that failed since a time. */
export const ReplayRequest = z.union(
  [
    requestObject({
      message: z
        .string()
        .min(1)
        .max(64)
        .meta({ description: 'The `webhook-id` of one message.', examples: ['msg_01m83zn5fqbsmkqgj7c913jd4z'] }),
    }),
    requestObject({
      since: z.iso
        .datetime({ offset: true })
        .meta({ description: 'From when on failed messages are sent again.', examples: ['2026-01-05T09:30:00Z'] }),
    }),
  ],
  { error: EITHER },
);
export type ReplayRequest = z.infer<typeof ReplayRequest>;

/** Why an endpoint gets nothing: its owner said so, it answered 410, or it has only failed for days. */
export const DISABLED_REASONS = ['by_request', 'gone', 'failing'] as const;
export type DisabledReason = (typeof DISABLED_REASONS)[number];

/** The type of the message that `POST …/test` sends. */
export const TEST_EVENT = 'webhook.test';

export interface EndpointView {
  readonly id: string;
  readonly object: 'webhook_endpoint';
  readonly url: string;
  readonly events: readonly WebhookEvent[];
  readonly description: string;
  readonly disabled: boolean;
  readonly disabled_reason: DisabledReason | null;
  readonly created_at: string;
}

/** Shown when it is made, and no more for endpoints. */
export interface SecretView {
  readonly object: 'webhook_secret';
  readonly secret: string;
  /** Secrets before this one that still sign, by when each one ends. */
  readonly overlapping_until: readonly string[];
}

/** Why an attempt got no answer. */
export const ATTEMPT_ERRORS = [
  'timeout',
  'connection_failed',
  'dns_failed',
  'destination_not_allowed',
  'no_secret',
] as const;
export type AttemptError = (typeof ATTEMPT_ERRORS)[number];

export interface AttemptView {
  readonly id: string;
  readonly object: 'webhook_attempt';
  readonly message: string;
  readonly event: string;
  /** Null for test messages. */
  readonly job: string | null;
  /** Of this message, from 1. */
  readonly attempt: number;
  readonly at: string;
  readonly duration_ms: number;
  readonly delivered: boolean;
  /** The HTTP status; null where no answer came, and `error` says why. */
  readonly status: number | null;
  readonly error: AttemptError | null;
  /** What is behind `error`, in words. */
  readonly reason: string | null;
  /** The first bytes of the answer. */
  readonly response: string;
  /** Null where none follows. */
  readonly next_attempt_at: string | null;
}
