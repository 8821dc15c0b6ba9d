/** The next token of a text. */
import { ShoalError } from '@shoal/contracts';
import type { Candidates } from '../sampling/candidates.js';
import { withLogprobs } from '../sampling/logprobs.js';
import { uniform } from '../sampling/random.js';
import type { Sampler } from '../sampling/sample.js';
import type { NewToken } from '../types.js';
import type { Row } from './row.js';

/**
 * Chooses it among `candidates`, which come with logits. It joins the text, and may be the last one; undefined where it is
 * one that ends the text, which is then as it was.
 *
 * @throws ShoalError `inference_failed` where the model gave no numbers
 */
export function chooseNext(sampler: Sampler, row: Row, candidates: Candidates): NewToken | undefined {
  const { stopIds, maxTokens, topLogprobs, sampling, choice } = row.request;
  const token = sampler.choose(candidates, row.history, uniform(sampling.seed, row.made, choice));
  if (token === 'logits') throw new ShoalError('internal_error', 'The pass gave no logits');
  const chosen = topLogprobs === null ? withoutLogprobs(token) : withLogprobs(token, topLogprobs, candidates);
  if (stopIds.includes(token)) {
    row.ending = { reason: 'stop', stop: chosen };
    return undefined;
  }
  row.append(token);
  if (row.made === maxTokens) row.ending = { reason: 'length', stop: null };
  return chosen;
}

function withoutLogprobs(id: number): NewToken {
  return { id, logprob: Number.NaN, topIds: new Uint32Array(0), topValues: new Float32Array(0) };
}
