/** What a graph loses on the texts that choices are made by. */

import { compare } from '../evaluate/compare.js';
import type { Context, Subject } from '../types.js';

/** Enough to tell a good choice from a bad one; the verdict is by others. */
const MOST = 300;

/** What is lost on average, and the standard error of that. */
export interface ChoiceLoss {
  readonly mean: number;
  readonly error: number;
}

/** Of a normal distribution: bounds are one-sided, of 95 %. */
const Z95 = 1.645;

/**
 * In the metric that is asked for, else in that of task and examples; below 0 where it is better than the original.
 *
 * @throws ShoalError as compare
 */
export async function lossOf(subject: Subject, path: string, context: Context): Promise<number> {
  return (await choiceLoss(subject, path, context)).mean;
}

/** The same, of `most` texts. @throws ShoalError as compare */
export async function choiceLoss(
  { original, data, metric }: Subject,
  path: string,
  context: Context,
  most = MOST,
): Promise<ChoiceLoss> {
  const candidate = { ...original, variant: 'candidate', variants: { ...original.variants, candidate: path } };
  const options = { speeds: false, most, metric };
  const { loss } = await compare(original, candidate, data.choice, options, {
    ...context,
    onProgress: () => undefined,
  });
  return { mean: loss.mean, error: (loss.bound - loss.mean) / Z95 };
}
