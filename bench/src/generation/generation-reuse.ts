/**
 * What need not be computed again: prompts that begin with the same 600 tokens, over REST, and tokens that are proposed and
 * verified several at a time, of one text on the engine alone. Beside each the same without it.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { EngineStats, GenerationEngine, GenerationRequest, Sampling } from '@shoal/generation';
import { seededRandom } from '@shoal/training';
import { measure } from '../measure.js';
import { startShoal } from '../processes.js';
import { SMOL, TINY } from '../random-llama.js';
import { figureRow, latencyRow, rateRow, ratioRow, type Section } from '../report.js';
import { ROOT } from '../root.js';
import { playRounds } from '../rounds.js';
import { median } from '../statistics.js';
import { readSums } from '../worker-metrics.js';
import { Completions } from './completions.js';
import { GREEDY, openEngine, requestOf } from './engine-generator.js';
import type { GenerationOptions } from './generation-bench.js';
import { makeGenerationModels, nameOf, VARIANTS } from './generation-models.js';
import { randomIds } from './mixed-load.js';

const PREFIX = 600;
const OWN = 32;
/** Whole chunks of 64 tokens are taken over. */
const CACHED = 576;
const CALLS = 20;
/** The time to the first token is at most a quarter. */
const FASTER = 4;

const PROMPT = 128;
const TOKENS = 256;
/** Definitions of `wordnet-lm` end by themselves, long before; each of the reference's so often. */
const MOST_WORDS = 100;
const REPEATS = 4;
const END_OF_ANSWER = 3;
const COPYING = 1.5;
const FREE = 0.97;
/** Chooses the likeliest token as greedy sampling does, but has no proposals, since it is sampled. */
const UNAIDED: Sampling = { ...GREEDY, temperature: 1e-6 };
export async function generationReuseBench(options: GenerationOptions): Promise<Section[]> {
  const small = options.scale < 1;
  const shape = small ? TINY : SMOL;
  const models = await makeGenerationModels(small ? 'tiny' : 'smol', shape);
  const random = seededRandom(10);
  const ids = (count: number) => randomIds(count, shape.vocabulary, random);
  return [await prefixes(models.folder, ids, options), await proposals(models.int4b128, ids, options)];
}

type Ids = (count: number) => Uint32Array;

async function prefixes(modelsDir: string, ids: Ids, { rounds, say, workerEnv }: GenerationOptions): Promise<Section> {
  const name = nameOf(VARIANTS.int4b128);
  const shoal = await startShoal({ modelsDir, models: [name], workerEnv });
  const completions = new Completions(shoal.origin, name);
  const hits = async () =>
    (await readSums(shoal.workerMetrics, ['shoal_prefix_cache_hits_total'])).shoal_prefix_cache_hits_total;
  /** Ms to the first token. */
  const first = async (prompt: Uint32Array): Promise<number> => {
    const asked = performance.now();
    let came = 0;
    await completions.stream({ prompt: [...prompt], maxTokens: 2, onPiece: () => (came ||= performance.now()) });
    return came - asked;
  };
  const [shared, apart]: [number[], number[]] = [[], []];
  try {
    for (let round = 0; round < rounds; round++) {
      const prefix = ids(PREFIX);
      await first(prefix);
      const before = await hits();
      const [withPrefix, without]: [number[], number[]] = [[], []];
      for (let call = 0; call < CALLS; call++) {
        withPrefix.push(await first(Uint32Array.of(...prefix, ...ids(OWN))));
        without.push(await first(ids(PREFIX + OWN)));
      }
      const found = (await hits()) - before;
      if (found !== CALLS * CACHED) throw new Error(`${found} tokens came from the cache instead of ${CALLS * CACHED}`);
      shared.push(median(withPrefix));
      apart.push(median(without));
      say(
        `  first token: ${shared.at(-1)!.toFixed(0)} ms with a shared prefix, ${apart.at(-1)!.toFixed(0)} ms without`,
      );
    }
  } finally {
    completions.close();
    await shoal.stop();
  }
  const ratios = apart.map((ms, round) => ms / shared[round]!);
  return {
    ratios: [
      latencyRow('G', `time to first token, ${PREFIX + OWN} tokens, new ÷ with a known beginning`, ratios, FASTER),
    ],
    figures: [
      figureRow('G', `time to first token with ${PREFIX} tokens that were there before`, shared, 'ms'),
      figureRow('G', 'time to first token of as long a prompt that is new', apart, 'ms'),
    ],
    notes: [`prefixes: medians of ${CALLS} calls one after the other; ${CACHED} tokens of each came from the cache`],
  };
}

async function proposals(model: string, ids: Ids, { rounds, say }: GenerationOptions): Promise<Section> {
  const threads = Math.min(2, availableParallelism());
  const large = new Texts(await openEngine({ model, threads, rows: 1 }));
  const words = new Texts(
    await openEngine({ model: join(ROOT, 'models/wordnet-lm/1/onnx/model_int8.onnx'), threads, rows: 1 }),
  );
  try {
    const prompt = ids(PROMPT);
    const definitions = Array.from({ length: REPEATS }, readPrompts).flat();
    const define = async (sampling: Sampling) => {
      let tokens = 0;
      for (const one of definitions) {
        tokens += (await words.make(one, MOST_WORDS, { sampling, stopIds: [END_OF_ANSWER] })).length;
      }
      return tokens;
    };
    const defined = await define(UNAIDED);
    const copy = (more: Partial<GenerationRequest>) => measure(TOKENS, [], () => large.make(prompt, TOKENS, more));
    say('one text, with proposals and without:');
    const results = await playRounds(
      {
        copied: () => copy({}),
        'copied unaided': () => copy({ sampling: UNAIDED }),
        free: () => measure(defined, [], () => define(GREEDY)),
        'free unaided': () => measure(defined, [], () => define(UNAIDED)),
      },
      rounds,
      say,
    );
    const ratio = (what: string, name: 'copied' | 'free', target: number) =>
      ratioRow('G', `${what}, proposals ÷ none`, results[name], results[`${name} unaided`], target);
    const { accepted, rejected } = words.stats();
    return {
      ratios: [ratio('1 text that copies itself', 'copied', COPYING), ratio('1 text of wordnet-lm', 'free', FREE)],
      figures: [
        rateRow('G', '1 text that copies itself', results.copied, 'tokens/s'),
        rateRow('G', 'the same without proposals', results['copied unaided'], 'tokens/s'),
      ],
      notes: [
        `proposals: ${TOKENS} new tokens after ${PROMPT}, ${threads} threads; definitions of wordnet-lm to their ends, of whose proposed tokens ${accepted} of ${accepted + rejected} were right`,
      ],
    };
  } finally {
    await large.close();
    await words.close();
  }
}

/** Makes one text at a time. */
class Texts {
  readonly #engine: GenerationEngine;
  #next = 0;

  constructor(engine: GenerationEngine) {
    this.#engine = engine;
  }

  /** The new tokens. */
  async make(prompt: Uint32Array, tokens: number, more: Partial<GenerationRequest>): Promise<Uint32Array> {
    const made: number[] = [];
    // Of an owner of its own: what was made before is not to be taken over.
    const id = this.#next++;
    await new Promise<unknown>((resolve, reject) => {
      this.#engine.start(
        { ...requestOf(id, prompt, tokens), owner: `${id}`, ...more },
        {
          prompt: () => {},
          saved: () => {},
          tokens: (some) => made.push(...some.map((token) => token.id)),
          ended: resolve,
          failed: reject,
        },
      );
    });
    return Uint32Array.from(made);
  }

  stats(): EngineStats {
    return this.#engine.stats();
  }

  close(): Promise<void> {
    return this.#engine.close();
  }
}

function readPrompts(): Uint32Array[] {
  const text = readFileSync(join(ROOT, 'test/fixtures/wordnet-lm/reference.json'), 'utf8');
  const { greedy } = JSON.parse(text) as { greedy: readonly { readonly input_ids: readonly number[] }[] };
  return greedy.map(({ input_ids }) => Uint32Array.from(input_ids));
}
