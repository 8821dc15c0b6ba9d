/** Webhooks as callers ask for them: which events of a job go to which URL. */
import { z } from 'zod';

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

export const WebhookEvents = z
  .array(WebhookEvent)
  .min(1, 'name at least one event')
  .transform((events) => WEBHOOK_EVENTS.filter((event) => events.includes(event)))
  .default([...TERMINAL_EVENTS]);

export const MAX_WEBHOOK_URL = 2048;

/** `whsec_` and base64 of 24 to 64 bytes (Standard Webhooks 1.0). */
export const WebhookSecret = z
  .string()
  .refine(isSecret, 'give "whsec_" and base64 of 24 to 64 random bytes, or leave it out');

function isSecret(text: string): boolean {
  const base64 = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(text)?.[1];
  const bytes = base64 === undefined ? 0 : Buffer.from(base64, 'base64').length;
  return bytes >= 24 && bytes <= 64;
}

/** `webhook` of a job. The URL is checked further when the job is submitted and at every attempt. */
export const WebhookRequest = z.strictObject({
  url: z.string().max(MAX_WEBHOOK_URL),
  events: WebhookEvents,
  secret: WebhookSecret.optional(),
});
export type WebhookRequest = z.infer<typeof WebhookRequest>;

/** A job's own webhook as its record keeps it. `secret` is sealed; without one the tenant's own secret signs. */
export interface JobWebhook {
  readonly url: string;
  readonly events: readonly WebhookEvent[];
  readonly secret?: string;
}
