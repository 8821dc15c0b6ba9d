/** From a prompt and settings in the words of callers to what an engine is asked. */
import type { GenerationSettings, PromptItem } from '@shoal/contracts';
import type { GenerationRequest } from './types.js';

/** What of the model an engine has to be told. */
export interface TextLimits {
  /** Tokens of prompt and answer together. */
  readonly context: number;
  /** Any of them ends a text. */
  readonly eosTokenIds: readonly number[];
}

/** A request without what only whoever runs it knows. */
export type Asked = Omit<GenerationRequest, 'id' | 'emitted' | 'order' | 'rank' | 'alone' | 'owner' | 'cacheScope'>;

/** Answers end where the context does, whatever was asked. */
export function askedOf(
  { ids, choice, prediction }: PromptItem,
  settings: GenerationSettings,
  { context, eosTokenIds }: TextLimits,
): Asked {
  const { stop_token_ids: stopIds, ignore_eos: ignoreEos } = settings;
  return {
    prompt: ids,
    choice,
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
    maxTokens: Math.min(settings.max_tokens, context - ids.length),
    minTokens: settings.min_tokens,
    stopIds: ignoreEos ? stopIds : [...stopIds, ...eosTokenIds],
    topLogprobs: settings.logprobs,
    promptLogprobs: settings.echo && settings.logprobs !== null,
    prediction: prediction ?? null,
  };
}
