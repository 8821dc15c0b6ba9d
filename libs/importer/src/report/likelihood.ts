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

/** What a pass over neighbouring tokens of a text says of what may follow each of them. */
export interface LikelihoodStep {
  /** Place of the first of the tokens in the text. */
  readonly past: number;
  /** Tokens of this pass. */
  readonly length: number;
  /** [length, vocabulary] */
  readonly logits: Float32Array;
  /** [length]: of all logits of each. */
  readonly logSumExp: Float32Array;
  /** [length]: the likeliest token. */
  readonly best: BigInt64Array;
}

/** Of one text, cut to the model's longest context. @throws ShoalError `inference_failed` */
export async function likelihoodOf(session: Session, info: DecoderInfo, ids: readonly number[]): Promise<Likelihood> {
  const best: number[] = [];
  let surprise = 0;
  for await (const step of likelihoodSteps(session, info, ids)) {
    for (let n = 0; n < step.length; n++) {
      surprise += step.logSumExp[n]! - step.logits[n * info.vocabulary + ids[step.past + n + 1]!]!;
      best.push(Number(step.best[n]));
    }
  }
  return { surprise, tokens: best.length, best: Int32Array.from(best) };
}

/**
 * The passes of one text, cut to the model's longest context: all tokens but the last, which nothing follows. Models of one
 * vocabulary are given the same pieces.
 *
 * @throws ShoalError `inference_failed`
 */
export async function* likelihoodSteps(
  session: Session,
  info: DecoderInfo,
  ids: readonly number[],
): AsyncGenerator<LikelihoodStep> {
  const text = ids.slice(0, info.maxContext);
  const chunk = Math.min(MAX_CHUNK, Math.max(1, Math.floor(MAX_LOGITS / info.vocabulary)));
  const cache = cacheOf(session, info, chunk);
  for (let past = 0; past < text.length - 1; past += chunk) {
    const length = Math.min(chunk, text.length - 1 - past);
    const outputs = await session.run(
      { ...inputsOf(session, text, past, length), ...cache.past },
      { outputs: ['logits', 'log_sum_exp', 'top_k_ids', ...Object.keys(cache.present)], preallocated: cache.present },
    );
    yield {
      past,
      length,
      logits: outputs.logits!.data as Float32Array,
      logSumExp: outputs.log_sum_exp!.data as Float32Array,
      best: outputs.top_k_ids!.data as BigInt64Array,
    };
  }
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
