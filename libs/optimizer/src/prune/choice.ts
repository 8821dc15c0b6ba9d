/** What a graph loses on the texts that choices are made by. */

import { compare } from '../evaluate/compare.js';
import type { Context, Subject } from '../types.js';

/** Enough to tell a good choice from a bad one; the verdict is by others. */
const MOST = 300;

/**
 * In the metric that is asked for, else in that of task and examples, of `most` texts; below 0 where it is better than the original.
 *
 * @throws ShoalError as compare
 */
export async function lossOf(
  { original, data, metric }: Subject,
  path: string,
  context: Context,
  most = MOST,
): Promise<number> {
  const candidate = { ...original, variant: 'candidate', variants: { ...original.variants, candidate: path } };
  const options = { speeds: false, most, metric };
  const { loss } = await compare(original, candidate, data.choice, options, {
    ...context,
    onProgress: () => undefined,
  });
  return loss.mean;
}
