/** Formats that the units of a decoder may have beside each other, and what each costs in bytes and in error. */
import { type BlockFormat, blockSizes, dequantise, quantiseBlocks } from '@shoal/importer';
import type { Product } from './observed.js';

/** By dtype, the smallest first. */
export const FORMATS: Readonly<Record<string, BlockFormat>> = {
  'int4-b256': { bits: 4, block: 256, symmetric: true },
  'int4-b128': { bits: 4, block: 128, symmetric: true },
  'int4-b64': { bits: 4, block: 64, symmetric: true },
  int4: { bits: 4, block: 32, symmetric: true },
  'int8-b128': { bits: 8, block: 128, symmetric: true },
  int8: { bits: 8, block: 32, symmetric: true },
};

/** Rows of a matrix that stand for all of them. */
const ROWS = 64;

export function bytesOf({ weight: { rows, columns } }: Product, format: BlockFormat): number {
  const { data, scales, zeroPoints } = blockSizes(rows, columns, format);
  return data + scales + zeroPoints;
}

/** Squared error of some rows of a matrix, each input's by what it counts; comparable between formats of one matrix. */
export function errorOf({ weight }: Product, format: BlockFormat, importance: Float32Array | undefined): number {
  const { columns } = weight;
  const rows = Math.min(ROWS, weight.rows);
  const step = Math.floor(weight.rows / rows);
  const values = weight.pickRows(rows, (row) => row * step).read();
  const { data, scales } = quantiseBlocks(values, rows, columns, format, { importance });
  const rounded = dequantise({ rows, columns, format, data: () => data, scales: () => scales });
  let sum = 0;
  for (let at = 0; at < values.length; at++) {
    sum += (importance?.[at % columns] ?? 1) * (values[at]! - rounded[at]!) ** 2;
  }
  return sum;
}
