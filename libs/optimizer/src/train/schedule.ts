/** How long a model is trained: as the texts that there are and the time allow, on a machine like this one. */
import { availableParallelism } from 'node:os';
import type { Candidate, Examples, Limits } from '../types.js';
import { EVALUATIONS } from './heal.js';
import type { Schedule } from './types.js';

/** What a step costs. */
export interface Load {
  /** Numbers that each token is multiplied by: matrices of the layers that are left, and what is behind them. */
  readonly products: number;
  /** Of the original. */
  readonly teacherProducts: number;
  /** Numbers that are trained, tables of words among them. */
  readonly numbers: number;
  /** Of a token's state. */
  readonly width: number;
  readonly examples: number;
  /** Of an example, on average. */
  readonly tokens: number;
  /** Tokens of a pass at most, where that is less than of others. */
  readonly passTokens?: number;
  /** The original answers batch by batch, and nothing before. */
  readonly beside?: boolean;
}

/** Students of a classifier of four layers gained 0.1 (two layers) to 0.4 points (one) between 800 and so many steps of 64 texts. */
const MOST_STEPS = 1200;
const LEAST_STEPS = 50;
/** Times that each example is seen at most: a student of few texts would learn them by heart. */
const MOST_EPOCHS = 30;
/** Of the time that a run may take, for training one candidate. */
const TIME_SHARE = 1 / 4;
/** Where nothing says how long a run may take: as long as one of `shoal optimize` does. */
const STANDARD_SECONDS = 1800;

/** Examples of a step, and tokens of a pass: activations of a layer's tokens live until the way back. */
const [MOST_BATCH, LEAST_BATCH, PASS_TOKENS] = [64, 8, 4096];
/** Where there are fewer examples than that for a batch, batches are smaller, so that there are steps to be made. */
const LEAST_BATCHES = 16;

/**
 * A rate of 5e-4 heals a model of 192 numbers a token; wider ones take less, as their updates add up over more numbers. Beyond 960 it
 * stays at 1e-4.
 */
const [RATE, RATE_WIDTH, LEAST_RATE] = [5e-4, 192, 1e-4];

/** Products a second of one core, forward and backward, beside other work; a quiet one has twice as many. */
const PRODUCTS_PER_SECOND = 1.2e10;
/** Of AdamW, for each number, whatever the number of cores: it waits for memory. */
const SECONDS_PER_NUMBER = 8e-9;
/** Of an evaluation, which opens both models; and the texts that it is by. */
const [EVALUATION_SECONDS, EVALUATION_TEXTS] = [2, 1000];

export interface Planned {
  readonly schedule: Schedule;
  /** Of the lesson, training and evaluations. */
  readonly seconds: number;
}

export function planSchedule(
  load: Load,
  limits: Limits = { seconds: STANDARD_SECONDS },
  cores = availableParallelism(),
): Planned {
  const { examples, tokens, width, passTokens = PASS_TOKENS } = load;
  const wanted = Math.min(MOST_BATCH, Math.max(LEAST_BATCH, powerBelow(examples / LEAST_BATCHES)));
  const batch = Math.max(1, Math.min(wanted, powerBelow(Math.min(PASS_TOKENS, passTokens) / tokens)));
  const accumulate = Math.max(1, wanted / batch);
  const step = stepSeconds(load, batch * accumulate, cores);
  const most = Math.min(
    MOST_STEPS,
    (MOST_EPOCHS * examples) / (batch * accumulate),
    (limits.seconds * TIME_SHARE) / step,
  );
  const steps = Math.max(LEAST_STEPS, 10 * Math.floor(most / 10));
  const rate = Number(Math.max(LEAST_RATE, (RATE * RATE_WIDTH) / Math.max(RATE_WIDTH, width)).toPrecision(2));
  return { schedule: { steps, batch, accumulate, rate }, seconds: Math.ceil(steps * step + otherSeconds(load)) };
}

/** What `planSchedule` has put into a candidate's settings. */
export function scheduleIn({ settings }: Pick<Candidate, 'settings'>): Schedule {
  const number = (name: keyof Schedule) => Number(settings[name]);
  return { steps: number('steps'), batch: number('batch'), accumulate: number('accumulate'), rate: number('rate') };
}

/** Forward and twice backward. */
function stepSeconds(load: Load, examples: number, cores: number): number {
  const { products, teacherProducts, numbers, tokens, beside = false } = load;
  const all = 3 * products + (beside ? teacherProducts : 0);
  return (all * tokens * examples) / (PRODUCTS_PER_SECOND * cores) + SECONDS_PER_NUMBER * numbers;
}

/** The original answers on one core. */
function otherSeconds({ products, teacherProducts, examples, tokens, beside = false }: Load): number {
  const forward = (of: number, texts: number) => (of * tokens * texts) / PRODUCTS_PER_SECOND;
  const evaluation = EVALUATION_SECONDS + forward(products + teacherProducts, EVALUATION_TEXTS);
  return (beside ? 0 : forward(teacherProducts, examples)) + (EVALUATIONS + 1) * evaluation;
}

/** A power of two. */
function powerBelow(value: number): number {
  return 2 ** Math.floor(Math.log2(Math.max(1, value)));
}

/** Characters of a token, special ones aside, roughly as in English; what a text is counted at before it is tokenised. */
const CHARACTERS = 4;
const SPECIAL = 2;

/** Texts that there are to learn from, each of its own, and how many tokens they have on average, at most `most`. */
export function countExamples({ items }: Examples, most: number | null): { examples: number; tokens: number } {
  const lengths = items.flatMap((item) => {
    if (item.kind === 'pair') return [item.query.length, item.document.length];
    if (item.kind === 'ranking') return item.documents.map(({ text }) => item.query.length + text.length);
    return [item.text.length];
  });
  const tokens = lengths.map((length) => Math.min(most ?? Number.POSITIVE_INFINITY, SPECIAL + length / CHARACTERS));
  const sum = tokens.reduce((all, count) => all + count, 0);
  return { examples: lengths.length, tokens: Math.max(1, sum / Math.max(1, lengths.length)) };
}
