/** What errors of a decoder's weights cost, by what its matrices multiply. */
import type { Tuning } from '@shoal/importer';
import type { Calibrated } from './calibrate.js';
import { feedbackOf } from './feedback.js';
import { importanceOf } from './statistics.js';

/** Multiplications that making up for errors may take, of all matrices in one format: some minutes. */
const MOST = 2e11;

export interface Weighing {
  readonly importance: (name: string) => Float32Array | undefined;
  /** For formats of 4 bits: where 8 are, there is next to nothing to make up for. */
  readonly coarse: Tuning;
  /** For people. */
  readonly how: string;
}

/** Errors are made up for where that takes minutes; models of billions of parameters are rounded by importance alone. */
export function weighingOf({ products, statistics }: Pick<Calibrated, 'products' | 'statistics'>): Weighing {
  const importance = importanceOf(statistics);
  const cost = [...products.values()].reduce((sum, { weight }) => sum + (weight.rows * weight.columns ** 2) / 2, 0);
  if (cost > MOST) return { importance, coarse: { importance }, how: 'rounded by importance' };
  // Made at each use: of all matrices together it would be larger than the model.
  const feedback = (name: string) => {
    const found = statistics.get(name);
    return found && feedbackOf(found.sample, found.means.length);
  };
  return { importance, coarse: { feedback }, how: 'rounded by importance with feedback' };
}
