/** Measures the variants of a model that generates text. */
import { join } from 'node:path';
import { generateGreedily } from '@shoal/generation';
import { type DecoderInfo, type Model, readDecoderInfo, sessionModel } from '@shoal/models';
import type { Session } from '@shoal/onnxruntime';
import tokenizers from 'tokenizers';
import { invalid } from '../invalid.js';
import { share, speeds } from './columns.js';
import { type Examples, textsOf } from './examples.js';
import { type Likelihood, likelihoodOf } from './likelihood.js';
import { ratesSideBySide } from './side-by-side.js';
import type { Measured, ReportContext } from './types.js';

/** Tokens that are generated to measure how fast, and of the prompt before them. */
const GENERATED = 64;
const PROMPT = 16;

interface Loaded {
  readonly variant: string;
  readonly session: Session;
  readonly info: DecoderInfo;
}

/** One row per variant, in their order. `models` are the variants of one version. */
export async function measureDecoder(
  models: readonly Model[],
  examples: Examples,
  { runtime, now, signal }: ReportContext,
): Promise<readonly Measured[]> {
  const encoder = tokenizers.Tokenizer.fromFile(join(models[0]!.folder, 'tokenizer.json'));
  const encode = async (text: string) =>
    Array.from((await encoder.encode(text, null, { addSpecialTokens: false })).getIds());
  const texts = (await Promise.all(textsOf(examples).map(encode))).filter(({ length }) => length > 1);
  if (texts.length === 0) throw invalid('the texts to measure with have no tokens that follow others');
  const loaded: Loaded[] = [];
  try {
    for (const { variant, variants } of models) {
      const path = variants[variant]!;
      const info = readDecoderInfo(path);
      if (info === undefined) throw invalid(`${path} does not say how it generates`);
      // As "shoal run" does: all cores for one text.
      const session = await runtime.createSession(sessionModel(path), { intraOpThreads: 0 });
      loaded.push({ variant, session, info });
    }
    const scores: Likelihood[][] = [];
    for (const model of loaded) {
      signal.throwIfAborted();
      scores.push(await scoresOf(model, texts));
    }
    const prompt = texts.flat().slice(0, PROMPT);
    const generating = (rows: number) => loaded.map((model) => () => generate(model, prompt, rows));
    const alone = await ratesSideBySide(generating(1), now, signal);
    const together = await ratesSideBySide(generating(8), now, signal);
    return loaded.map(({ variant }, n) => ({
      variant,
      columns: {
        perplexity: perplexity(scores[n]!).toFixed(3),
        [`same token as ${loaded[0]!.variant}`]: share(agreement(scores[n]!, scores[0]!)),
        ...speeds('tokens/s', alone, n),
        ...speeds('tokens/s, 8 texts', together, n),
      },
    }));
  } finally {
    await Promise.all(loaded.map(({ session }) => session.release()));
  }
}

async function scoresOf({ session, info }: Loaded, texts: readonly (readonly number[])[]): Promise<Likelihood[]> {
  const scores: Likelihood[] = [];
  for (const ids of texts) scores.push(await likelihoodOf(session, info, ids));
  return scores;
}

/** Tokens generated for `rows` copies of the prompt. */
async function generate({ session, info }: Loaded, prompt: readonly number[], rows: number): Promise<number> {
  const prompts = Array.from({ length: rows }, () => prompt);
  let tokens = 0;
  for await (const step of generateGreedily(session, info, prompts, { maxTokens: GENERATED, stopIds: [] })) {
    tokens += step.length;
  }
  return tokens;
}

function perplexity(scores: readonly Likelihood[]): number {
  const total = (of: (score: Likelihood) => number) => scores.reduce((sum, score) => sum + of(score), 0);
  return Math.exp(total(({ surprise }) => surprise) / total(({ tokens }) => tokens));
}

/** How often the likeliest token is the same. */
function agreement(own: readonly Likelihood[], others: readonly Likelihood[]): number {
  let [same, all] = [0, 0];
  for (const [n, { best }] of own.entries()) {
    all += best.length;
    for (const [at, id] of best.entries()) if (others[n]!.best[at] === id) same += 1;
  }
  return same / all;
}
