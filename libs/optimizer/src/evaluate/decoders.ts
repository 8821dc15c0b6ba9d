/** Models that generate text: how likely they find texts, and how far apart what they predict is. */
import { availableParallelism } from 'node:os';
import { type LikelihoodStep, likelihoodSteps } from '@shoal/importer';
import { type DecoderInfo, type Model, readDecoderInfo, sessionModel } from '@shoal/models';
import type { Runtime, Session } from '@shoal/onnxruntime';
import { badData } from '../data/bad-data.js';
import { tokenIdsOf } from '../data/token-ids.js';
import type { Context, Examples } from '../types.js';
import { divergenceAt, logProbability, type Predictions, quantileOf } from './divergence.js';
import type { Quality } from './types.js';

/**
 * Tokens that are measured with, of texts all over the examples: each costs a pass of both models. As many as others
 * judge quantisation by (100 pieces of 512 tokens).
 */
const MOST_TOKENS = 50_000;

export interface Decoder {
  readonly session: Session;
  readonly info: DecoderInfo;
}

export interface Decoders {
  readonly original: Decoder;
  readonly candidate: Decoder;
  /** Token ids of each text, of two tokens or more, and no more than both models read. */
  readonly texts: readonly (readonly number[])[];
}

/** @throws ShoalError where a model does not load, or the two have other tokens */
export async function openDecoders(
  original: Model,
  candidate: Model,
  { items }: Examples,
  { runtime }: Context,
): Promise<Decoders> {
  const texts = items.map((item) => ('text' in item ? item.text : ''));
  const [ids, others] = [await tokensOf(original, texts), await tokensOf(candidate, texts)];
  const [first, second] = [infoOf(original), infoOf(candidate)];
  if (first.vocabulary !== second.vocabulary || !ids.every((own, n) => areSame(own, others[n]!))) {
    throw badData('original and candidate cut texts into other tokens: likelihoods of other tokens are not compared');
  }
  const longest = Math.min(first.maxContext, second.maxContext);
  const long = ids.map((own) => own.slice(0, longest)).filter(({ length }) => length > 1);
  if (long.length === 0) throw badData('the texts have no tokens that follow others');
  const session = await openSession(runtime, original);
  try {
    return {
      original: { session, info: first },
      candidate: { session: await openSession(runtime, candidate), info: second },
      texts: spread(long),
    };
  } catch (error) {
    await session.release();
    throw error;
  }
}

export async function closeDecoders({ original, candidate }: Decoders): Promise<void> {
  await Promise.all([original.session.release(), candidate.session.release()]);
}

/** All cores for one text, as a worker has them that serves nothing else. */
async function openSession(runtime: Runtime, model: Model): Promise<Session> {
  const path = sessionModel(model.variants[model.variant]!);
  return await runtime.createSession(path, { intraOpThreads: availableParallelism() });
}

function infoOf(model: Model): DecoderInfo {
  const info = readDecoderInfo(model.variants[model.variant]!);
  if (info === undefined)
    throw badData(`${model.name}:${model.variant} does not say how it generates: import it again`);
  return info;
}

async function tokensOf({ folder }: Model, texts: readonly string[]): Promise<readonly (readonly number[])[]> {
  return await Promise.all(texts.map(tokenIdsOf(folder)));
}

function areSame(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((id, n) => id === b[n]);
}

/** Every second, third, ... text, so that there are not too many tokens. */
function spread(texts: readonly (readonly number[])[]): readonly (readonly number[])[] {
  const tokens = texts.reduce((sum, { length }) => sum + length, 0);
  const step = Math.ceil(tokens / MOST_TOKENS);
  return texts.filter((_, n) => n % step === 0);
}

/** Both read each text at the same time, some tokens at a time: logits of one piece are all that is in memory. */
export async function compareLikelihoods(decoders: Decoders, { signal, onProgress }: Context): Promise<Quality> {
  const { original, candidate, texts } = decoders;
  const { vocabulary } = original.info;
  const sums = new Sums();
  const [values, weights]: [number[], number[]] = [[], []];
  for (const [n, ids] of texts.entries()) {
    signal.throwIfAborted();
    const before = sums.surprises;
    const others = likelihoodSteps(candidate.session, candidate.info, ids);
    for await (const step of likelihoodSteps(original.session, original.info, ids)) {
      // Of one vocabulary, so its pieces are the same.
      const other = (await others.next()).value as LikelihoodStep;
      const [own, foreign] = [
        { ...step, vocabulary },
        { ...other, vocabulary },
      ];
      for (let at = 0; at < step.length; at++) {
        sums.add(own, foreign, at, ids[step.past + at + 1]!, step.best[at] === other.best[at]);
      }
    }
    await others.return(undefined);
    const after = sums.surprises;
    const tokens = after.tokens - before.tokens;
    values.push((after.candidate - after.original - before.candidate + before.original) / tokens);
    weights.push(tokens);
    onProgress((n + 1) / texts.length);
  }
  return { losses: { perplexity: { values, weights } }, figures: sums.figures() };
}

class Sums {
  #original = 0;
  #candidate = 0;
  #same = 0;
  #change = 0;
  #changeSquared = 0;
  readonly #divergences: number[] = [];

  /** `next`: the token that does follow; `same`: whether both find the same token the likeliest. */
  add(original: Predictions, candidate: Predictions, position: number, next: number, same: boolean): void {
    const own = logProbability(original, position, next);
    const other = logProbability(candidate, position, next);
    const change = Math.exp(other) - Math.exp(own);
    this.#original -= own;
    this.#candidate -= other;
    this.#same += Number(same);
    this.#change += change;
    this.#changeSquared += change * change;
    this.#divergences.push(divergenceAt(original, candidate, position));
  }

  /** −ln p of all tokens until now. */
  get surprises() {
    return { original: this.#original, candidate: this.#candidate, tokens: this.#divergences.length };
  }

  figures(): Quality['figures'] {
    const count = this.#divergences.length;
    const sorted = Float64Array.from(this.#divergences).sort();
    const mean = sorted.reduce((sum, value) => sum + value, 0) / count;
    const only = (candidate: number) => ({ original: null, candidate });
    return {
      perplexity: { original: Math.exp(this.#original / count), candidate: Math.exp(this.#candidate / count) },
      'ln of the ratio of perplexities': only((this.#candidate - this.#original) / count),
      'KL divergence, mean': only(mean),
      'KL divergence, median': only(quantileOf(sorted, 0.5)),
      'KL divergence, p99': only(quantileOf(sorted, 0.99)),
      'probability of the right token, mean change': only(this.#change / count),
      'probability of the right token, RMS change': only(Math.sqrt(this.#changeSquared / count)),
      'same likeliest token': only(this.#same / count),
    };
  }
}
