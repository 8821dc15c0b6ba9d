/** Answers about webhooks as schemas; see answers.ts. */
import {
  ATTEMPT_ERRORS,
  type AttemptView,
  DISABLED_REASONS,
  type EndpointView,
  type SecretView,
  WebhookEvent,
} from '@shoal/contracts';
import { z } from 'zod';

const Time = z.iso.datetime();

const endpoint = {
  id: z.string(),
  object: z.literal('webhook_endpoint'),
  url: z.string(),
  events: z.array(WebhookEvent),
  description: z.string(),
  disabled: z.boolean(),
  disabled_reason: z
    .enum(DISABLED_REASONS)
    .nullable()
    .describe('By request; the endpoint answered 410; or it has only failed for five days.'),
  created_at: Time,
};
export const EndpointSchema = z.strictObject(endpoint) satisfies z.ZodType<EndpointView>;

export const NewEndpointSchema = z.strictObject({
  ...endpoint,
  secret: z.string().describe('What signs. It is not shown again.'),
}) satisfies z.ZodType<EndpointView & Pick<SecretView, 'secret'>>;

export const EndpointListSchema = z.strictObject({ object: z.literal('list'), data: z.array(EndpointSchema) });

export const SecretSchema = z.strictObject({
  object: z.literal('webhook_secret'),
  secret: z.string(),
  overlapping_until: z.array(Time).describe('When each secret before this one stops signing.'),
}) satisfies z.ZodType<SecretView>;

export const AttemptSchema = z.strictObject({
  id: z.string(),
  object: z.literal('webhook_attempt'),
  message: z.string().describe('The `webhook-id`.'),
  event: z.string(),
  job: z.string().nullable(),
  attempt: z.int().min(1),
  at: Time,
  duration_ms: z.number().min(0),
  delivered: z.boolean(),
  status: z.int().nullable().describe('Null where no answer came; `error` says why.'),
  error: z.enum(ATTEMPT_ERRORS).nullable(),
  reason: z.string().nullable().describe('What is behind `error`, in words.'),
  response: z.string().describe('The first 20,000 bytes of the answer.'),
  next_attempt_at: Time.nullable(),
}) satisfies z.ZodType<AttemptView>;

export const AttemptListSchema = z.strictObject({
  object: z.literal('list'),
  data: z.array(AttemptSchema),
  has_more: z.boolean(),
  next_cursor: z.string().nullable().describe('The `cursor` of the next page.'),
});

export const ReplayAnswerSchema = z.strictObject({
  object: z.literal('webhook_replay'),
  message: z.string().exactOptional(),
  since: z.iso.datetime({ offset: true }).exactOptional(),
});

export const TestAnswerSchema = z.strictObject({ object: z.literal('webhook_message'), id: z.string() });
