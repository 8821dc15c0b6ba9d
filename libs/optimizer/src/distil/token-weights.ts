/** How much a token says: smooth inverse frequency (Arora et al. 2017), by counts, in whatever order the vocabulary is. */

/** A token of this share of all weighs half as much as one that never comes. */
const HALF = 1e-3;

/** `counts` are of each token; the weights go from 0 to 1. */
export function tokenWeights(counts: Uint32Array): Float64Array {
  const total = counts.reduce((sum, count) => sum + count, 0);
  return Float64Array.from(counts, (count) => (total === 0 ? 1 : HALF / (HALF + count / total)));
}
