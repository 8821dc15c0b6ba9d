/** What exactly has answered, on paths whose answers have the shapes of other services: in headers. */
import { formatSelector, type JobMeta } from '@shoal/contracts';
import type { FastifyReply } from 'fastify';

/** What asks for exactly the version and variant that has answered. */
export const MODEL_HEADER = 'X-Shoal-Model';
/** What that variant was measured to lose, as JSON; not sent where it is the original, or was not chosen by that. */
export const LOSS_HEADER = 'X-Shoal-Accuracy-Loss';

/** Before the answer is sent. */
export function tellVariant(
  reply: FastifyReply,
  { model: name, version, variant, accuracyLoss }: Pick<JobMeta, 'model' | 'version' | 'variant' | 'accuracyLoss'>,
): void {
  reply.header(MODEL_HEADER, formatSelector({ name, version, variant }));
  if (accuracyLoss !== undefined) reply.header(LOSS_HEADER, JSON.stringify(accuracyLoss));
}
