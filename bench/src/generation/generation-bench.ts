/**
 * Text generation beside its peers: prompts of 128 random tokens, 128 new tokens for each, 1, 8 and 32 texts at once. Rates
 * are new tokens over the time of the whole, prompts included.
 */
import { availableParallelism } from 'node:os';
import { seededRandom } from '@shoal/training';
import { type Measure, measure } from '../measure.js';
import { type Shoal, startShoal } from '../processes.js';
import { SMOL, TINY } from '../random-llama.js';
import { type FigureRow, type RatioRow, rateRow, ratioRow, type Section } from '../report.js';
import { playRounds, spread } from '../rounds.js';
import { Completions } from './completions.js';
import { type Contestant, type ContestantOptions, startContestant } from './contestants.js';
import { type GenerationModels, makeGenerationModels, nameOf, VARIANTS } from './generation-models.js';

export interface GenerationOptions {
  readonly rounds: number;
  /** Below 1 a tiny model, which tells only whether the benchmark works. */
  readonly scale: number;
  readonly say: (line: string) => void;
  readonly workerEnv: Readonly<Record<string, string>>;
}

const BATCHES = [1, 8, 32];
const PROMPT = 128;
const TOKENS = 128;
/** So that the whole takes minutes: a round takes one and a half. */
const MOST_ROUNDS = 3;
const THREADS = Math.min(2, availableParallelism());
const ENGINE = 'engine, blocks of 128';
const ENGINE_32 = 'engine, blocks of 32';
const REST = 'REST, blocks of 128';
const ORT = 'onnxruntime-node, blocks of 128';
const ORT_IN_PLACE = 'onnxruntime-node, cache in place, blocks of 128';
const TRANSFORMERS = 'transformers.js, blocks of 32';
const LLAMA_Q4 = 'node-llama-cpp, Q4_0';
const LLAMA_Q8 = 'node-llama-cpp, Q8_0';
/** New tokens of a text where all of them would take minutes: a step copies the whole cache of 2,048 tokens. */
const FEWER_TOKENS: Readonly<Record<string, number>> = { [ORT]: 16 };
/** Shoal ÷ peer, and what it should be with 1, 8 and 32 texts. */
const RATIOS: readonly (readonly [of: string, to: string, targets: readonly (number | undefined)[]])[] = [
  [ENGINE, ORT, [undefined, 4, 4]],
  [ENGINE, ORT_IN_PLACE, []],
  [ENGINE_32, TRANSFORMERS, []],
  [ENGINE, LLAMA_Q4, [1, 1, 1]],
  [ENGINE, LLAMA_Q8, [1, 1, 1]],
  [ENGINE_32, LLAMA_Q4, [1, 1, 1]],
  [REST, ENGINE, [0.9, 0.93, 0.93]],
];

type Run = (prompts: readonly (readonly number[])[], tokens: number) => Promise<void>;

/** How a contestant is asked, and the processes whose CPU time is its own. */
interface Seat {
  readonly run: Run;
  readonly pids: readonly number[];
}

export async function generationBench({ rounds, scale, say, workerEnv }: GenerationOptions): Promise<Section[]> {
  const size = scale < 1 ? 'tiny' : 'smol';
  const shape = size === 'tiny' ? TINY : SMOL;
  say('making models:');
  const models = await makeGenerationModels(size, shape);
  const closers: (() => Promise<void> | void)[] = [];
  const notes = [noteOf(size)];
  const seconds = new Map<string, { passes: number; beside: number }>();
  try {
    const seats = await takeSeats(models, workerEnv, closers, notes, seconds);
    const random = seededRandom(7);
    const prompt = () => Array.from({ length: PROMPT }, () => 300 + Math.floor(random() * (shape.vocabulary - 300)));
    const prompts = (batch: number) => Array.from({ length: batch }, prompt);
    for (const [name, { run }] of seats) {
      await run(prompts(1), 4).catch((error: unknown) => {
        seats.delete(name);
        notes.push(`${name} is left out: ${reasonOf(error)}`);
      });
    }
    const [ratios, figures]: [RatioRow[], FigureRow[]] = [[], []];
    for (const [n, batch] of BATCHES.entries()) {
      say(`generating ${batch} texts at once:`);
      const turns = [...seats].map(([name, { run, pids }]) => {
        const tokens = FEWER_TOKENS[name] ?? TOKENS;
        // Prompts that nobody has seen: a prefix that is cached would cost nothing.
        return [name, () => measure(batch * tokens, pids, () => run(prompts(batch), tokens))] as const;
      });
      const results: Readonly<Record<string, readonly Measure[]>> = await playRounds(
        Object.fromEntries(turns),
        Math.min(rounds, MOST_ROUNDS),
        say,
      );
      for (const [of, to, targets] of RATIOS) {
        if (results[of] === undefined || results[to] === undefined) continue;
        ratios.push(ratioRow('G', `${of} ÷ ${to}, ${batch} texts`, results[of], results[to], targets[n]));
      }
      figures.push(
        ...Object.entries(results).map(([name, of]) => rateRow('G', `${name}, ${batch} texts`, of, 'tokens/s')),
      );
      figures.push(...besideRows(seconds, batch));
    }
    return [{ ratios, figures, notes }];
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

/** Whoever cannot run here gets no seat but a note. */
async function takeSeats(
  models: GenerationModels,
  workerEnv: Readonly<Record<string, string>>,
  closers: (() => Promise<void> | void)[],
  notes: string[],
  seconds: Map<string, { passes: number; beside: number }>,
): Promise<Map<string, Seat>> {
  const seats = new Map<string, Seat>();
  const wanted: readonly (readonly [name: string, kind: ContestantOptions['kind'], model: string])[] = [
    [ENGINE, 'engine', models.int4b128],
    [ENGINE_32, 'engine', models.int4],
    [ORT, 'ort-node', models.int4b128],
    [ORT_IN_PLACE, 'ort-node-in-place', models.int4b128],
    [TRANSFORMERS, 'transformers', models.hub],
    [LLAMA_Q4, 'llama', models.q4],
    [LLAMA_Q8, 'llama', models.q8],
  ];
  const seat = async (name: string, open: () => Promise<Seat>) => {
    try {
      seats.set(name, await open());
    } catch (error) {
      notes.push(`${name} is left out: ${reasonOf(error)}`);
    }
  };
  for (const [name, kind, model] of wanted) {
    await seat(name, async () => {
      const contestant = await startContestant({ kind, model, threads: THREADS, rows: Math.max(...BATCHES) });
      closers.push(() => contestant.stop());
      return { run: runOf(contestant, name, seconds), pids: [contestant.pid] };
    });
  }
  await seat(REST, async () => {
    const name = nameOf(VARIANTS.int4b128);
    const shoal = await startShoal({ modelsDir: models.folder, models: [name], workerEnv });
    closers.push(() => shoal.stop());
    return restSeat(shoal, name, closers);
  });
  return seats;
}

function runOf(contestant: Contestant, name: string, seconds: Map<string, { passes: number; beside: number }>): Run {
  return async (prompts, tokens) => {
    const { texts, passes, beside } = await contestant.generate({ prompts, tokens });
    if (!texts.every(({ length }) => length === tokens)) throw new Error('texts of another length came');
    if (passes !== undefined && beside !== undefined) seconds.set(name, { passes, beside });
  };
}

function restSeat(shoal: Shoal, name: string, closers: (() => void)[]): Seat {
  const completions = new Completions(shoal.origin, name);
  closers.push(() => completions.close());
  const run: Run = async (prompts, tokens) => {
    await Promise.all(prompts.map((prompt) => completions.stream({ prompt, maxTokens: tokens })));
  };
  return { run, pids: Object.values(shoal.pids) };
}

/** Since the last rows of this kind: what a step takes beside passes of the model. */
function besideRows(seconds: Map<string, { passes: number; beside: number }>, batch: number): FigureRow[] {
  return [...seconds].map(([name, { passes, beside }]) => ({
    requirement: 'G',
    what: `${name}: share of steps outside passes, ${batch} texts and fewer, at most 5`,
    value: spread([(100 * beside) / (passes + beside)]),
    unit: '%',
  }));
}

function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0]!;
}

function noteOf(size: 'smol' | 'tiny'): string {
  const model = size === 'smol' ? 'shapes of SmolLM-135M' : 'a tiny model: only to see that it works';
  return `generation: ${model}, random weights, ${TOKENS} new tokens after ${PROMPT}, ${THREADS} threads`;
}
