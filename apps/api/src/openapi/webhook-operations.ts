/** The part of the document that is about webhooks. */
import { type Operations, query } from './operation.js';

const ID = {
  in: 'path',
  name: 'id',
  description: 'The id of the endpoint.',
  schema: { type: 'string' },
  example: 'ep_01m83zn5fqbsmkqgj7c913jd4z',
} as const;
const ERRORS = ['webhooks_unavailable', 'redis_unavailable'] as const;
const ENDPOINT_ERRORS = ['endpoint_not_found', ...ERRORS] as const;

/** Examples run against any server, so they name a host that has public addresses. */
const URL = 'https://example.com/hooks/shoal';

export const WEBHOOK_OPERATIONS: Operations = {
  '/v1/webhook-endpoints': {
    post: {
      id: 'createWebhookEndpoint',
      tag: 'Webhooks',
      summary: 'Have events of all your jobs sent to a URL',
      description:
        'Deliveries are signed (Standard Webhooks 1.0) and repeated for days until the receiver answers 2xx.',
      body: {
        schemas: ['EndpointRequest'],
        examples: { endpoint: { url: URL, events: ['job.completed', 'job.failed'], description: 'production' } },
      },
      answers: { 201: { description: 'The endpoint, with its secret this once.', schemas: ['NewWebhookEndpoint'] } },
      errors: ['destination_not_allowed', 'limit_reached', ...ERRORS],
    },
    get: {
      id: 'listWebhookEndpoints',
      tag: 'Webhooks',
      summary: 'List endpoints, oldest first',
      description: 'All endpoints of yours; there are 20 at most, so there are no pages.',
      answers: { 200: { description: 'All of them.', schemas: ['WebhookEndpointList'] } },
      errors: ['invalid_request', ...ERRORS],
    },
  },
  '/v1/webhook-endpoints/{id}': {
    get: {
      id: 'getWebhookEndpoint',
      tag: 'Webhooks',
      summary: 'Read an endpoint',
      description: 'The endpoint without its secret.',
      parameters: [ID],
      answers: { 200: { description: 'The endpoint.', schemas: ['WebhookEndpoint'] } },
      errors: ['invalid_request', ...ENDPOINT_ERRORS],
    },
    patch: {
      id: 'updateWebhookEndpoint',
      tag: 'Webhooks',
      summary: 'Change, disable or enable an endpoint',
      description:
        'What is left out stays as it is. An endpoint that was disabled because it failed is enabled with `disabled: false`.',
      parameters: [ID],
      body: { schemas: ['EndpointPatch'], examples: { disable: { disabled: true } } },
      answers: { 200: { description: 'The endpoint as it now is.', schemas: ['WebhookEndpoint'] } },
      errors: ['destination_not_allowed', ...ENDPOINT_ERRORS],
    },
    delete: {
      id: 'deleteWebhookEndpoint',
      tag: 'Webhooks',
      summary: 'Delete an endpoint; what waits for it is not sent',
      description: 'Its log of attempts goes with it.',
      parameters: [ID],
      answers: { 204: { description: 'The endpoint is gone.' } },
      errors: ENDPOINT_ERRORS,
    },
  },
  '/v1/webhook-endpoints/{id}/rotate-secret': {
    post: {
      id: 'rotateWebhookEndpointSecret',
      tag: 'Webhooks',
      summary: 'Replace the secret; the one before goes on signing for a while',
      description:
        'Messages carry a signature of each secret that still signs, so the receiver can change over when it likes.',
      parameters: [ID],
      body: { schemas: ['RotateRequest'], examples: { day: { overlap: 86_400 } } },
      answers: { 200: { description: 'The new secret, this once.', schemas: ['WebhookSecret'] } },
      errors: ['limit_reached', ...ENDPOINT_ERRORS],
    },
  },
  '/v1/webhook-endpoints/{id}/attempts': {
    get: {
      id: 'listWebhookAttempts',
      tag: 'Webhooks',
      summary: 'List attempts to deliver, newest first',
      description: 'The latest 1,000 attempts of the last seven days, and no more than 2 MiB of answers.',
      parameters: [
        ID,
        query('message', 'Only attempts of this message, such as `msg_01m83zn5fqbsmkqgj7c913jd4z`.', {
          type: 'string',
        }),
        query('limit', 'Most attempts of a page.', { type: 'integer', minimum: 1, maximum: 100, default: 20 }),
        query('cursor', 'The `next_cursor` of the page before.', { type: 'string' }),
      ],
      answers: { 200: { description: 'A page of attempts.', schemas: ['WebhookAttemptList'] } },
      errors: ['invalid_request', ...ENDPOINT_ERRORS],
    },
  },
  '/v1/webhook-endpoints/{id}/replay': {
    post: {
      id: 'replayWebhookMessages',
      tag: 'Webhooks',
      summary: 'Send a message again, or all that failed since a time',
      description: 'They keep their ids, so a receiver that had one before can tell.',
      parameters: [ID],
      body: { schemas: ['ReplayRequest'], examples: { since: { since: '2026-01-05T09:30:00Z' } } },
      answers: { 202: { description: 'They will be sent, under the ids they had.', schemas: ['WebhookReplay'] } },
      errors: ['message_not_found', ...ENDPOINT_ERRORS],
    },
  },
  '/v1/webhook-endpoints/{id}/test': {
    post: {
      id: 'testWebhookEndpoint',
      tag: 'Webhooks',
      summary: 'Send a test event',
      description: 'A `webhook.test` message, signed and repeated as any other.',
      parameters: [ID],
      answers: { 202: { description: 'The id of the message that will be sent.', schemas: ['WebhookMessage'] } },
      errors: ENDPOINT_ERRORS,
    },
  },
  '/v1/webhook-secret': {
    get: {
      id: 'getWebhookSecret',
      tag: 'Webhooks',
      summary: 'Read the secret that signs webhooks of jobs that name none',
      description: 'One secret for all your jobs whose `webhook` has no `secret`.',
      answers: {
        200: { description: 'The secret; it is made when it is first asked for.', schemas: ['WebhookSecret'] },
      },
      errors: ERRORS,
    },
  },
  '/v1/webhook-secret/rotate': {
    post: {
      id: 'rotateWebhookSecret',
      tag: 'Webhooks',
      summary: 'Replace that secret; the one before goes on signing for a while',
      description:
        'Messages carry a signature of each secret that still signs, so the receiver can change over when it likes.',
      body: { schemas: ['RotateRequest'], examples: { day: { overlap: 86_400 } } },
      answers: { 200: { description: 'The new secret.', schemas: ['WebhookSecret'] } },
      errors: ['limit_reached', ...ERRORS],
    },
  },
};
