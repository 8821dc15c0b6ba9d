/** From a claimed item to what the engine is asked. */
import { type GenerationSettings, ShoalError } from '@shoal/contracts';
import type { GenerationRequest } from '@shoal/generation';
import type { ClaimedItem } from '@shoal/queue';

/** What of the model an engine has to know. */
export interface TextLimits {
  /** Tokens of prompt and answer together. */
  readonly context: number;
  /** Any of them ends a text. */
  readonly eosTokenIds: readonly number[];
}

export function settingsOf({ parameters }: ClaimedItem): GenerationSettings {
  return parameters as Readonly<Record<string, unknown>> & GenerationSettings;
}

/** Throws `inference_failed` where the item is no prompt. */
export function promptOf({ item }: ClaimedItem) {
  if (item.kind === 'prompt') return item;
  throw new ShoalError('inference_failed', 'a model that generates text was given no prompt');
}

/** `id` is the engine's number for it; `emitted` the tokens of its answer that are there. Throws `inference_failed`. */
export function requestOf(
  id: number,
  item: ClaimedItem,
  emitted: Uint32Array,
  { context, eosTokenIds }: TextLimits,
): GenerationRequest {
  const settings = settingsOf(item);
  const prompt = promptOf(item);
  const { stop_token_ids: stopIds, ignore_eos: ignoreEos } = settings;
  return {
    id,
    prompt: prompt.ids,
    emitted,
    choice: prompt.choice,
    sampling: {
      temperature: settings.temperature,
      topP: settings.top_p,
      topK: settings.top_k,
      minP: settings.min_p,
      frequencyPenalty: settings.frequency_penalty,
      presencePenalty: settings.presence_penalty,
      repetitionPenalty: settings.repetition_penalty,
      logitBias: settings.logit_bias,
      seed: settings.seed,
    },
    // As many as there is room for, where the caller did not say.
    maxTokens: Math.min(settings.max_tokens, context - prompt.ids.length),
    minTokens: settings.min_tokens,
    stopIds: ignoreEos ? stopIds : [...stopIds, ...eosTokenIds],
    topLogprobs: settings.logprobs,
    promptLogprobs: settings.echo && settings.logprobs !== null,
    order: item.lock.tag,
    rank: item.rank,
    alone: item.strikes > 0,
    owner: item.tenant,
    prediction: prompt.prediction ?? null,
  };
}
