/** How likely a decoder finds texts: the measure that quantisation is judged by. */

import type { DecoderInfo } from '@shoal/models';
import type { Session, Tensor } from '@shoal/onnxruntime';

/** Logits that one pass may hand out: 32 MiB. */
const MAX_LOGITS = 8 * 1024 * 1024;
const MAX_CHUNK = 128;

export interface Likelihood {
  /** Sum of −log p over all tokens but the first, in nats. */
  readonly surprise: number;
  /** Tokens that the sum is over. */
  readonly tokens: number;
  /** The likeliest token after each of them. */
  readonly best: Int32Array;
}

/** Of one text, cut to the model's longest context. @throws ShoalError `inference_failed` */
export async function likelihoodOf(session: Session, info: DecoderInfo, ids: readonly number[]): Promise<Likelihood> {
  const text = ids.slice(0, info.maxContext);
  const chunk = Math.min(MAX_CHUNK, Math.max(1, Math.floor(MAX_LOGITS / info.vocabulary)));
  const cache = cacheOf(session, info, chunk);
  const best = new Int32Array(Math.max(0, text.length - 1));
  let surprise = 0;
  for (let past = 0; past < best.length; past += chunk) {
    const length = Math.min(chunk, best.length - past);
    const outputs = await session.run(
      { ...inputsOf(session, text, past, length), ...cache.past },
      { outputs: ['logits', 'log_sum_exp', 'top_k_ids', ...Object.keys(cache.present)], preallocated: cache.present },
    );
    const logits = outputs.logits!.data as Float32Array;
    const logSumExp = outputs.log_sum_exp!.data as Float32Array;
    const likeliest = outputs.top_k_ids!.data as BigInt64Array;
    for (let n = 0; n < length; n++) {
      surprise += logSumExp[n]! - logits[n * info.vocabulary + text[past + n + 1]!]!;
      best[past + n] = Number(likeliest[n]);
    }
  }
  return { surprise, tokens: best.length, best };
}

function inputsOf(session: Session, text: readonly number[], past: number, length: number): Record<string, Tensor> {
  const range = Array.from({ length }, (_, n) => n);
  const int64 = (values: readonly number[], ...dims: number[]): Tensor => ({
    type: 'int64',
    dims,
    data: BigInt64Array.from(values, BigInt),
  });
  const takesLengths = session.inputs.some(({ name }) => name === 'rotary_lengths');
  return {
    input_ids: int64(text.slice(past, past + length), 1, length),
    position_ids: int64(
      range.map((n) => past + n),
      1,
      length,
    ),
    seqlens_k: { type: 'int32', dims: [1], data: Int32Array.of(past + length - 1) },
    total_sequence_length: { type: 'int32', dims: [1], data: Int32Array.of(length) },
    logit_indices: int64(range, length),
    log_sum_exp_indices: int64(range, length),
    top_k: int64([1], 1),
    ...(takesLengths && { rotary_lengths: int64([text.length], 1) }),
  };
}

function cacheOf(session: Session, { kvHeads, headDim, maxContext }: DecoderInfo, chunk: number) {
  const past: Record<string, Tensor> = {};
  const present: Record<string, Tensor> = {};
  const dims = [1, kvHeads, maxContext + chunk, headDim];
  for (const { name } of session.inputs) {
    const part = /^past_key_values\.(.*)$/.exec(name)?.[1];
    if (part === undefined) continue;
    const tensor: Tensor = { type: 'float32', dims, data: new Float32Array(dims.reduce((a, b) => a * b)) };
    past[name] = tensor;
    present[`present.${part}`] = tensor;
  }
  return { past, present };
}
