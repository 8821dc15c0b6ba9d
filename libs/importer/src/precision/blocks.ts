/**
 * Weights as blocks of 4- or 8-bit integers (`MatMulNBits`, `GatherBlockQuantized`); everything else stays in 32-bit floats.
 * At accuracy level 4 activations are rounded to 8 bits too, in blocks, so that products are sums of integers.
 */
import { dataOf, lazyData } from '@shoal/onnx';
import type { Matrix } from '../matrix.js';
import { type AccuracyLevel, type BlockData, gatherBlocks, multiplyBlocks } from './block-operators.js';
import { type BlockFormat, type Blocks, blockSizes, quantiseBlocks } from './quantise-blocks.js';
import type { Precision } from './types.js';

export interface BlockOptions extends BlockFormat {
  readonly name: string;
  /** What MatMulNBits computes in. 8-bit weights take 4 in any case. */
  readonly accuracyLevel: AccuracyLevel;
  /** Bits of the embedding and of the head that it may be tied to. */
  readonly headBits: 4 | 8;
}

export function blockWeights({ name, accuracyLevel, headBits, ...format }: BlockOptions): Precision {
  const inner = quantiser(format);
  const outer = quantiser({ ...format, bits: headBits });
  return {
    name,

    linear(g, x, name, weight, bias) {
      const b = bias === undefined ? '' : g.constant(`${name}.bias`, 'float32', [bias.length], dataOf(bias));
      return multiplyBlocks(g, x, name, inner(weight), { bias: b, accuracyLevel });
    },

    embedding: (g, ids, name, table) => gatherBlocks(g, ids, name, outer(table)),

    head: (g, x, name, weight) => multiplyBlocks(g, x, name, outer(weight), { bias: '', accuracyLevel }),
  };
}

/** Rounds weights to `format`: to the same data each time that one is asked for. */
function quantiser(format: BlockFormat): (weight: Matrix) => BlockData {
  const known = new Map<Matrix, BlockData>();
  return (weight) => {
    const data = known.get(weight) ?? quantised(weight, format);
    known.set(weight, data);
    return data;
  };
}

/** All parts come from one pass over the weight: what is not asked for yet waits, the integers do not. */
function quantised(weight: Matrix, format: BlockFormat): BlockData {
  const { rows, columns } = weight;
  const sizes = blockSizes(rows, columns, format);
  const waiting: Partial<Record<keyof Blocks, ArrayBufferView>> = {};
  const take = (part: keyof Blocks) => {
    const there = waiting[part];
    delete waiting[part];
    if (there !== undefined) return there;
    const { data, scales, zeroPoints } = quantiseBlocks(weight.read(), rows, columns, format);
    Object.assign(waiting, { data: undefined, scales, zeroPoints, [part]: undefined });
    return { data, scales, zeroPoints }[part]!;
  };
  return {
    ...{ rows, columns, format },
    data: lazyData(sizes.data, () => take('data')),
    scales: lazyData(sizes.scales, () => take('scales')),
    zeroPoints: format.symmetric ? undefined : lazyData(sizes.zeroPoints, () => take('zeroPoints')),
  };
}
