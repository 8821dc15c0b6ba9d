/** How likely a decoder finds texts: the measure that quantisation is judged by. */

import { TextPasses } from '@shoal/generation';
import type { DecoderInfo } from '@shoal/models';
import type { Session } from '@shoal/onnxruntime';

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
  const passes = new TextPasses(session, info, info.maxContext + chunk);
  for (let past = 0; past < text.length - 1; past += chunk) {
    const length = Math.min(chunk, text.length - 1 - past);
    const wanted = Array.from({ length }, (_, n) => n);
    const piece = { from: past, length, wanted, logSumExp: true };
    const outputs = await passes.read(text, piece, { outputs: ['logits', 'log_sum_exp', 'top_k_ids'] });
    yield {
      past,
      length,
      logits: outputs.logits!.data as Float32Array,
      logSumExp: outputs.log_sum_exp!.data as Float32Array,
      best: outputs.top_k_ids!.data as BigInt64Array,
    };
  }
}
