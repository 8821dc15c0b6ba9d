/** What a caller asked of a text, checked against the model and with every default in its place. */
import { type Fault, formatPath, type GenerationSettings, type TextGenerationParameters } from '@shoal/contracts';
import { isFull, throwFaults } from '../faults.js';
import type { GeneratorDetails } from '../types.js';

/** Where the folder or the caller asks for cutting and nobody says how long answers are: the part of the context that is left for them. */
const SHARE_OF_ANSWERS = 1 / 4;

/**
 * `random` is from 0 to 1: a seed that is left out is drawn, so that a text that goes on elsewhere is the same text.
 * Throws ShoalError `invalid_request` with the path of each fault.
 */
export function settingsOf(
  parameters: TextGenerationParameters,
  { maxContext, vocabulary }: GeneratorDetails,
  random: () => number,
): GenerationSettings {
  const { max_tokens, top_k, logit_bias, seed, stop, stop_token_ids, logprobs, ...rest } = parameters;
  // Neither is a setting of an answer: what they are for is done when the prompt is there.
  const { truncate: _, prediction: __, ...others } = rest;
  const faults: Fault[] = [];
  const fault = (message: string, ...path: (string | number)[]) => {
    if (!isFull(faults)) faults.push({ path: formatPath(['parameters', ...path]), message });
  };
  if (max_tokens !== undefined && max_tokens >= maxContext) {
    fault(`must be less than ${maxContext}, the tokens that prompt and answer have together`, 'max_tokens');
  }
  if (others.min_tokens > (max_tokens ?? maxContext)) {
    fault(`is more than ${max_tokens ?? maxContext}, the most tokens that an answer has`, 'min_tokens');
  }
  const unknown = `token ids of this model are whole numbers below ${vocabulary}`;
  const biases = Object.entries(logit_bias ?? {}).map(([id, bias]) => {
    if (!/^\d{1,9}$/.test(id) || Number(id) >= vocabulary) fault(unknown, 'logit_bias', id);
    return [Number(id), bias] as const;
  });
  for (const [n, id] of (stop_token_ids ?? []).entries()) {
    if (id >= vocabulary) fault(unknown, 'stop_token_ids', n);
  }
  throwFaults(faults);
  return {
    ...others,
    max_tokens: max_tokens ?? maxContext,
    top_k: Math.max(0, top_k),
    logit_bias: biases,
    // The lowest 32 bits, of negative numbers too.
    seed: (seed ?? Math.floor(random() * 2 ** 32)) >>> 0,
    stop: stop === undefined ? [] : [stop].flat(),
    stop_token_ids: stop_token_ids ?? [],
    logprobs: logprobs ?? null,
  };
}

/** Room for a prompt. */
export interface PromptLimits {
  /** Most tokens. */
  readonly maxTokens: number;
  /** Whether a longer one loses its beginning. */
  readonly truncate: boolean;
  /** Why no more, for whoever sent a longer one. */
  readonly takes: string;
}

export function promptLimits(
  { max_tokens, truncate }: TextGenerationParameters,
  { maxContext }: GeneratorDetails,
): PromptLimits {
  const answer = max_tokens ?? (truncate ? Math.ceil(maxContext * SHARE_OF_ANSWERS) : 1);
  const together = `prompt and answer may have ${maxContext} together`;
  const takes = max_tokens === undefined ? together : `max_tokens is ${max_tokens}, and ${together}`;
  return { maxTokens: maxContext - answer, truncate, takes };
}
