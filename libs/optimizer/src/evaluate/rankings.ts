/** How good rankings are, and how alike. */

/** Documents of a ranking that count. */
export const DEPTH = 10;

/**
 * Normalised discounted cumulative gain of the first ten (Järvelin and Kekäläinen 2002), 1 where no order would be better. Of
 * equal scores the worse document stands first: a model that scores all alike ranks nothing.
 */
export function ndcg(scores: readonly number[], grades: readonly number[]): number {
  const best = [...grades].sort((a, b) => b - a);
  return gain(orderOf(scores, grades).map((n) => grades[n]!)) / gain(best);
}

/** One by the place of the first document that is of any use (1, 1/2, 1/3, ...). */
export function reciprocalRank(scores: readonly number[], grades: readonly number[]): number {
  const place = orderOf(scores, grades).findIndex((n) => grades[n]! > 0);
  return place === -1 ? 0 : 1 / (place + 1);
}

function orderOf(scores: readonly number[], grades: readonly number[]): readonly number[] {
  return scores.map((_, n) => n).sort((a, b) => scores[b]! - scores[a]! || grades[a]! - grades[b]!);
}

function gain(grades: readonly number[]): number {
  return grades.slice(0, DEPTH).reduce((sum, grade, place) => sum + grade / Math.log2(place + 2), 0);
}

/** The same where one document is of use, and `rank` others stand before it. */
export function ndcgOfOne(rank: number): number {
  return rank < DEPTH ? 1 / Math.log2(rank + 2) : 0;
}

/**
 * Of each query, how many documents are as alike it as its own, or more: 0 where none is. `texts` are those of the documents; copies
 * of the own one do not count. Ties are against the query: a model that finds all texts alike finds nothing.
 */
export function ranksOfOwn<Vector>(
  queries: readonly Vector[],
  documents: readonly Vector[],
  texts: readonly string[],
  likeness: (query: Vector, document: Vector) => number,
): readonly number[] {
  return queries.map((query, n) => {
    const own = likeness(query, documents[n]!);
    let before = 0;
    for (const [other, document] of documents.entries()) {
      if (texts[other] !== texts[n] && likeness(query, document) >= own) before += 1;
    }
    return before;
  });
}

/** Rank correlation (Spearman's), ties by their mean rank; NaN where one side is all alike. */
export function spearman(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return correlation(ranks(a), ranks(b));
}

function ranks(values: ArrayLike<number>): Float64Array {
  const order = Uint32Array.from({ length: values.length }, (_, n) => n).sort((a, b) => values[a]! - values[b]!);
  const found = new Float64Array(values.length);
  for (let from = 0; from < order.length; ) {
    let to = from + 1;
    while (to < order.length && values[order[to]!] === values[order[from]!]) to += 1;
    for (let n = from; n < to; n++) found[order[n]!] = (from + to - 1) / 2;
    from = to;
  }
  return found;
}

function correlation(a: Float64Array, b: Float64Array): number {
  const middle = (a.length - 1) / 2;
  let [ab, aa, bb] = [0, 0, 0];
  for (let n = 0; n < a.length; n++) {
    const [x, y] = [a[n]! - middle, b[n]! - middle];
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  return ab / Math.sqrt(aa * bb);
}
