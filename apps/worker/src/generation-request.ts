/** From a claimed item to what the engine is asked. */
import { type GenerationSettings, ShoalError } from '@shoal/contracts';
import { askedOf, type GenerationRequest, type TextLimits } from '@shoal/generation';
import type { ClaimedItem } from '@shoal/queue';

export function settingsOf({ parameters }: ClaimedItem): GenerationSettings {
  return parameters as Readonly<Record<string, unknown>> & GenerationSettings;
}

/** Throws `inference_failed` where the item is no prompt. */
export function promptOf({ item }: ClaimedItem) {
  if (item.kind === 'prompt') return item;
  throw new ShoalError('inference_failed', 'a model that generates text was given no prompt');
}

/** Whose cached prefixes a text may begin with. */
export type PrefixSharing = 'tenant' | 'all';

/** Of the model and its worker. */
export interface RequestContext {
  readonly limits: TextLimits;
  readonly prefixSharing: PrefixSharing;
}

/** `id` is the engine's number for it; `emitted` the tokens of its answer that are there. Throws `inference_failed`. */
export function requestOf(
  id: number,
  item: ClaimedItem,
  emitted: Uint32Array,
  { limits, prefixSharing }: RequestContext,
): GenerationRequest {
  const { tenant, lock, rank, strikes } = item;
  return {
    ...askedOf(promptOf(item), settingsOf(item), limits),
    ...{ id, emitted, order: lock.tag, rank, alone: strikes > 0, owner: tenant },
    cacheScope: prefixSharing === 'all' ? '' : tenant,
  };
}
