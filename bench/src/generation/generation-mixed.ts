/**
 * Texts of many lengths on Shoal's engine: 300 requests, prompts of 16 to 1,024 tokens, answers of 8 to 256. In static
 * batches, which wait for their longest; then as they come (Poisson), faster than they can be made, for throughput, and at
 * 70 % of that, for latency.
 */
import { availableParallelism } from 'node:os';
import type { GenerationEngine } from '@shoal/generation';
import { type Measure, measure } from '../measure.js';
import { SMOL, TINY } from '../random-llama.js';
import { figureRow, rateRow, ratioRow, type Section } from '../report.js';
import { percentile, seededRandom } from '../statistics.js';
import { openEngine, requestOf } from './engine-generator.js';
import type { GenerationOptions } from './generation-bench.js';
import { makeGenerationModels } from './generation-models.js';
import {
  asTheyCome,
  type Latencies,
  LOAD,
  type MixedRequest,
  REQUESTS,
  randomIds,
  requestsOf,
  TokenClock,
  tokensOf,
} from './mixed-load.js';

const ROWS = 32;
/** Times the rate of static batches. */
const SATURATING = 4;
/** A round takes minutes, and many requests even it out. */
const MOST_ROUNDS = 1;
const TARGET = 1.8;

export async function generationMixedBench({ rounds, scale, say }: GenerationOptions): Promise<Section> {
  const [size, shape] = scale < 1 ? (['tiny', TINY] as const) : (['smol', SMOL] as const);
  const models = await makeGenerationModels(size, shape);
  const threads = Math.min(2, availableParallelism());
  const engine = await openEngine({ model: models.int4b128, threads, rows: ROWS });
  const results = { batches: [] as Measure[], continuous: [] as Measure[] };
  const [first50, first95, between99, fill]: [number[], number[], number[], number[]] = [[], [], [], []];
  try {
    const random = seededRandom(8);
    for (let round = 0; round < Math.min(rounds, MOST_ROUNDS); round++) {
      const run = new Runner(engine);
      const start = (request: MixedRequest, latencies: Latencies) => run.run(request, latencies);
      const fresh = () => requestsOf(Math.round(REQUESTS * scale), shape.vocabulary, random);
      const counted = (requests: readonly MixedRequest[], task: () => Promise<unknown>) =>
        measure(tokensOf(requests), [], task);
      const wanted = fresh();
      const batches = await counted(wanted, () => inBatches(run, wanted));
      const meanTokens = tokensOf(wanted) / wanted.length;
      // The same lengths with other tokens: no prompt of the first part may be found in the cache.
      const again = wanted.map(({ prompt, tokens }) => ({
        prompt: randomIds(prompt.length, shape.vocabulary, random),
        tokens,
      }));
      const before = engine.stats();
      const continuous = await counted(again, () =>
        asTheyCome(start, again, (SATURATING * batches.rate) / meanTokens, random),
      );
      const after = engine.stats();
      const calm = fresh();
      const latencies = await asTheyCome(start, calm, (LOAD * continuous.rate) / meanTokens, random);
      results.batches.push(batches);
      results.continuous.push(continuous);
      first50.push(percentile(latencies.first, 0.5));
      first95.push(percentile(latencies.first, 0.95));
      between99.push(percentile(latencies.between, 0.99));
      fill.push((after.tokens - before.tokens) / (after.steps - before.steps) / engine.rows);
      say(`  static ${batches.rate.toFixed(0)}/s, as they come ${continuous.rate.toFixed(0)}/s`);
    }
  } finally {
    await engine.close();
  }
  const row = (what: string, values: readonly number[], unit: string) =>
    figureRow('G', `mixed lengths, ${what}`, values, unit);
  const atLoad = `at ${100 * LOAD} % load`;
  return {
    ratios: [
      ratioRow('G', 'mixed lengths, as they come ÷ static batches', results.continuous, results.batches, TARGET),
    ],
    figures: [
      rateRow('G', 'mixed lengths, as they come', results.continuous, 'tokens/s'),
      rateRow('G', `mixed lengths, static batches of ${ROWS}`, results.batches, 'tokens/s'),
      row(
        'rows that make a token in a step, when more come than can be made',
        fill.map((share) => 100 * share),
        '%',
      ),
      row(`time to first token p50 ${atLoad}`, first50, 'ms'),
      row(`time to first token p95 ${atLoad}`, first95, 'ms'),
      row(`time between tokens p99 ${atLoad}`, between99, 'ms'),
    ],
    notes: [`mixed lengths: ${Math.round(REQUESTS * scale)} requests, ${ROWS} rows, blocks of 128, ${threads} threads`],
  };
}

/** Runs requests and notes when their tokens come. */
class Runner {
  readonly #engine: GenerationEngine;
  #next = 0;

  constructor(engine: GenerationEngine) {
    this.#engine = engine;
  }

  run({ prompt, tokens }: MixedRequest, latencies: Latencies): Promise<void> {
    const clock = new TokenClock(latencies);
    return new Promise((resolve, reject) => {
      this.#engine.start(requestOf(this.#next++, prompt, tokens), {
        saved: () => {},
        prompt: () => {},
        tokens: () => clock.came(),
        ended: () => resolve(),
        failed: reject,
      });
    });
  }
}

async function inBatches(runner: Runner, requests: readonly MixedRequest[]): Promise<void> {
  for (let n = 0; n < requests.length; n += ROWS) {
    await Promise.all(requests.slice(n, n + ROWS).map((request) => runner.run(request, { first: [], between: [] })));
  }
}
