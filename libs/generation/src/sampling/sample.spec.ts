import { describe, expect, it } from 'vitest';
import type { Sampling } from '../types.js';
import type { Candidates } from './candidates.js';
import { withLogprobs } from './logprobs.js';
import { History } from './penalties.js';
import { uniform } from './random.js';
import { Sampler } from './sample.js';

const PLAIN: Sampling = {
  temperature: 1,
  topP: 1,
  topK: 0,
  minP: 0,
  frequencyPenalty: 0,
  presencePenalty: 0,
  repetitionPenalty: 1,
  logitBias: [],
  seed: 1,
};

interface Past {
  readonly prompt?: readonly number[];
  readonly emitted?: readonly number[];
  readonly minTokens?: number;
  readonly stopIds?: readonly number[];
}

function historyOf(sampling: Partial<Sampling>, { prompt = [], emitted = [], minTokens = 0, stopIds = [] }: Past = {}) {
  return new History({
    sampling: { ...PLAIN, ...sampling },
    prompt: Uint32Array.from(prompt),
    emitted: Uint32Array.from(emitted),
    minTokens,
    stopIds,
  });
}

/** As a pass makes them. */
function candidatesOf(logits: Float32Array, count = 64): Candidates {
  const ids = [...logits.keys()].sort((a, b) => logits[b]! - logits[a]! || a - b).slice(0, count);
  return {
    ids: BigInt64Array.from(ids, BigInt),
    values: Float32Array.from(ids, (id) => logits[id]!),
    logSumExp: Math.fround(Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0))),
    logits,
  };
}

/** Normal ones, `scale` wide, with ties. */
function randomLogits(vocabulary: number, scale: number, seed: number): Float32Array {
  return Float32Array.from({ length: vocabulary }, (_, n) => {
    const normal = Math.sqrt(-2 * Math.log(1 - uniform(seed, n, 0))) * Math.cos(2 * Math.PI * uniform(seed, n, 1));
    return n % 7 === 0 ? Math.round(normal * scale) : normal * scale;
  });
}

/** Probabilities, computed the long way from the definitions. */
function exactly(logits: Float32Array, sampling: Partial<Sampling>, past: Past): number[] {
  const { temperature, topK, topP, minP, ...rest } = { ...PLAIN, ...sampling };
  const answer = past.emitted ?? [];
  const changed = [...logits].map((raw, id) => {
    const count = answer.filter((other) => other === id).length;
    let logit = raw + (rest.logitBias.find(([biased]) => biased === id)?.[1] ?? 0);
    if (count > 0 || past.prompt?.includes(id))
      logit *= logit > 0 ? 1 / rest.repetitionPenalty : rest.repetitionPenalty;
    logit -= count * rest.frequencyPenalty + (count > 0 ? rest.presencePenalty : 0);
    return answer.length < (past.minTokens ?? 0) && past.stopIds?.includes(id) ? Number.NEGATIVE_INFINITY : logit;
  });
  const top = Math.max(...changed);
  const normalised = (weights: number[]) => {
    const sum = weights.reduce((a, b) => a + b, 0);
    return weights.map((weight) => weight / sum);
  };
  const order = [...changed.keys()].sort((a, b) => changed[b]! - changed[a]! || a - b);
  const among = (p: number[], kept: Set<number>) => normalised(p.map((value, id) => (kept.has(id) ? value : 0)));
  let p = normalised(changed.map((logit) => Math.exp((logit - top) / temperature)));
  if (topK > 0) p = among(p, new Set(order.slice(0, topK)));
  let before = 0;
  const nucleus = new Set<number>();
  for (const id of order) {
    if (before < topP) nucleus.add(id);
    before += p[id]!;
  }
  p = among(p, nucleus);
  const least = minP * Math.max(...p);
  return among(p, new Set(order.filter((id) => p[id]! >= least * (1 - 1e-12))));
}

const PAST: Past = { prompt: [3, 50, 120], emitted: [7, 7, 9, 150], minTokens: 10, stopIds: [2, 11] };

const SETTINGS: [name: string, sampling: Partial<Sampling>, past: Past][] = [
  ['the default', {}, {}],
  ['a low temperature', { temperature: 0.6 }, {}],
  ['a high temperature', { temperature: 1.7 }, {}],
  ['top_k', { topK: 20, temperature: 0.9 }, {}],
  ['a top_k beyond the candidates', { topK: 100, temperature: 1.5 }, {}],
  ['top_p', { topP: 0.8 }, {}],
  ['a top_p beyond the candidates', { topP: 0.97, temperature: 1.3 }, {}],
  ['min_p', { minP: 0.05 }, {}],
  ['min_p beyond the candidates', { minP: 0.001, temperature: 1.5 }, {}],
  ['all of them', { topK: 90, topP: 0.95, minP: 0.002, temperature: 1.2 }, {}],
  ['penalties', { frequencyPenalty: 0.7, presencePenalty: 0.4, repetitionPenalty: 1.3 }, PAST],
  ['negative penalties and a nucleus', { frequencyPenalty: -1, repetitionPenalty: 0.8, topP: 0.9 }, PAST],
  [
    'biases',
    {
      logitBias: [
        [5, 4],
        [0, -100],
        [180, 2.5],
      ],
      temperature: 0.8,
    },
    {},
  ],
  ['masked stop tokens', {}, PAST],
];

describe('Sampler', () => {
  const logits = randomLogits(200, 2, 9);

  it.each(SETTINGS)('draws as often as probabilities say: %s', (_, sampling, past) => {
    const [sampler, history, candidates] = [new Sampler(200), historyOf(sampling, past), candidatesOf(logits)];
    const p = exactly(logits, sampling, past);
    const counts = new Float64Array(200);
    const draws = 100_000;
    for (let n = 0; n < draws; n++) counts[sampler.choose(candidates, history, uniform(77, n, 0)) as number]!++;
    expect([...counts].filter((count, id) => count > 0 && p[id] === 0)).toEqual([]);
    // Rare ones together, as the test demands.
    const rare = p.map((value, id) => (value * draws < 10 ? id : -1)).filter((id) => id >= 0);
    const groups = [...p.keys()].filter((id) => !rare.includes(id)).map((id) => [id]);
    const sum = (ids: number[], of: ArrayLike<number>) => ids.reduce((total, id) => total + of[id]!, 0);
    if (sum(rare, p) * draws >= 10) groups.push(rare);
    const chi = groups.reduce((total, ids) => {
      const expected = sum(ids, p) * draws;
      return total + (sum(ids, counts) - expected) ** 2 / expected;
    }, 0);
    const freedom = Math.max(1, groups.length - 1);
    expect((chi - freedom) / Math.sqrt(2 * freedom)).toBeLessThan(4);
  });

  it.each(SETTINGS)('chooses the same token from candidates as from whole logits: %s', (_, sampling, past) => {
    const sampler = new Sampler(200);
    for (let round = 0; round < 20; round++) {
      const drawn = randomLogits(200, 0.5 + round / 4, round);
      const history = historyOf(sampling, past);
      const candidates = candidatesOf(drawn);
      // One candidate never tells more than the likeliest token.
      const fewest = { ...candidatesOf(drawn, 1), logSumExp: undefined };
      for (let n = 0; n < 300; n++) {
        const u = uniform(5, n, round);
        const token = sampler.choose(candidates, history, u);
        expect(sampler.choose(fewest, history, u)).toBe(token);
        if (history.ids.length > 0) continue;
        expect([token, 'logits']).toContain(sampler.choose({ ...candidates, logits: undefined }, history, u));
      }
    }
  });

  it.each<[string, Partial<Sampling>]>([
    ['no limits', {}],
    ['top_k', { topK: 1000 }],
    ['top_p', { topP: 0.9 }],
    ['min_p', { minP: 0.1 }],
    ['all limits', { topK: 1400, topP: 0.95, minP: 0.06 }],
    ['penalties', { repetitionPenalty: 1.5 }],
  ])('draws from flat distributions the token that probabilities added up in order say: %s', (_, limits) => {
    const vocabulary = 1700;
    const [flat, sampling] = [randomLogits(vocabulary, 1, 12), { temperature: 1.5, ...limits }];
    const past = { emitted: 'repetitionPenalty' in limits ? [1, 2, 600, 1699] : [] };
    const [sampler, history, candidates] = [new Sampler(vocabulary), historyOf(sampling, past), candidatesOf(flat)];
    const p = exactly(flat, sampling, past);
    // The likeliest ones first, then the others by id.
    const likeliest = [...p.keys()].sort((a, b) => p[b]! - p[a]! || a - b).slice(0, 64);
    const order = [...likeliest, ...[...p.keys()].filter((id) => !likeliest.includes(id))];
    let sum = 0;
    const drawn = order.flatMap((id) => {
      const [from, weight] = [sum, p[id]!];
      sum += weight;
      return weight > 0 ? [[id, sampler.choose(candidates, history, from + weight / 2)] as const] : [];
    });
    expect(drawn.length).toBeGreaterThan(500);
    expect(drawn.filter(([id, token]) => id !== token)).toEqual([]);
  });

  it('asks for whole logits at the default settings only where the draw is beyond the candidates', () => {
    const sampler = new Sampler(5000);
    const { ids, values, logSumExp } = candidatesOf(randomLogits(5000, 3, 4));
    const candidates = { ids, values, logSumExp, logits: undefined };
    const mass = values.reduce((sum, value) => sum + Math.exp(value - logSumExp!), 0);
    expect(mass).toBeLessThan(0.9);
    const asks = (u: number) => sampler.choose(candidates, historyOf({}), u) === 'logits';
    const draws = Array.from({ length: 1000 }, (_, n) => n / 1000);
    expect(draws.filter((u) => u > mass).every(asks)).toBe(true);
    // Within a rounding error of where one token ends and the next begins it asks too.
    expect(draws.filter((u) => u < mass && asks(u)).length).toBeLessThan(5);
  });

  it('takes the likeliest token at temperature 0, of equal ones the lowest id, changes included', () => {
    const sampler = new Sampler(4);
    const candidates = candidatesOf(Float32Array.of(1, 3, 3, 2));
    const greedy = { temperature: 0 };
    expect(sampler.choose(candidates, historyOf(greedy), 0.99)).toBe(1);
    expect(sampler.choose(candidates, historyOf(greedy, { minTokens: 1, stopIds: [1, 2] }), 0.99)).toBe(3);
    expect(
      sampler.choose(
        candidates,
        historyOf({
          ...greedy,
          logitBias: [
            [0, 100],
            [99, 100],
          ],
        }),
        0,
      ),
    ).toBe(0);
  });

  it('refuses what is no number', () => {
    const candidates = candidatesOf(Float32Array.of(Number.NaN, Number.NaN));
    expect(() => new Sampler(2).choose(candidates, historyOf({}), 0.5)).toThrow('no numbers');
  });
});

describe('History', () => {
  it('counts tokens as they come: the same as if all had been there from the beginning', () => {
    const sampling = { frequencyPenalty: 0.5, presencePenalty: 1, repetitionPenalty: 2 };
    const grown = historyOf(sampling, { prompt: [1, 2], emitted: [3] });
    for (const id of [3, 4, 1]) grown.add(id);
    const whole = historyOf(sampling, { prompt: [1, 2], emitted: [3, 3, 4, 1] });
    const changed = (history: History) => history.ids.map((id, n) => [id, history.adjusted(n, -3)]);
    expect(changed(grown)).toEqual(changed(whole));
    expect(changed(grown)).toContainEqual([3, -6 - 1 - 1]);
    expect(grown.length).toBe(4);
  });

  it('unmasks stop tokens with the token that makes the answer long enough', () => {
    const history = historyOf({}, { emitted: [5], minTokens: 3, stopIds: [0] });
    history.add(6);
    expect(history.adjusted(0, 1)).toBe(Number.NEGATIVE_INFINITY);
    history.add(6);
    expect(history.ids).toHaveLength(0);
  });
});

describe('withLogprobs', () => {
  it('gives logarithms of probabilities, also of a token outside of the candidates', () => {
    const logits = Float32Array.from([1, 2, 0.5, -1], (p) => p);
    const sum = Math.log(logits.reduce((total, logit) => total + Math.exp(logit), 0));
    const candidates = candidatesOf(logits, 2);
    const { id, logprob, topIds, topValues } = withLogprobs(3, 2, candidates);
    expect([id, [...topIds]]).toEqual([3, [1, 0]]);
    expect(logprob).toBeCloseTo(-1 - sum, 5);
    expect(topValues[0]).toBeCloseTo(2 - sum, 5);
    expect(withLogprobs(3, 0, { ...candidates, logits: undefined }).logprob).toBeNaN();
    expect(withLogprobs(1, 0, { ...candidates, logSumExp: undefined }).logprob).toBeCloseTo(2 - sum, 5);
  });
});
