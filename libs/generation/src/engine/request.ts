/** What a request has to keep to before it comes near a pass. */
import { ShoalError } from '@shoal/contracts';
import { CANDIDATES } from '../sampling/candidates.js';
import type { GenerationRequest } from '../types.js';

export interface RequestLimits {
  /** Tokens of prompt and answer together. */
  readonly context: number;
  readonly vocabulary: number;
}

/** @throws ShoalError `input_too_long` or `invalid_request`, without a token in its words */
export function checkRequest(request: GenerationRequest, { context, vocabulary }: RequestLimits): void {
  const { prompt, emitted, maxTokens, minTokens, topLogprobs, id } = request;
  const invalid = (message: string) => new ShoalError('invalid_request', message);
  if (!Number.isSafeInteger(id)) throw invalid('A request has a whole number');
  if (prompt.length === 0) throw invalid('A prompt has at least one token');
  if (!isCount(maxTokens) || !isCount(minTokens)) throw invalid('Numbers of tokens are whole and not negative');
  if (prompt.length + maxTokens > context) {
    throw new ShoalError(
      'input_too_long',
      `The prompt has ${prompt.length} tokens and the answer up to ${maxTokens}; together there may be ${context}`,
    );
  }
  if (emitted.length > maxTokens) throw invalid('More tokens were made than are wanted');
  if (topLogprobs !== null && !(isCount(topLogprobs) && topLogprobs <= CANDIDATES)) {
    throw invalid(`There are at most ${CANDIDATES} alternatives of a token`);
  }
  const known = (token: number) => token < vocabulary;
  if (![prompt, emitted, request.prediction ?? prompt].every((tokens) => tokens.every(known)))
    throw invalid('The model has no such token');
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
