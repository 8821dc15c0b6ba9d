/**
 * A student of a model that ranks: what query and document have in common, along the principal directions of their words' means,
 * and the share of the query's words that the document has. Linear in these, and fitted to the teacher's scores by ridge.
 */
import { ShoalError, type TextItem } from '@shoal/contracts';
import { CholeskyDecomposition, Matrix } from 'ml-matrix';
import { center, meanOf, principal } from '../linear/principal.js';
import { split } from '../linear/split.js';
import { countFeatures, multiply, tokenRows } from '../linear/token-rows.js';
import { LEAST } from './table-graph.js';
import { whatIsAround } from './token-means.js';
import { tokenWeights } from './token-weights.js';
import type { WordTable } from './word-table.js';

export interface RankHead {
  /** [vocabulary, columns]; 0 for special tokens. */
  readonly table: Float32Array;
  readonly columns: number;
  /** [vocabulary]: what a token counts among the words in common; 0 for special ones. */
  readonly weights: Float32Array;
  /** The token between query and document. */
  readonly separator: number;
  /** Of each column's product, and of the words in common. */
  readonly factors: Float64Array;
  readonly bias: number;
  readonly ridge: number;
}

const MOST_COLUMNS = 128;
/** Texts that the directions are taken from. */
const MOST_TEXTS = 10_000;
const RIDGES = [10, 1, 0.1, 0.01] as const;

/** @param scores of the teacher, before any sigmoid @throws ShoalError `model_invalid` where queries cannot be told from documents */
export function fitRankHead(
  items: readonly TextItem[],
  scores: Float64Array,
  words: WordTable,
  vocabulary: number,
  random: () => number,
): RankHead {
  const { separator, special } = specialTokens(items);
  const sides = items.flatMap((item) => Object.values(sidesOf(item.ids, separator)));
  const rows = tokenRows(
    sides.map((features) => ({ features, scale: 1 / Math.max(1, features.length) })),
    vocabulary,
  );
  const weights = Float32Array.from(tokenWeights(countFeatures(rows)), (weight, token) =>
    special.has(token) ? 0 : weight,
  );
  const { table, columns } = directions(words, weights, sides.slice(0, MOST_TEXTS), vocabulary);
  const known = { table, columns, weights, separator };
  const features = items.map(({ ids }) => pairFeatures(known, ids));
  const [heldOut, taught] = split(items.length, random);
  let best = { ridge: RIDGES[0] as number, error: Number.POSITIVE_INFINITY };
  for (const ridge of RIDGES) {
    const own = fitLinear(features, scores, taught, ridge);
    const error = heldOut.reduce((sum, n) => sum + (linear(own, features[n]!) - scores[n]!) ** 2, 0);
    if (error < best.error) best = { ridge, error };
  }
  const all = items.map((_, n) => n);
  return { ...known, ...fitLinear(features, scores, all, best.ridge), ridge: best.ridge };
}

/** @throws ShoalError `model_invalid` */
function specialTokens(items: readonly TextItem[]): {
  readonly separator: number;
  readonly special: ReadonlySet<number>;
} {
  const { before, after } = whatIsAround(items);
  const separator = after.at(-1);
  const apart = ({ ids }: TextItem) => ids.indexOf(separator ?? -1) < ids.length - 1 && ids.includes(separator ?? -1);
  if (separator === undefined || !items.every(apart)) {
    throw new ShoalError('model_invalid', 'its tokenizer puts no token of its own between a query and a document');
  }
  // What all pairs begin with may be words where queries are alike: only the first token is surely none.
  return { separator, special: new Set([separator, ...before.slice(0, 1)]) };
}

/** Tokens before and behind the first separator, without separators. */
export function sidesOf(
  ids: Uint32Array,
  separator: number,
): { readonly query: Uint32Array; readonly document: Uint32Array } {
  const end = ids.indexOf(separator);
  return { query: ids.subarray(0, end), document: ids.subarray(end).filter((id) => id !== separator) };
}

/** Weighted word vectors along the directions in which texts differ most. */
function directions(
  { values, width }: WordTable,
  weights: Float32Array,
  sides: readonly Uint32Array[],
  vocabulary: number,
): { readonly table: Float32Array; readonly columns: number } {
  const weighted = values.map((value, at) => value * weights[Math.floor(at / width)]!);
  const rows = tokenRows(
    sides.map((features) => ({ features, scale: 1 / Math.max(1, features.length) })),
    vocabulary,
  );
  const texts = multiply(rows, weighted, width);
  const middle = meanOf(texts, width);
  center(texts, middle);
  const { vectors } = principal(texts, width);
  const columns = Math.min(MOST_COLUMNS, width);
  const table = new Float32Array(vocabulary * columns);
  for (let token = 0; token < vocabulary; token++) {
    if (weights[token] === 0) continue;
    for (let i = 0; i < width; i++) {
      const value = weighted[token * width + i]! - middle[i]!;
      for (let c = 0; c < columns; c++) {
        table[token * columns + c] = table[token * columns + c]! + value * vectors.get(i, c);
      }
    }
  }
  return { table, columns };
}

type Known = Pick<RankHead, 'table' | 'columns' | 'weights' | 'separator'>;

/** Products of the two unit vectors, column by column, and the weighted share of the query's words that the document has. */
export function pairFeatures({ table, columns, weights, separator }: Known, ids: Uint32Array): Float64Array {
  const { query, document } = sidesOf(ids, separator);
  const [a, b] = [query, document].map((side) => unitMean(table, columns, side));
  const features = new Float64Array(columns + 1);
  for (let c = 0; c < columns; c++) features[c] = a![c]! * b![c]!;
  const there = new Set(document);
  let [common, all] = [0, 0];
  for (const id of query) {
    all += weights[id]!;
    if (there.has(id)) common += weights[id]!;
  }
  features[columns] = common / Math.max(all, LEAST);
  return features;
}

function unitMean(table: Float32Array, columns: number, ids: Uint32Array): Float64Array {
  const sum = new Float64Array(columns);
  for (const id of ids) for (let c = 0; c < columns; c++) sum[c] = sum[c]! + table[id * columns + c]! / ids.length;
  const length = Math.sqrt(sum.reduce((squares, value) => squares + value * value, 0));
  return sum.map((value) => value / Math.max(length, LEAST));
}

interface LinearFit {
  readonly factors: Float64Array;
  readonly bias: number;
}

function fitLinear(
  features: readonly Float64Array[],
  scores: Float64Array,
  which: readonly number[],
  ridge: number,
): LinearFit {
  const width = features[0]!.length;
  const flat = new Float64Array(which.length * width);
  for (const [n, place] of which.entries()) flat.set(features[place]!, n * width);
  const middle = meanOf(flat, width);
  center(flat, middle);
  const mean = which.reduce((sum, place) => sum + scores[place]!, 0) / which.length;
  const x = Matrix.from1DArray(which.length, width, flat);
  const y = Matrix.columnVector(which.map((place) => scores[place]! - mean));
  const turned = x.transpose();
  const square = turned.mmul(x).add(Matrix.eye(width).mul(ridge));
  const factors = Float64Array.from(new CholeskyDecomposition(square).solve(turned.mmul(y)).to1DArray());
  return { factors, bias: mean - factors.reduce((sum, factor, c) => sum + factor * middle[c]!, 0) };
}

/** The score of one pair's features. */
export function linear({ factors, bias }: LinearFit, features: Float64Array): number {
  return factors.reduce((sum, factor, c) => sum + factor * features[c]!, bias);
}
