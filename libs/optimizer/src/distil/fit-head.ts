/**
 * A linear head on a text's features, fitted to the teacher's answers. What tokens say alone is where it begins; how far that is
 * trusted and how strongly it is held to it are chosen on texts that are held out, and which features help is on the part for
 * choosing.
 */
import type { TextItem } from '@shoal/contracts';
import { fitSoft, lossOf, type Scorer, type SoftLesson, scoresOf } from '../linear/soft-regression.js';
import { split } from '../linear/split.js';
import { seenFeatures, type TokenRows } from '../linear/token-rows.js';
import type { Context } from '../types.js';
import type { Answers } from './head-lesson.js';
import { BUCKETS, type FeatureSpace, FIRST, featureCount, featureRows } from './text-features.js';

export interface Head extends Scorer {
  readonly space: FeatureSpace;
  readonly ridge: number;
  /** What tokens say alone counts so often. */
  readonly trust: number;
  readonly steps: number;
}

export interface HeadChoice {
  readonly items: readonly TextItem[];
  /** How good scores [texts, classes] are, before the link: more is better. */
  readonly judge: (scores: Float64Array) => number;
}

type FitContext = Pick<Context, 'random' | 'signal' | 'onProgress'>;

const RIDGES = [1, 0.3, 0.1, 0.03, 0.01] as const;
const FIRST_RIDGE = 0.3;
const TRUSTS = [0, 1, 2] as const;
/** Texts that both are chosen on: the best hardly depend on how many there are. */
const SAMPLE = 4000;
const SAMPLE_STEPS = 15;
const STEPS = 40;
/** Of the gradient, beside the first. */
const TOLERANCE = 1e-3;
/** Weights of a head, above which it sees less: 64 MB in float64, and a dozen of that while it is fitted. */
const MOST_WEIGHTS = 8e6;

/** @param alone as `tokensAlone` gives it @throws the signal's reason */
export async function fitHead(
  answers: Answers,
  vocabulary: number,
  alone: Float64Array,
  choice: HeadChoice,
  { random, signal, onProgress }: FitContext,
): Promise<{ readonly head: Head; readonly quality: number }> {
  const [heldOut, rest] = split(answers.items.length, random);
  const samples = { taught: some(answers, rest.slice(0, SAMPLE)), held: some(answers, heldOut) };
  const spaces = spacesOf(vocabulary, answers.classes);
  const { ridge, trust } = await choose(samples, spaces[0]!, alone, signal);
  onProgress(0.4);
  const judge = (space: FeatureSpace, scorer: Scorer) =>
    choice.judge(scoresOf(featureRows(choice.items, space), scorer));
  let best: { space: FeatureSpace; quality: number } | undefined;
  for (const space of spaces) {
    const { scorer } = await fitOn(samples.taught, space, alone, { ridge, trust, most: SAMPLE_STEPS }, signal);
    const quality = judge(space, scorer);
    if (best === undefined || quality > best.quality) best = { space, quality };
  }
  const { space } = best!;
  onProgress(0.5);
  const { scorer, steps } = await fitOn(answers, space, alone, { ridge, trust, most: STEPS }, signal);
  return { head: { ...scorer, ridge, trust, space, steps }, quality: judge(space, scorer) };
}

/** The richest first. */
function spacesOf(vocabulary: number, classes: number): readonly FeatureSpace[] {
  const tokens = { vocabulary, buckets: 0, first: 0 };
  const pairs = { vocabulary, buckets: BUCKETS, first: 0 };
  const all = [{ ...pairs, first: FIRST }, pairs, tokens];
  return all.filter((space) => space === tokens || featureCount(space) * classes <= MOST_WEIGHTS);
}

interface Settings {
  readonly ridge: number;
  readonly trust: number;
}

/** One after the other, each with the best of the other. */
async function choose(
  { taught, held }: { readonly taught: Answers; readonly held: Answers },
  space: FeatureSpace,
  alone: Float64Array,
  signal: AbortSignal,
): Promise<Settings> {
  const lesson = lessonOf(held, featureRows(held.items, space));
  let best = { ridge: FIRST_RIDGE as number, trust: 0 as number, loss: Number.POSITIVE_INFINITY };
  const attempt = async (settings: Settings) => {
    const { scorer } = await fitOn(taught, space, alone, { ...settings, most: SAMPLE_STEPS }, signal);
    const loss = lossOf(lesson, scorer);
    if (loss < best.loss) best = { ...settings, loss };
  };
  for (const trust of TRUSTS) await attempt({ ridge: FIRST_RIDGE, trust });
  const { trust } = best;
  for (const ridge of RIDGES) if (ridge !== FIRST_RIDGE) await attempt({ ridge, trust });
  return { ridge: best.ridge, trust: best.trust };
}

async function fitOn(
  answers: Answers,
  space: FeatureSpace,
  alone: Float64Array,
  { ridge, trust, most }: Settings & { readonly most: number },
  signal: AbortSignal,
): Promise<{ readonly scorer: Scorer; readonly steps: number }> {
  const { classes } = answers;
  const { rows, seen } = seenFeatures(featureRows(answers.items, space));
  const weights = new Float64Array(featureCount(space) * classes);
  for (const [at, value] of alone.entries()) weights[at] = trust * value;
  const prior = new Float64Array(seen.length * classes);
  for (const [n, feature] of seen.entries()) {
    prior.set(weights.subarray(feature * classes, (feature + 1) * classes), n * classes);
  }
  const own = await fitSoft(lessonOf(answers, rows), prior, { ridge, most, tolerance: TOLERANCE, signal });
  for (const [n, feature] of seen.entries()) {
    weights.set(own.weights.subarray(n * classes, (n + 1) * classes), feature * classes);
  }
  return { scorer: { weights, bias: own.bias }, steps: own.steps };
}

function lessonOf({ scores, classes, link }: Answers, rows: TokenRows): SoftLesson {
  return { rows, targets: scores, classes, link };
}

function some({ items, scores, classes, link }: Answers, which: readonly number[]): Answers {
  const taken = new Float32Array(which.length * classes);
  for (const [n, place] of which.entries()) {
    taken.set(scores.subarray(place * classes, (place + 1) * classes), n * classes);
  }
  return { items: which.map((n) => items[n]!), scores: taken, classes, link };
}
