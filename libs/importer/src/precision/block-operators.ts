/** The operators that multiply by blocks of integers and look rows of them up, of ONNX Runtime's own domain. */
import { type GraphBuilder, lazyData, type TensorData, type Value } from '@shoal/onnx';
import type { KeptBlocks } from '../kept-blocks.js';
import { type BlockFormat, blockSizes, blocksPerRow } from './quantise-blocks.js';

/** A matrix [rows, columns] as `Blocks` has it, made when it is written. The same data each time that it is used. */
export interface BlockData {
  readonly rows: number;
  readonly columns: number;
  readonly format: BlockFormat;
  readonly data: TensorData;
  readonly scales: TensorData;
  /** Undefined where the format is symmetric. */
  readonly zeroPoints: TensorData | undefined;
}

/** 0: in floats; 4: activations are rounded to 8 bits in blocks, so that products are sums of integers. */
export type AccuracyLevel = 0 | 4;

export function blockDataOf(kept: KeptBlocks): BlockData {
  const { rows, columns, format } = kept;
  const sizes = blockSizes(rows, columns, format);
  return {
    ...{ rows, columns, format },
    data: lazyData(sizes.data, () => kept.data()),
    scales: lazyData(sizes.scales, () => kept.scales()),
    zeroPoints: format.symmetric ? undefined : lazyData(sizes.zeroPoints, () => kept.zeroPoints!()),
  };
}

/** x [..., columns] · weightᵀ + bias → [..., rows] by MatMulNBits; `bias` '' for none. `name` is that of the weight. */
export function multiplyBlocks(
  g: GraphBuilder,
  x: Value,
  name: string,
  weight: BlockData,
  { bias, accuracyLevel }: { readonly bias: Value; readonly accuracyLevel: AccuracyLevel },
): Value {
  const { rows, columns, format } = weight;
  const { data, scales, zeroPoints } = constants(g, name, weight);
  const attributes = {
    K: columns,
    N: rows,
    bits: format.bits,
    block_size: format.block,
    // There is no kernel for 8 bits beside floats: the weight would be unpacked again in each pass.
    accuracy_level: format.bits === 8 ? 4 : accuracyLevel,
  };
  return g.contrib('MatMulNBits', [x, data, scales, zeroPoints, '', bias], 1, attributes)[0]!;
}

/** Rows of `table` by `ids` [...] → [..., columns], by GatherBlockQuantized. */
export function gatherBlocks(g: GraphBuilder, ids: Value, name: string, table: BlockData): Value {
  const { rows: count, columns, format } = table;
  const { data, scales, zeroPoints } = constants(g, name, table);
  const attributes = { bits: format.bits, block_size: format.block, gather_axis: 0, quantize_axis: 1 };
  // Done once, when the model is loaded.
  const flat = g.op('Reshape', [data, g.ints([count, -1])]);
  const [rows = ''] = g.contrib('GatherBlockQuantized', [flat, ids, scales, zeroPoints], 1, attributes);
  if (columns % format.block === 0) return rows;
  return g.op('Slice', [rows, g.ints([0]), g.ints([columns]), g.ints([-1])]);
}

function constants(g: GraphBuilder, name: string, { rows, columns, format, data, scales, zeroPoints }: BlockData) {
  const blocks = blocksPerRow(columns, format);
  const sizes = blockSizes(rows, columns, format);
  return {
    data: g.constant(`${name}.int${format.bits}`, 'uint8', [rows, blocks, sizes.data / rows / blocks], data),
    scales: g.constant(`${name}.scales`, 'float32', [rows, blocks], scales),
    zeroPoints:
      zeroPoints === undefined
        ? ''
        : g.constant(`${name}.zero_points`, 'uint8', [rows, sizes.zeroPoints / rows], zeroPoints),
  };
}
