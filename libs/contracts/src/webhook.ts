/** Webhooks as callers ask for them: which events of a job go to which URL. */
import { z } from 'zod';
import { listOf, requestObject } from './request.js';

/** What of a job is told. `job.output` comes at most every few seconds; exactly one of the last four ends a job. */
export const WEBHOOK_EVENTS = [
  'job.started',
  'job.output',
  'job.completed',
  'job.failed',
  'job.cancelled',
  'job.expired',
] as const;
export const WebhookEvent = z.enum(WEBHOOK_EVENTS, { error: `give one of ${WEBHOOK_EVENTS.join(', ')}` });
export type WebhookEvent = z.infer<typeof WebhookEvent>;

export const TERMINAL_EVENTS: readonly WebhookEvent[] = ['job.completed', 'job.failed', 'job.cancelled', 'job.expired'];

/** Most names in a list of events; a repeated one counts once. */
const MAX_EVENTS = 100;

export const SomeWebhookEvents = listOf(WebhookEvent, MAX_EVENTS, 'events').transform((events) =>
  WEBHOOK_EVENTS.filter((event) => events.includes(event)),
);
export const WebhookEvents = SomeWebhookEvents.default([...TERMINAL_EVENTS]).meta({
  description: 'Which events are sent; those that end a job where left out.',
  examples: [['job.completed', 'job.failed']],
});

export const MAX_WEBHOOK_URL = 2048;

/** `whsec_` and base64 of 24 to 64 bytes (Standard Webhooks 1.0). */
export const WebhookSecret = z
  .string()
  .refine(isSecret, 'give "whsec_" and base64 of 24 to 64 random bytes, or leave it out')
  .meta({
    description: 'What signs: `whsec_` and base64 of 24 to 64 random bytes. Made for you where left out.',
    examples: ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'],
  });

function isSecret(text: string): boolean {
  const base64 = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(text)?.[1];
  const bytes = base64 === undefined ? 0 : Buffer.from(base64, 'base64').length;
  return bytes >= 24 && bytes <= 64;
}

/** `webhook` of a job. The URL is checked further when the job is submitted and at every attempt. */
export const WebhookRequest = requestObject({
  url: z
    .string()
    .max(MAX_WEBHOOK_URL)
    .meta({ description: 'Where events are sent.', examples: ['https://example.com/hooks/shoal'] }),
  events: WebhookEvents,
  secret: WebhookSecret.optional().describe(
    'What signs, for this job alone. The secret of all your jobs where left out.',
  ),
}).describe('Where events of this job are sent, beside your webhook endpoints.');
export type WebhookRequest = z.infer<typeof WebhookRequest>;

/** A job's own webhook as its record keeps it. `secret` is sealed; without one the tenant's own secret signs. */
export interface JobWebhook {
  readonly url: string;
  readonly events: readonly WebhookEvent[];
  readonly secret?: string;
}
