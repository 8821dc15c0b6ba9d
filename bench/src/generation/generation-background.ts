/**
 * Interactive texts beside a background of low priority that wants more than the worker can make, over REST: requests of many
 * lengths that come at 70 % of what can be made, without it and with it. Background and interactive load are of one caller.
 */

import { seededRandom } from '@shoal/training';
import { startShoal } from '../processes.js';
import { SMOL, TINY } from '../random-llama.js';
import { figureRow, latencyRow, type Section } from '../report.js';
import { percentile } from '../statistics.js';
import { readSums } from '../worker-metrics.js';
import { Completions } from './completions.js';
import type { GenerationOptions } from './generation-bench.js';
import { makeGenerationModels, nameOf, VARIANTS } from './generation-models.js';
import { asTheyCome, type Latencies, LOAD, type MixedRequest, requestsOf, TokenClock } from './mixed-load.js';

const REQUESTS = 120;
/** Texts of the background that are asked for at once: more than the worker's 64 rows. */
const WIDTH = 96;
/** As the API takes it. */
const LOW = 1;
const ALONE_SECONDS = 60;
/** A round takes minutes, and many requests even it out. */
const MOST_ROUNDS = 1;
/** Latencies beside the background are at most 1.3 times those without it. */
const TARGET = 1 / 1.3;

export async function generationBackgroundBench(options: GenerationOptions): Promise<Section> {
  const { rounds, scale, say, workerEnv } = options;
  const [size, shape] = scale < 1 ? (['tiny', TINY] as const) : (['smol', SMOL] as const);
  const models = await makeGenerationModels(size, shape);
  const name = nameOf(VARIANTS.int4b128);
  const shoal = await startShoal({ modelsDir: models.folder, models: [name], workerEnv });
  const completions = new Completions(shoal.origin, name);
  const made = async () =>
    (await readSums(shoal.workerMetrics, ['shoal_generation_tokens_total'])).shoal_generation_tokens_total;
  const quiet: Latencies[] = [];
  const disturbed: Latencies[] = [];
  const [backgroundAlone, backgroundBeside, interactive]: [number[], number[], number[]] = [[], [], []];
  try {
    const random = seededRandom(9);
    const fresh = (count: number) => requestsOf(count, shape.vocabulary, random);
    const start = ({ prompt, tokens }: MixedRequest, latencies: Latencies) => {
      const clock = new TokenClock(latencies);
      return completions.stream({ prompt: [...prompt], maxTokens: tokens, onPiece: () => clock.came() });
    };
    const openBackground = () =>
      keepOpen(WIDTH, () => {
        const [{ prompt, tokens } = { prompt: [], tokens: 0 }] = fresh(1);
        return completions.stream({ prompt: [...prompt], maxTokens: tokens, priority: LOW });
      });
    /** Tokens a second, of everybody. */
    const rateOf = async (task: () => Promise<unknown>) => {
      const [before, started] = [await made(), performance.now()];
      await task();
      return ((await made()) - before) / ((performance.now() - started) / 1000);
    };
    for (let round = 0; round < Math.min(rounds, MOST_ROUNDS); round++) {
      const alone = openBackground();
      await alone.warm;
      backgroundAlone.push(await rateOf(() => seconds(scale * ALONE_SECONDS)));
      await alone.close();
      const requests = fresh(Math.round(REQUESTS * scale));
      const meanTokens = requests.reduce((sum, { tokens }) => sum + tokens, 0) / requests.length;
      const rate = (LOAD * backgroundAlone.at(-1)!) / meanTokens;
      quiet.push(await asTheyCome(start, requests, rate, random));
      say(`  without background: first token p95 ${percentile(quiet.at(-1)!.first, 0.95).toFixed(0)} ms`);
      const again = fresh(requests.length);
      const background = openBackground();
      await background.warm;
      const started = performance.now();
      const all = await rateOf(async () => disturbed.push(await asTheyCome(start, again, rate, random)));
      const own = again.reduce((sum, { tokens }) => sum + tokens, 0) / ((performance.now() - started) / 1000);
      interactive.push(own);
      backgroundBeside.push(all - own);
      await background.close();
      say(`  beside it: first token p95 ${percentile(disturbed.at(-1)!.first, 0.95).toFixed(0)} ms`);
    }
  } finally {
    completions.close();
    await shoal.stop();
  }
  const over = (of: (latencies: Latencies) => number) => quiet.map((each, n) => of(each) / of(disturbed[n]!));
  const first95 = ({ first }: Latencies) => percentile(first, 0.95);
  const between99 = ({ between }: Latencies) => percentile(between, 0.99);
  const kept = backgroundAlone.map((alone, n) => (backgroundBeside[n]! + interactive[n]!) / alone);
  const figure = (what: string, values: readonly number[], unit: string) => figureRow('G', what, values, unit);
  return {
    ratios: [
      latencyRow('G', 'time to first token p95, without ÷ beside a background', over(first95), TARGET),
      latencyRow('G', 'time between tokens p99, without ÷ beside a background', over(between99), TARGET),
      latencyRow('G', 'tokens/s of both ÷ of the background alone', kept, 1),
    ],
    figures: [
      figure('time to first token p95, without background', quiet.map(first95), 'ms'),
      figure('time to first token p95, beside it', disturbed.map(first95), 'ms'),
      figure('time between tokens p99, without background', quiet.map(between99), 'ms'),
      figure('time between tokens p99, beside it', disturbed.map(between99), 'ms'),
      figure('background alone', backgroundAlone, 'tokens/s'),
      figure('background beside the interactive load', backgroundBeside, 'tokens/s'),
      figure('interactive load beside the background', interactive, 'tokens/s'),
    ],
    notes: [`background: ${Math.round(REQUESTS * scale)} interactive requests over REST, ${WIDTH} others open`],
  };
}

const seconds = (count: number) => new Promise((resolve) => setTimeout(resolve, 1000 * count));

/**
 * So many runs of `task` at any time. `warm`: as many have ended, so that those that are open are at all stages. `close` resolves
 * when they have ended too.
 */
function keepOpen(width: number, task: () => Promise<unknown>) {
  let closing = false;
  let ended = 0;
  let warmed = () => {};
  const warm = new Promise<void>((resolve) => {
    warmed = resolve;
  });
  const runs = Promise.all(
    Array.from({ length: width }, async () => {
      while (!closing) {
        await task();
        if (++ended === width) warmed();
      }
    }),
  );
  // What fails before that is told by `close`.
  runs.catch(warmed);
  const close = async () => {
    closing = true;
    await runs;
  };
  return { warm, close };
}
