/** Log probabilities of the model itself, before temperature and all else (as vLLM's default, `raw_logprobs`). */
import type { NewToken } from '../types.js';
import type { Candidates } from './candidates.js';

/** `id` and the `top` likeliest tokens with log probabilities; NaN for an `id` outside of candidates that came without logits. */
export function withLogprobs(id: number, top: number, candidates: Candidates): NewToken {
  const { ids, values, logits } = candidates;
  const sum = candidates.logSumExp ?? (logits === undefined ? Number.NaN : logSumExp(logits));
  const place = ids.indexOf(BigInt(id));
  const logit = logits?.[id] ?? (place < 0 ? Number.NaN : values[place]!);
  return {
    id,
    logprob: logit - sum,
    topIds: Uint32Array.from(ids.subarray(0, top), Number),
    topValues: values.slice(0, top).map((value) => value - sum),
  };
}

function logSumExp(logits: Float32Array): number {
  const top = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  return top + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - top), 0));
}
