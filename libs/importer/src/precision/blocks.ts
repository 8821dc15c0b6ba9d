/**
 * Weights as blocks of 4- or 8-bit integers (`MatMulNBits`, `GatherBlockQuantized`); everything else stays in 32-bit floats.
 * At accuracy level 4 activations are rounded to 8 bits too, in blocks, so that products are sums of integers.
 */
import { dataOf, lazyData } from '@shoal/onnx';
import type { Matrix } from '../matrix.js';
import { type AccuracyLevel, type BlockData, gatherBlocks, multiplyBlocks } from './block-operators.js';
import { type BlockFormat, type Blocks, blockSizes, quantiseBlocks, type Weighing } from './quantise-blocks.js';
import type { Precision, Tuning } from './types.js';

export interface BlockOptions extends BlockFormat {
  readonly name: string;
  /** What MatMulNBits computes in. 8-bit weights take 4 in any case. */
  readonly accuracyLevel: AccuracyLevel;
  /** Bits of the embedding and of the head that it may be tied to. */
  readonly headBits: 4 | 8;
}

type BlockTuning = Pick<Tuning, 'importance' | 'feedback' | 'remember'>;

export function blockWeights(
  { name, accuracyLevel, headBits, ...format }: BlockOptions,
  tuning: BlockTuning = {},
): Precision {
  const inner = quantiser(format, tuning);
  const outer = quantiser({ ...format, bits: headBits }, tuning);
  return {
    name,

    linear(g, x, name, weight, bias) {
      const b = bias === undefined ? '' : g.constant(`${name}.bias`, 'float32', [bias.length], dataOf(bias));
      return multiplyBlocks(g, x, name, inner(name, weight), { bias: b, accuracyLevel });
    },

    embedding: (g, ids, name, table) => gatherBlocks(g, ids, name, outer(name, table)),

    head: (g, x, name, weight) => multiplyBlocks(g, x, name, outer(name, weight), { bias: '', accuracyLevel }),
  };
}

/** Rounds weights to `format`: to the same data each time that one is asked for. */
function quantiser(
  format: BlockFormat,
  { importance, feedback, remember = false }: BlockTuning,
): (name: string, weight: Matrix) => BlockData {
  const known = new Map<Matrix | string, BlockData>();
  return (name, weight) => {
    const key = remember ? name : weight;
    const weigh = (): Weighing => ({ importance: importance?.(name), feedback: feedback?.(name) });
    const data = known.get(key) ?? quantised(weight, format, weigh, remember);
    known.set(key, data);
    return data;
  };
}

/** All parts come from one pass over the weight: what is not asked for yet waits, the integers do not unless they are remembered. */
function quantised(weight: Matrix, format: BlockFormat, weigh: () => Weighing, remember: boolean): BlockData {
  const { rows, columns } = weight;
  const sizes = blockSizes(rows, columns, format);
  const waiting: Partial<Record<keyof Blocks, ArrayBufferView>> = {};
  const take = (part: keyof Blocks) => {
    const there = waiting[part];
    if (!remember) delete waiting[part];
    if (there !== undefined) return there;
    const { data, scales, zeroPoints } = quantiseBlocks(weight.read(), rows, columns, format, weigh());
    Object.assign(waiting, { data, scales, zeroPoints });
    if (!remember) Object.assign(waiting, { data: undefined, [part]: undefined });
    return { data, scales, zeroPoints }[part]!;
  };
  return {
    ...{ rows, columns, format },
    data: lazyData(sizes.data, () => take('data')),
    scales: lazyData(sizes.scales, () => take('scales')),
    zeroPoints: format.symmetric ? undefined : lazyData(sizes.zeroPoints, () => take('zeroPoints')),
  };
}
