/**
 * Which token comes next. In the order of transformers' processors: changes of single logits (penalties.ts), temperature,
 * top_k, top_p (over what top_k leaves), min_p, the draw.
 *
 * All of top_k, top_p and min_p keep the likeliest tokens up to some place (of equal ones the lower id is likelier). The draw
 * goes through them in one order: the 64 likeliest, likeliest first, then the others by id. So it can mostly be decided from a
 * pass's 64 candidates and the probability that all others have together; whole logits are needed only where that leaves open
 * which token it is. Both ways choose the same token for the same `u`.
 */
import { ShoalError } from '@shoal/contracts';
import type { Sampling } from '../types.js';
import { CANDIDATES, type Candidates } from './candidates.js';
import { after, cumulate, cutOf, draw, type Interval, NOTHING } from './cut.js';
import { Likeliest } from './likeliest.js';
import type { History } from './penalties.js';
import { Weights } from './weights.js';

/** Below, the likeliest token is taken (as in vLLM). */
const GREEDY = 1e-5;
/** How wrong a sum of 32-bit floats over a vocabulary may be, relative to it. */
const ROUNDING = 2e-5;

/** Whether `choose` reads `logSumExp`. */
export function needsLogSumExp({ temperature, topK }: Sampling): boolean {
  return temperature >= GREEDY && !(topK > 0 && topK <= CANDIDATES);
}

/** Chooses tokens; holds memory that one choice after the other uses. */
export class Sampler {
  readonly #vocabulary: number;
  readonly #list = new Likeliest(CANDIDATES);
  /** Sums of the list's weights; a weight is a probability relative to the likeliest token's. */
  readonly #sums = new Float64Array(CANDIDATES);
  readonly #weights: Weights;

  constructor(vocabulary: number) {
    this.#vocabulary = vocabulary;
    this.#weights = new Weights(vocabulary);
  }

  /**
   * The next token, for a `u` in [0, 1); 'logits' where it takes whole logits to tell, and they were not given.
   *
   * @throws ShoalError `inference_failed` where the model gave no numbers
   */
  choose(candidates: Candidates, history: History, u: number): number | 'logits' {
    if (!Number.isFinite(candidates.values[0])) throw new ShoalError('inference_failed', 'The model gave no numbers.');
    const { logits } = candidates;
    return this.#fromCandidates(candidates, history, u) ?? (logits ? this.#fromLogits(logits, history, u) : 'logits');
  }

  #fromCandidates(candidates: Candidates, history: History, u: number): number | undefined {
    const { sampling } = history;
    const list = this.#list;
    if (!this.#listCandidates(candidates, history)) return undefined;
    if (sampling.temperature < GREEDY) return list.ids[0];
    cumulate(list, sampling.temperature, this.#sums);
    const closed = sampling.topK > 0 && sampling.topK <= list.size;
    const others = closed ? NOTHING : this.#others(candidates, history);
    if (others === undefined) return undefined;
    const cut = cutOf(list, this.#sums, others, sampling);
    if (cut === undefined) return undefined;
    const place = draw(this.#sums, cut, u);
    return place === undefined ? undefined : list.ids[place];
  }

  /** The likeliest tokens after all changes, as far as candidates tell. False where they do not tell any. */
  #listCandidates({ ids, values, logits }: Candidates, history: History): boolean {
    const list = this.#list;
    list.clear();
    if (history.ids.length === 0) {
      for (let i = 0; i < ids.length && i < CANDIDATES; i++) list.add(Number(ids[i]), values[i]!);
      return true;
    }
    if (logits === undefined) return false;
    for (let i = 0; i < ids.length; i++) {
      const id = Number(ids[i]);
      if (!history.changes(id)) list.add(id, values[i]!);
    }
    // Tokens that are neither candidates nor changed are not above this.
    const floor = ids.length >= this.#vocabulary ? Number.NEGATIVE_INFINITY : values[values.length - 1]!;
    for (const [n, id] of history.ids.entries()) {
      if (id >= this.#vocabulary) continue;
      const value = history.adjusted(n, logits[id]!);
      if (value > floor) list.add(id, value);
    }
    return list.size > 0;
  }

  /** Between which bounds the weight of all tokens is that are not listed. */
  #others({ ids, values, logSumExp, logits }: Candidates, history: History): Interval | undefined {
    if (logSumExp === undefined) return undefined;
    const list = this.#list;
    const { temperature } = history.sampling;
    const top = list.values[0]!;
    const last = ids.length - 1;
    const [lastId, floor] = [Number(ids[last]), values[last]!];
    // Of tokens that are not known one by one: how many, and their weight at temperature 1.
    let count = this.#vocabulary - ids.length;
    const whole = Math.exp(logSumExp - top);
    let unknown = whole;
    let known = 0;
    for (let i = 0; i <= last; i++) {
      const [id, value] = [Number(ids[i]), values[i]!];
      unknown -= Math.exp(value - top);
      if (!history.changes(id) && !list.holds(id, value)) known += Math.exp((value - top) / temperature);
    }
    for (const [n, id] of history.ids.entries()) {
      if (id >= this.#vocabulary) continue;
      const logit = logits![id]!;
      if (logit < floor || (logit === floor && id > lastId)) {
        unknown -= Math.exp(logit - top);
        count--;
      }
      const value = history.adjusted(n, logit);
      if (value <= floor || !list.holds(id, value)) known += Math.exp((value - top) / temperature);
    }
    if (count <= 0) return { low: known, high: known };
    const bounds = heated(
      Math.max(0, unknown - ROUNDING * whole),
      Math.max(0, unknown) + ROUNDING * whole,
      count,
      Math.exp(floor - top),
      temperature,
    );
    return Number.isFinite(bounds.high) ? { low: known + bounds.low, high: known + bounds.high } : undefined;
  }

  /** The list may be full of the likeliest already. */
  #fromLogits(logits: Float32Array, history: History, u: number): number {
    const { temperature, topK, topP, minP } = history.sampling;
    const [list, sums, weights] = [this.#list, this.#sums, this.#weights];
    weights.load(logits, history, list);
    if (temperature < GREEDY) return list.ids[0]!;
    const listed = cumulate(list, temperature, sums);
    let others = weights.weigh(temperature, list);
    if (topK > list.size) others = weights.keep(topK - list.size, Number.POSITIVE_INFINITY);
    // A top_k beyond the list is in `others`: exactly known, so there is always a cut.
    const rest = { topK: topK > list.size ? 0 : topK, topP, minP };
    const cut = cutOf(list, sums, { low: others, high: others }, rest)!;
    if (cut.closed) return list.ids[draw(sums, cut, u)!]!;
    if (topP < 1) others = weights.keep(Number.POSITIVE_INFINITY, topP * (listed + others) - listed);
    if (minP > 0) others = weights.drop(minP);
    const target = u * (listed + others);
    const place = after(sums, list.size, target);
    if (place < list.size) return list.ids[place]!;
    return weights.draw(target - listed) ?? list.ids[list.size - 1]!;
  }
}

/**
 * Bounds of Σ x^p, p = 1 / temperature, for `count` numbers x of 0 to `most` whose sum is from `low` to `high`: x^p is
 * x · x^(p−1), of which the latter is at most (p > 1) or at least (p < 1) that of `most`; the other bound is the power mean.
 */
function heated(low: number, high: number, count: number, most: number, temperature: number): Interval {
  const power = 1 / temperature;
  if (power === 1) return { low, high };
  const spread = (sum: number) => (sum / count) ** power * count;
  const gathered = (sum: number) => sum * most ** (power - 1);
  const limit = count * most ** power;
  return power > 1
    ? { low: spread(low), high: Math.min(gathered(high), limit) }
    : { low: gathered(low), high: Math.min(spread(high), limit) };
}
