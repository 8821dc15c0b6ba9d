/**
 * Weights as blocks of 4- or 8-bit integers (`MatMulNBits`, `GatherBlockQuantized`); everything else stays in 32-bit floats.
 * At accuracy level 4 activations are rounded to 8 bits too, in blocks, so that products are sums of integers.
 */
import { dataOf, type GraphBuilder, lazyData, type TensorData, type Value } from '@shoal/onnx';
import type { Matrix } from '../matrix.js';
import { type BlockFormat, type Blocks, blockSizes, blocksPerRow, quantiseBlocks } from './quantise-blocks.js';
import type { Precision } from './types.js';

export interface BlockOptions extends BlockFormat {
  readonly name: string;
  /** What MatMulNBits computes in: 0 floats, 4 8-bit integers. 8-bit weights take 4 in any case. */
  readonly accuracyLevel: 0 | 4;
  /** Bits of the embedding and of the head that it may be tied to. */
  readonly headBits: 4 | 8;
}

export function blockWeights({ name, accuracyLevel, headBits, ...format }: BlockOptions): Precision {
  const inner = storage(format);
  const outer = storage({ ...format, bits: headBits });

  const multiply = (g: GraphBuilder, store: Store, x: Value, name: string, weight: Matrix, bias: Value): Value => {
    const { data, scales, zeroPoints, format } = store(g, name, weight);
    const inputs = [x, data, scales, zeroPoints, '', bias];
    const attributes = {
      K: weight.columns,
      N: weight.rows,
      bits: format.bits,
      block_size: format.block,
      // There is no kernel for 8 bits beside floats: the weight would be unpacked again in each pass.
      accuracy_level: format.bits === 8 ? 4 : accuracyLevel,
    };
    return g.contrib('MatMulNBits', inputs, 1, attributes)[0]!;
  };

  return {
    name,

    linear(g, x, name, weight, bias) {
      const b = bias === undefined ? '' : g.constant(`${name}.bias`, 'float32', [bias.length], dataOf(bias));
      return multiply(g, inner, x, name, weight, b);
    },

    embedding(g, ids, name, table) {
      const { data, scales, zeroPoints, format } = outer(g, name, table);
      const attributes = { bits: format.bits, block_size: format.block, gather_axis: 0, quantize_axis: 1 };
      // Done once, when the model is loaded.
      const flat = g.op('Reshape', [data, g.ints([table.rows, -1])]);
      const [rows = ''] = g.contrib('GatherBlockQuantized', [flat, ids, scales, zeroPoints], 1, attributes);
      if (table.columns % format.block === 0) return rows;
      return g.op('Slice', [rows, g.ints([0]), g.ints([table.columns]), g.ints([-1])]);
    },

    head: (g, x, name, weight) => multiply(g, outer, x, name, weight, ''),
  };
}

interface Stored {
  readonly data: Value;
  readonly scales: Value;
  readonly zeroPoints: Value;
  readonly format: BlockFormat;
}

type Store = (g: GraphBuilder, name: string, weight: Matrix) => Stored;

/** Constants of a weight in `format`: the same ones each time that the weight is asked for. */
function storage(format: BlockFormat): Store {
  const known = new Map<Matrix, Parts>();
  return (g, name, weight) => {
    const parts = known.get(weight) ?? quantised(weight, format);
    known.set(weight, parts);
    const blocks = blocksPerRow(weight.columns, format);
    const sizes = blockSizes(weight.rows, weight.columns, format);
    const { rows } = weight;
    return {
      data: g.constant(`${name}.int${format.bits}`, 'uint8', [rows, blocks, sizes.data / rows / blocks], parts.data),
      scales: g.constant(`${name}.scales`, 'float32', [rows, blocks], parts.scales),
      zeroPoints:
        parts.zeroPoints === undefined
          ? ''
          : g.constant(`${name}.zero_points`, 'uint8', [rows, sizes.zeroPoints / rows], parts.zeroPoints),
      format,
    };
  };
}

interface Parts {
  readonly data: TensorData;
  readonly scales: TensorData;
  readonly zeroPoints: TensorData | undefined;
}

/** All parts come from one pass over the weight: what is not asked for yet waits, the integers do not. */
function quantised(weight: Matrix, format: BlockFormat): Parts {
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
    data: lazyData(sizes.data, () => take('data')),
    scales: lazyData(sizes.scales, () => take('scales')),
    zeroPoints: format.symmetric ? undefined : lazyData(sizes.zeroPoints, () => take('zeroPoints')),
  };
}
