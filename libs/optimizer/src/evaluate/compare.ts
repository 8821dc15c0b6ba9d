/** Original and candidate over the same texts: what the candidate loses, and how much faster it is. */
import type { LossMetric, SpeedRatio, Task } from '@shoal/contracts';
import type { Model } from '@shoal/models';
import { seededRandom } from '@shoal/training';
import { badData } from '../data/bad-data.js';
import { boundOf } from '../gate/bound.js';
import { confirmed } from '../gate/confirm.js';
import type { Comparison, Context, Examples } from '../types.js';
import { compareClasses } from './classes.js';
import { closeDecoders, compareLikelihoods, type Decoders, openDecoders } from './decoders.js';
import { compareEntities } from './entities.js';
import { metricFor } from './metrics.js';
import { compareScores } from './scores.js';
import { decoderSpeeds, encoderSpeeds } from './shapes.js';
import { closeSides, openSides, type Sides } from './sides.js';
import type { Quality } from './types.js';
import { compareVectors } from './vectors.js';

/** Texts that are enough for bounds of a quarter of a per cent. Pairs cost their square: each query looks among all documents. */
const MOST = { text: 10_000, entities: 10_000, ranking: 2000, pair: 4000 } as const;

export interface CompareOptions {
  /** What the loss is counted in; undefined: what is usual for the task and the examples. */
  readonly metric?: LossMetric | undefined;
  /** Texts, pairs or queries at most, from all over the examples. Default: 10,000 texts, 4,000 pairs or 2,000 rankings. */
  readonly most?: number | undefined;
  /** How often the bound of the loss may be below it. Default 5 %; less where others are judged by the same texts, see spending.ts. */
  readonly alpha?: number | undefined;
  /** False: the loss alone, and `speeds` is empty. Default true. */
  readonly speeds?: boolean | undefined;
}

interface Measured {
  readonly quality: Quality;
  readonly speeds: readonly SpeedRatio[];
}

/**
 * Both models in lockstep, chunk by chunk, by the path that jobs take. The bound of the loss is the same each time for the same
 * answers; speeds are this machine's, now.
 *
 * @throws ShoalError `invalid_request` where the two or the examples do not fit each other, as the models fail, or the signal's
 *   reason
 */
export async function compare(
  original: Model,
  candidate: Model,
  examples: Examples,
  options: CompareOptions,
  context: Context,
): Promise<Comparison> {
  const { task } = original;
  if (candidate.task !== task) {
    throw badData(
      `${original.name} serves ${task}, ${candidate.name} ${candidate.task}: their answers are not compared`,
    );
  }
  const metric = metricFor(original, examples, options.metric);
  const chosen = sampleOf(examples, options.most);
  const speeds = options.speeds ?? true;
  const measured =
    task === 'text-generation'
      ? await compareDecoders(original, candidate, chosen, speeds, context)
      : await compareEncoders(original, candidate, chosen, speeds, context);
  const losses = measured.quality.losses[metric];
  if (losses === undefined) {
    throw badData(
      `the candidate's vectors have another length than the original's: give pairs or rankings to measure by`,
    );
  }
  const { values, weights, answer } = losses;
  const { escalated, figures } = measured.quality;
  const bound = boundOf(values, seededRandom(1), { weights, answer, alpha: options.alpha });
  return {
    loss: { metric, ...bound, texts: values.length },
    speeds: measured.speeds,
    ...(escalated !== undefined && { escalated }),
    figures,
  };
}

/** Every second, third, ... where there are too many. */
function sampleOf(examples: Examples, most: number = MOST[examples.kind]): Examples {
  const step = Math.ceil(examples.items.length / most);
  return step <= 1 ? examples : { ...examples, items: examples.items.filter((_, n) => n % step === 0) };
}

async function compareEncoders(
  original: Model,
  candidate: Model,
  examples: Examples,
  speeds: boolean,
  context: Context,
): Promise<Measured> {
  const { quality, first } = await withSides(original, candidate, context, async (sides) => ({
    quality: await qualityOf(original.task, sides, examples, context),
    first: speeds ? await encoderSpeeds(sides, examples, context) : [],
  }));
  const again = async () =>
    await withSides(candidate, original, context, async ({ original: theirs, candidate: own }) => {
      return await encoderSpeeds({ original: own, candidate: theirs }, examples, context);
    });
  return { quality, speeds: await confirmed(first, again) };
}

async function withSides<T>(
  first: Model,
  second: Model,
  context: Context,
  work: (sides: Sides) => Promise<T>,
): Promise<T> {
  const sides = await openSides(first, second, context);
  try {
    return await work(sides);
  } finally {
    await closeSides(sides);
  }
}

function qualityOf(task: Task, sides: Sides, examples: Examples, context: Context): Promise<Quality> {
  switch (task) {
    case 'text-classification':
      return compareClasses(sides, examples, context);
    case 'token-classification':
      return compareEntities(sides, examples, context);
    case 'rerank':
      return compareScores(sides, examples, context);
    default:
      return compareVectors(sides, examples, context);
  }
}

async function compareDecoders(
  original: Model,
  candidate: Model,
  examples: Examples,
  speeds: boolean,
  context: Context,
): Promise<Measured> {
  const { quality, first } = await withDecoders(original, candidate, examples, context, async (decoders) => ({
    quality: await compareLikelihoods(decoders, context),
    first: speeds ? await decoderSpeeds(decoders, context) : [],
  }));
  const again = async () =>
    await withDecoders(candidate, original, examples, context, async ({ original: theirs, candidate: own, texts }) => {
      return await decoderSpeeds({ original: own, candidate: theirs, texts }, context);
    });
  return { quality, speeds: await confirmed(first, again) };
}

async function withDecoders<T>(
  first: Model,
  second: Model,
  examples: Examples,
  context: Context,
  work: (decoders: Decoders) => Promise<T>,
): Promise<T> {
  const decoders = await openDecoders(first, second, examples, context);
  try {
    return await work(decoders);
  } finally {
    await closeDecoders(decoders);
  }
}
