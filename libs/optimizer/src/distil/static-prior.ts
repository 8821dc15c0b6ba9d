/**
 * A first table of token vectors in the teacher's space: weighted means of tokens, mapped by least squares along the principal
 * components of *texts* (means of their tokens), so that a text's mean comes close to the teacher's vector of it.
 */
import type { Matrix } from 'ml-matrix';
import { type Components, center, crossProduct, meanOf, principal } from '../linear/principal.js';
import { multiply, type TokenRows } from '../linear/token-rows.js';
import type { TokenMeans } from './token-means.js';

/** Vectors of texts, [rows, dimensions]. */
export interface Vectors {
  readonly values: Float32Array;
  readonly dimensions: number;
}

/** Of the mean variance of a component: what has less is hardly more than noise. */
const NOISE = 1e-3;
/** The first components of texts tell what all of them have in common; how many are better left out is tried. */
const DROPPED = [0, 1, 2, 4] as const;

export interface PriorLesson {
  /** Tokens of texts, [rows, vocabulary], divided by what they count. */
  readonly rows: TokenRows;
  readonly answers: Vectors;
}

export interface Prior {
  /** [vocabulary, dimensions] */
  readonly table: Float32Array;
  readonly dropped: number;
}

/** What a token weighs in the sum of a text's vectors, and what it counts where that is divided; [vocabulary] each. */
export interface Weighting {
  readonly weights: Float64Array;
  readonly counts: Float64Array;
}

/** `choice`: what is decided by, how many components are left out. */
export function staticPrior(means: TokenMeans, weighting: Weighting, lesson: PriorLesson, choice: PriorLesson): Prior {
  const { weights, counts } = weighting;
  const weighted = weigh(means, weights);
  const { dimensions } = lesson.answers;
  const { width } = means;
  const texts = multiply(lesson.rows, weighted, width);
  const middle = meanOf(texts, width);
  const target = meanOf(lesson.answers.values, dimensions);
  center(texts, middle);
  const answers = Float64Array.from(lesson.answers.values);
  center(answers, target);
  const components = principal(texts, width);
  const crossed = crossProduct(texts, width, answers, dimensions);
  const chosen = multiply(choice.rows, weighted, width);
  center(chosen, middle);
  let best: { map: Matrix; dropped: number; likeness: number } | undefined;
  for (const dropped of DROPPED) {
    if (dropped >= width) continue;
    const map = mapOf(components, crossed, dropped);
    const likeness = likenessOf(apply(chosen, map, target), choice.answers);
    if (best === undefined || likeness > best.likeness) best = { map, dropped, likeness };
  }
  const { map, dropped } = best!;
  // What a text's tokens count is what is divided by: the means of texts are added to each of them once.
  for (const [at, value] of weighted.entries())
    weighted[at] = value - counts[Math.floor(at / width)]! * middle[at % width]!;
  return { table: apply(weighted, map, target, counts), dropped };
}

/** Least squares in the components' own coordinates, where they do not mix, and back: [width, dimensions]. */
function mapOf({ vectors, variances }: Components, crossed: Matrix, dropped: number): Matrix {
  const noise = (NOISE * variances.reduce((sum, value) => sum + value, 0)) / variances.length || 1;
  const own = vectors.transpose().mmul(crossed);
  for (const [n, variance] of variances.entries()) own.mulRow(n, n < dropped ? 0 : 1 / (variance + noise));
  return vectors.mmul(own);
}

/** Rows through the map, the mean answer added: as often as `counts` says, else once. */
function apply(
  rows: Float64Array | Float32Array,
  map: Matrix,
  target: Float64Array,
  counts?: Float64Array,
): Float32Array {
  const [width, dimensions] = [map.rows, map.columns];
  const flat = Float64Array.from({ length: width * dimensions }, (_, at) =>
    map.get(Math.floor(at / dimensions), at % dimensions),
  );
  const count = rows.length / width;
  const mapped = new Float32Array(count * dimensions);
  const sum = new Float64Array(dimensions);
  for (let n = 0; n < count; n++) {
    const often = counts?.[n] ?? 1;
    for (let c = 0; c < dimensions; c++) sum[c] = often * target[c]!;
    for (let i = 0; i < width; i++) {
      const value = rows[n * width + i]!;
      const from = i * dimensions;
      for (let c = 0; c < dimensions; c++) sum[c] = sum[c]! + value * flat[from + c]!;
    }
    mapped.set(sum, n * dimensions);
  }
  return mapped;
}

/** Mean cosine of rows to those of `answers`. */
export function likenessOf(rows: Float32Array | Float64Array, { values, dimensions }: Vectors): number {
  const count = values.length / dimensions;
  let total = 0;
  for (let n = 0; n < count; n++) {
    let [dot, own, other] = [0, 0, 0];
    for (let at = n * dimensions; at < (n + 1) * dimensions; at++) {
      dot += rows[at]! * values[at]!;
      own += rows[at]! ** 2;
      other += values[at]! ** 2;
    }
    total += own > 0 && other > 0 ? dot / Math.sqrt(own * other) : 0;
  }
  return total / count;
}

function weigh({ vectors, width }: TokenMeans, weights: Float64Array): Float32Array {
  return vectors.map((value, at) => value * weights[Math.floor(at / width)]!);
}
