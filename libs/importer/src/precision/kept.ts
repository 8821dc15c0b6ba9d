/** Matrices that came as integers in blocks multiply as such: their bits are those of the checkpoint, not rounded again. */
import { dataOf, type GraphBuilder, type Value } from '@shoal/onnx';
import type { KeptBlocks } from '../kept-blocks.js';
import type { Matrix } from '../matrix.js';
import { type AccuracyLevel, type BlockData, blockDataOf, gatherBlocks, multiplyBlocks } from './block-operators.js';
import type { Precision } from './types.js';

export interface KeepOptions {
  /** More of them are rounded by the precision below. */
  readonly bits: 4 | 8;
  readonly accuracyLevel: AccuracyLevel;
}

/** `base`, but for matrices that came with no more than `bits` bits. */
export function keepBlocks(base: Precision, { bits, accuracyLevel }: KeepOptions): Precision {
  const known = new Map<Matrix, BlockData>();
  const keptOf = ({ kept }: Matrix) => (kept !== undefined && kept.format.bits <= bits ? kept : undefined);
  const dataOfBlocks = (weight: Matrix, kept: KeptBlocks) => {
    const data = known.get(weight) ?? blockDataOf(kept);
    known.set(weight, data);
    return data;
  };

  const multiply = (g: GraphBuilder, x: Value, name: string, weight: Matrix, kept: KeptBlocks, bias: Value): Value => {
    const { order } = kept;
    const indices = order && g.constant(`${name}.order`, 'int32', [order.length], dataOf(order));
    const ordered = indices === undefined ? x : g.op('Gather', [x, indices], { axis: -1 });
    return multiplyBlocks(g, ordered, name, dataOfBlocks(weight, kept), { bias, accuracyLevel });
  };

  return {
    ...base,

    keeps: (weight) => keptOf(weight) !== undefined,

    linear(g, x, name, weight, bias) {
      const kept = keptOf(weight);
      if (kept === undefined) return base.linear(g, x, name, weight, bias);
      const b = bias === undefined ? '' : g.constant(`${name}.bias`, 'float32', [bias.length], dataOf(bias));
      return multiply(g, x, name, weight, kept, b);
    },

    embedding(g, ids, name, table) {
      const kept = keptOf(table);
      if (kept === undefined || kept.order !== undefined) return base.embedding(g, ids, name, table);
      return gatherBlocks(g, ids, name, dataOfBlocks(table, kept));
    },

    head(g, x, name, weight) {
      const kept = keptOf(weight);
      return kept === undefined ? base.head(g, x, name, weight) : multiply(g, x, name, weight, kept, '');
    },
  };
}
