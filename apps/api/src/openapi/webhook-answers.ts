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
import { ListSchema } from './answers.js';

const Time = z.iso.datetime();

const What = 'What this is.';

const endpoint = {
  id: z.string().describe('The id of the endpoint.'),
  object: z.literal('webhook_endpoint').describe(What),
  url: z.string().describe('Where events are sent.'),
  events: z.array(WebhookEvent).describe('Which ones.'),
  description: z.string().describe('Your note.'),
  disabled: z.boolean().describe('Whether nothing is sent.'),
  disabled_reason: z
    .enum(DISABLED_REASONS)
    .nullable()
    .describe('By request; the endpoint answered 410; or it has only failed for five days.'),
  created_at: Time.describe('When it was made.'),
};
export const EndpointSchema = z.strictObject(endpoint) satisfies z.ZodType<EndpointView>;

export const NewEndpointSchema = z.strictObject({
  ...endpoint,
  secret: z.string().describe('What signs. It is not shown again.'),
}) satisfies z.ZodType<EndpointView & Pick<SecretView, 'secret'>>;

export const EndpointListSchema = z.strictObject({
  object: ListSchema,
  data: z.array(EndpointSchema).describe('The endpoints, oldest first.'),
});

export const SecretSchema = z.strictObject({
  object: z.literal('webhook_secret').describe(What),
  secret: z.string().describe('What signs.'),
  overlapping_until: z.array(Time).describe('When each secret before this one stops signing.'),
}) satisfies z.ZodType<SecretView>;

export const AttemptSchema = z.strictObject({
  id: z.string().describe('The id of the attempt.'),
  object: z.literal('webhook_attempt').describe(What),
  message: z.string().describe('The `webhook-id`.'),
  event: z.string().describe('The event that was told.'),
  job: z.string().nullable().describe('Of which job; null of a test.'),
  attempt: z.int().min(1).describe('Which attempt of this message, from 1.'),
  at: Time.describe('When it began.'),
  duration_ms: z.number().min(0).describe('How long it took, in ms.'),
  delivered: z.boolean().describe('Whether the receiver took it: it answered 2xx.'),
  status: z.int().nullable().describe('The HTTP status. Null where no answer came; `error` says why.'),
  error: z.enum(ATTEMPT_ERRORS).nullable().describe('Why no answer came; null where one did.'),
  reason: z.string().nullable().describe('What is behind `error`, in words.'),
  response: z.string().describe('The first 20,000 bytes of the answer.'),
  next_attempt_at: Time.nullable().describe('When it is tried again; null where it is not.'),
}) satisfies z.ZodType<AttemptView>;

export const AttemptListSchema = z.strictObject({
  object: ListSchema,
  data: z.array(AttemptSchema).describe('The attempts of this page, newest first.'),
  has_more: z.boolean().describe('Whether another page follows.'),
  next_cursor: z.string().nullable().describe('The `cursor` of the next page; null where none follows.'),
});

export const ReplayAnswerSchema = z.strictObject({
  object: z.literal('webhook_replay').describe(What),
  message: z.string().exactOptional().describe('The message that is sent again.'),
  since: z.iso
    .datetime({ offset: true })
    .exactOptional()
    .describe('The time from which on failed messages are sent again.'),
});

export const TestAnswerSchema = z.strictObject({
  object: z.literal('webhook_message').describe(What),
  id: z.string().describe('The `webhook-id` that it is sent with.'),
});
