/**
 * Texts of many lengths on Shoal's engine: 300 requests, prompts of 16 to 1,024 tokens, answers of 8 to 256, as they come
 * (Poisson), faster than they can be made, for throughput, and at 70 % of that, for latency. Beside it two kinds of static
 * batches over the same passes: as programs around a model make them, padded to their longest prompt and going on until their
 * longest answer has ended (what Orca, 2022, compares itself with); and on the engine, without padding and without those that
 * have ended, so that only the waiting for the longest is left of it.
 */
import { availableParallelism } from 'node:os';
import { type GenerationEngine, generateGreedily } from '@shoal/generation';
import { readDecoderInfo, sessionModel } from '@shoal/models';
import { openRuntime } from '@shoal/onnxruntime';
import { seededRandom } from '@shoal/training';
import { type Measure, measure } from '../measure.js';
import { SMOL, TINY } from '../random-llama.js';
import { figureRow, rateRow, ratioRow, type Section } from '../report.js';
import { percentile } from '../statistics.js';
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
  const plain = await openPlain(models.int4b128, threads);
  const results = { padded: [] as Measure[], batches: [] as Measure[], continuous: [] as Measure[] };
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
      const padded = await counted(wanted, () => plain.inBatches(wanted));
      say(`  static ${padded.rate.toFixed(0)}/s`);
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
      results.padded.push(padded);
      results.batches.push(batches);
      results.continuous.push(continuous);
      first50.push(percentile(latencies.first, 0.5));
      first95.push(percentile(latencies.first, 0.95));
      between99.push(percentile(latencies.between, 0.99));
      fill.push((after.tokens - before.tokens) / (after.steps - before.steps) / engine.rows);
      say(`  static without padding ${batches.rate.toFixed(0)}/s, as they come ${continuous.rate.toFixed(0)}/s`);
    }
  } finally {
    await plain.close();
    await engine.close();
  }
  const row = (what: string, values: readonly number[], unit: string) =>
    figureRow('G', `mixed lengths, ${what}`, values, unit);
  const atLoad = `at ${100 * LOAD} % load`;
  return {
    ratios: [
      ratioRow('G', 'mixed lengths, as they come ÷ static batches', results.continuous, results.padded, TARGET),
      ratioRow(
        'G',
        'mixed lengths, as they come ÷ static batches without padding',
        results.continuous,
        results.batches,
      ),
    ],
    figures: [
      rateRow('G', 'mixed lengths, as they come', results.continuous, 'tokens/s'),
      rateRow('G', `mixed lengths, static batches of ${ROWS}`, results.padded, 'tokens/s'),
      rateRow('G', `mixed lengths, static batches of ${ROWS} without padding`, results.batches, 'tokens/s'),
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
  for (const batch of batchesOf(requests)) {
    await Promise.all(batch.map((request) => runner.run(request, { first: [], between: [] })));
  }
}

/** The plain loop over a session that is set as the engine's is. Opened after the engine, which sets how attention is computed. */
async function openPlain(model: string, threads: number) {
  const info = readDecoderInfo(model);
  if (info === undefined) throw new Error(`${model} is no decoder`);
  const runtime = await openRuntime();
  const config = { 'session.force_spinning_stop': '1' };
  const session = await runtime.createSession(sessionModel(model), { intraOpThreads: threads, spinning: true, config });
  return {
    async inBatches(requests: readonly MixedRequest[]): Promise<void> {
      for (const batch of batchesOf(requests)) {
        const prompts = batch.map(({ prompt }) => [...prompt]);
        const maxTokens = Math.max(...batch.map(({ tokens }) => tokens));
        for await (const _ of generateGreedily(session, info, prompts, { maxTokens, stopIds: [] }));
      }
    },
    close: () => session.release(),
  };
}

function batchesOf(requests: readonly MixedRequest[]): (readonly MixedRequest[])[] {
  const count = Math.ceil(requests.length / ROWS);
  return Array.from({ length: count }, (_, n) => requests.slice(n * ROWS, (n + 1) * ROWS));
}
