/**
 * What a head sees of a text: its tokens; its pairs of neighbours in buckets, so that it knows a little of their order; and its
 * first tokens once more, with weights of their own. Special tokens count as any others.
 */
import type { TextItem } from '@shoal/contracts';
import type { GraphBuilder, Value } from '@shoal/onnx';
import { type TokenRows, tokenRows } from '../linear/token-rows.js';
import type { TextInputs } from './table-graph.js';

/** A prime, so that every bit of both ids decides on the bucket. */
export const BUCKETS = 65_521;
const FACTOR = 40_503;

export interface FeatureSpace {
  readonly vocabulary: number;
  /** Of pairs; 0: there are none. */
  readonly buckets: number;
  /** Tokens that count once more; 0: none do. */
  readonly first: number;
}

/** Of a head that sees how a text begins. */
export const FIRST = 6;

export function featureCount({ vocabulary, buckets, first }: FeatureSpace): number {
  return vocabulary + buckets + (first > 0 ? vocabulary : 0);
}

/** A row is divided by the root of the text's length, so that long texts say more, but not in proportion. */
export function featureRows(items: readonly TextItem[], space: FeatureSpace): TokenRows {
  const rows = items.map(({ ids }) => ({
    features: featuresOf(ids, space),
    scale: 1 / Math.sqrt(Math.max(1, ids.length)),
  }));
  return tokenRows(rows, featureCount(space));
}

function featuresOf(ids: Uint32Array, { vocabulary, buckets, first }: FeatureSpace): Uint32Array {
  const pairs = buckets === 0 ? 0 : Math.max(0, ids.length - 1);
  const begin = Math.min(first, ids.length);
  const features = new Uint32Array(ids.length + pairs + begin);
  features.set(ids);
  for (let n = 0; n < pairs; n++) {
    // Below 2^53 for vocabularies of any size.
    features[ids.length + n] = vocabulary + ((ids[n]! * FACTOR + ids[n + 1]!) % buckets);
  }
  for (let n = 0; n < begin; n++) features[ids.length + pairs + n] = vocabulary + buckets + ids[n]!;
  return features;
}

/** The same in a graph: ids of features and where they count, both [batch, features]. */
export function featureInputs(
  g: GraphBuilder,
  { ids, mask }: TextInputs,
  { vocabulary, buckets, first }: FeatureSpace,
): TextInputs {
  const columns = g.ints([1]);
  const cut = (value: Value, from: number, to: number) => g.op('Slice', [value, g.ints([from]), g.ints([to]), columns]);
  const all = [{ ids, mask }];
  if (buckets > 0) {
    const mixed = g.op('Add', [g.op('Mul', [cut(ids, 0, -1), g.scalar(FACTOR, 'int64')]), cut(ids, 1, END)]);
    const pairs = g.op('Add', [g.op('Mod', [mixed, g.scalar(buckets, 'int64')]), g.scalar(vocabulary, 'int64')]);
    // Padding is behind the text: a pair counts where its second token does.
    all.push({ ids: pairs, mask: cut(mask, 1, END) });
  }
  if (first > 0) {
    const own = g.op('Add', [cut(ids, 0, first), g.scalar(vocabulary + buckets, 'int64')]);
    all.push({ ids: own, mask: cut(mask, 0, first) });
  }
  const [only] = all;
  if (all.length === 1 && only !== undefined) return only;
  const joined = (part: keyof TextInputs) =>
    g.op(
      'Concat',
      all.map((inputs) => inputs[part]),
      { axis: 1 },
    );
  return { ids: joined('ids'), mask: joined('mask') };
}

/** Behind the last column of any batch. */
const END = 2 ** 31;
