/**
 * Disentangled attention (He et al. 2020): what a query gives a key depends on both texts, on the query and the distance (c2p),
 * and on the distance and the key (p2c). Distances fall into buckets, each with a vector.
 */
import { dataOf, type Value } from '@shoal/onnx';
import type { Linear } from '../weights.js';
import type { EncoderGraph } from './graph.js';

/** Of a graph: the same for all layers. */
export interface Distances {
  /** [rows, width]: the vector of each bucket, from the farthest behind to the farthest ahead. */
  readonly vectors: Value;
  /** Rows of `vectors` by distance, [2 × sequence − 1]: from sequence − 1 to 1 − sequence, and the other way round. */
  readonly falling: Value;
  readonly rising: Value;
}

export interface Buckets {
  /** Buckets on either side: half of the vectors. */
  readonly span: number;
  /** The bucket of a distance, query − key; a number of the same sign. */
  readonly bucketOf: (distance: number) => number;
  /** Longest text in tokens. */
  readonly longest: number;
}

export function distancesOf(e: EncoderGraph, vectors: Value, buckets: Buckets): Distances {
  return { vectors, falling: bucketsOf(e, buckets, 'falling'), rising: bucketsOf(e, buckets, 'rising') };
}

export interface Disentangled {
  readonly heads: number;
  readonly width: number;
  /** 1 / √(width of a head × kinds of scores). */
  readonly scale: number;
  /** Maps of the distances' vectors to what queries (c2p) and keys (p2c) meet; undefined where there are no such scores. */
  readonly toKeys: Linear | undefined;
  readonly toQueries: Linear | undefined;
}

/** [batch, heads, sequence, sequence], with padding: what is added to the scores of `query` and `key`, [batch, sequence, width]. */
export function distanceScores(
  e: EncoderGraph,
  distances: Distances,
  { heads, width, scale, toKeys, toQueries }: Disentangled,
  query: Value,
  key: Value,
): Value {
  const { g } = e;
  const scores = (states: Value, map: Linear, order: 'falling' | 'rising') => {
    const rows = g.op('Gather', [e.linear(distances.vectors, map), distances[order]]);
    const byHead = g.op('Transpose', [g.op('Reshape', [rows, g.ints([0, heads, width / heads])])], { perm: [1, 2, 0] });
    const scaled = g.op('Mul', [e.byHead(states, heads, width), g.scalar(scale)]);
    return byDistance(e, g.op('MatMul', [scaled, byHead]));
  };
  const parts = [e.padding];
  if (toKeys !== undefined) parts.push(scores(query, toKeys, 'falling'));
  if (toQueries !== undefined) {
    parts.push(g.op('Transpose', [scores(key, toQueries, 'rising')], { perm: [0, 1, 3, 2] }));
  }
  return parts.reduce((sum, part) => g.op('Add', [sum, part]));
}

function bucketsOf(e: EncoderGraph, { span, bucketOf, longest }: Buckets, order: 'falling' | 'rising'): Value {
  const { g } = e;
  const sign = order === 'rising' ? 1 : -1;
  const rows = BigInt64Array.from({ length: 2 * longest - 1 }, (_, n) =>
    BigInt(Math.min(2 * span - 1, Math.max(0, span + bucketOf(sign * (n - (longest - 1)))))),
  );
  const all = g.constant(`distances.${order}`, 'int64', [rows.length], dataOf(rows));
  const length = g.op('Shape', [e.ids], { start: 1, end: 2 });
  const middle = g.ints([longest - 1]);
  const end = g.op('Add', [middle, length]);
  return g.op('Slice', [all, g.op('Sub', [g.ints([longest]), length]), end]);
}

/**
 * From [batch, heads, sequence, 2 × sequence − 1], whose column c of row i is of the pair (i, i + c − sequence + 1), to
 * [batch, heads, sequence, sequence] by pairs. With one more column, each row begins one number later than the pairs' diagonal.
 */
function byDistance(e: EncoderGraph, x: Value): Value {
  const { g } = e;
  const length = g.op('Shape', [e.ids], { start: 1, end: 2 });
  const columns = g.op('Sub', [g.op('Mul', [length, g.ints([2])]), g.ints([1])]);
  const from = g.op('Sub', [length, g.ints([1])]);
  const padded = g.op('Pad', [x, g.ints([0, 0, 0, 0, 0, 0, 0, 1])]);
  const flat = g.op('Reshape', [padded, g.ints([0, 0, -1])]);
  const used = g.op('Slice', [flat, from, g.op('Add', [from, g.op('Mul', [length, columns])]), g.ints([2])]);
  const shape = g.op('Concat', [g.ints([0, 0]), length, columns], { axis: 0 });
  return g.op('Slice', [g.op('Reshape', [used, shape]), g.ints([0]), length, g.ints([3])]);
}
