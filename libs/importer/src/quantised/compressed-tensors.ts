/**
 * compressed-tensors, as llm-compressor and vLLM store it. A layer has one of:
 *
 *   weight_packed      int32 [outputs, inputs · bits / 32], the first of neighbours in the lowest bits, half the range added
 *   weight_shape       int64 [2]
 *   weight             int8 or float8 (e4m3) [outputs, inputs]
 *
 * and weight_scale [outputs, groups] (or one number), weight_zero_point where it is not symmetric, and weight_g_idx, the group of
 * each input, where those were ordered. Zero points of 4 bits are packed along the outputs. What it says of activations is left
 * aside: they stay floats.
 */
import { z } from 'zod';
import { invalid } from '../invalid.js';
import { Matrix, type StoredMatrix } from '../matrix.js';
import { finite, finiteFloats } from '../numbers.js';
import type { StoredTensor } from '../safetensors.js';
import { FLOAT8_E4M3 } from './float8.js';
import { matrixOfGroups } from './groups.js';
import { originOf } from './origin.js';
import { REMEDY } from './remedy.js';
import { indexOf, type Parts, wordsOf } from './tensors.js';

const FORMATS = ['pack-quantized', 'int-quantized', 'float-quantized', 'naive-quantized', 'dense'] as const;
const format = z
  .enum(FORMATS, {
    error: ({ input }) =>
      `${JSON.stringify(input)?.slice(0, 60)} is not supported, only ${FORMATS.join(', ')}: ${REMEDY}`,
  })
  .nullish();

const Weights = z.object({
  num_bits: z.literal([4, 8], {
    error: ({ input }) => `${JSON.stringify(input)} is not supported, only 4 or 8: ${REMEDY}`,
  }),
  type: z.enum(['int', 'float']).default('int'),
  strategy: z
    .enum(['tensor', 'channel', 'group'], {
      error: ({ input }) =>
        `${JSON.stringify(input)?.slice(0, 60)} is not supported, only tensor, channel and group: ${REMEDY}`,
    })
    .nullish(),
});

export const CompressedFields = z.object({
  format,
  quantization_status: z.literal('compressed', { error: () => `only "compressed" is supported: ${REMEDY}` }).nullish(),
  config_groups: z.record(z.string(), z.object({ format, weights: Weights.nullish() })),
});

export const COMPRESSED_MARK = 'weight_scale';
export const COMPRESSED_PARTS = [
  ...['weight', 'weight_packed', 'weight_shape', COMPRESSED_MARK, 'weight_zero_point', 'weight_g_idx'],
];

/** @throws ShoalError `model_invalid` naming the tensor that is missing or does not fit */
export function compressedMatrix(parts: Parts): StoredMatrix {
  const packed = parts.find('weight_packed') !== undefined;
  return packed ? packedMatrix(parts) : plainMatrix(parts);
}

/** A number for each weight, in a byte. */
function plainMatrix(parts: Parts): StoredMatrix {
  const weight = parts.matrix('weight', 'I8', 'F8_E4M3');
  const { rows, columns, type } = weight;
  const groups = groupsOf(parts, rows, columns);
  if (type === 'I8') return integers(parts, { rows, columns, bits: 8, groups }, () => unsigned(weight.data.bytes()));
  const group = columns / groups;
  const read = () => {
    const scales = scalesOf(parts, rows, groups);
    const values = new Float32Array(rows * columns);
    for (const [at, byte] of weight.data.bytes().entries()) {
      const row = Math.floor(at / columns);
      values[at] = FLOAT8_E4M3[byte]! * scales[row * groups + Math.floor((at % columns) / group)]!;
    }
    return finite(values, `${parts.name}.weight`);
  };
  return { shape: [rows, columns], matrix: new Matrix(rows, columns, read), origin: 'compressed-tensors float8' };
}

function packedMatrix(parts: Parts): StoredMatrix {
  const packed = parts.matrix('weight_packed', 'I32');
  const { rows } = packed;
  const columns = columnsOf(parts, rows);
  const each = columns / packed.columns;
  if (each !== 4 && each !== 8) throw parts.shaped('weight_packed', packed.shape);
  const groups = groupsOf(parts, rows, columns);
  return integers(parts, { rows, columns, bits: each === 8 ? 4 : 8, groups }, () => packed.data.bytes());
}

interface Shape {
  readonly rows: number;
  readonly columns: number;
  readonly bits: 4 | 8;
  readonly groups: number;
}

function integers(parts: Parts, { rows, columns, bits, groups }: Shape, levels: () => Uint8Array): StoredMatrix {
  const group = columns / groups;
  const groupOf = indexOf(parts, 'weight_g_idx', columns, groups);
  const zeros = parts.find('weight_zero_point');
  if (zeros !== undefined) checkZeros(parts, zeros, { rows, columns, bits, groups });
  const matrix = matrixOfGroups({
    ...{ rows, columns, bits, group, levels },
    ...(groupOf && { groupOf }),
    scales: () => scalesOf(parts, rows, groups),
    ...(zeros && { zeros: () => (zeros.type === 'I32' ? unpacked(zeros, rows, groups, bits) : offset(zeros, bits)) }),
  });
  return { shape: [rows, columns], matrix, origin: originOf('compressed-tensors', matrix, bits, group, columns) };
}

/** What the packed rows held before they were. */
function columnsOf(parts: Parts, rows: number): number {
  const shape = parts.find('weight_shape');
  if (shape?.type !== 'I64' || shape.shape.length !== 1 || shape.shape[0] !== 2) {
    throw invalid(`${parts.name}.weight_shape has to be there, with two numbers of type I64`);
  }
  const bytes = shape.data.bytes();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [stored, columns] = [Number(view.getBigInt64(0, true)), Number(view.getBigInt64(8, true))];
  if (stored !== rows || columns < 1) {
    throw invalid(`${parts.name}.weight_shape is ${stored} × ${columns}, which weight_packed does not fit`);
  }
  return columns;
}

/** How many scales a row has; one number stands for all rows. */
function groupsOf(parts: Parts, rows: number, columns: number): number {
  const { shape, type } = parts.find(COMPRESSED_MARK)!;
  if (!['F16', 'BF16', 'F32'].includes(type))
    throw invalid(`${parts.name}.weight_scale is of type ${type}: it has to be floats`);
  if (shape.every((dim) => dim === 1)) return 1;
  const [first, groups = 1] = shape;
  if (first !== rows || shape.length > 2 || groups < 1 || columns % groups !== 0)
    throw parts.shaped(COMPRESSED_MARK, shape);
  return groups;
}

function scalesOf(parts: Parts, rows: number, groups: number): Float32Array {
  const values = finiteFloats(parts.find(COMPRESSED_MARK)!, `${parts.name}.${COMPRESSED_MARK}`);
  return values.length === 1 ? new Float32Array(rows * groups).fill(values[0]!) : values;
}

function checkZeros(parts: Parts, { type, shape }: StoredTensor, { rows, bits, groups }: Shape): void {
  const stored = type === 'I32' ? Math.ceil((rows * bits) / 32) : rows;
  const [first, second = 1] = shape;
  if ((type !== 'I32' && type !== 'I8') || first !== stored || second !== groups || shape.length > 2) {
    throw parts.shaped('weight_zero_point', shape);
  }
}

/** int8 → uint8, where 128 stands for 0. */
function unsigned(signed: Uint8Array): Uint8Array {
  const levels = new Uint8Array(signed.length);
  for (let at = 0; at < levels.length; at++) levels[at] = signed[at]! ^ 0x80;
  return levels;
}

/** From numbers around 0 to those around the middle of the range. */
function offset({ data }: StoredTensor, bits: 4 | 8): Uint8Array {
  return data.bytes().map((zero) => (zero + 2 ** (bits - 1)) & (2 ** bits - 1));
}

/** Packed along the outputs → [outputs, groups]. */
function unpacked(zeros: StoredTensor, rows: number, groups: number, bits: 4 | 8): Uint8Array {
  const words = wordsOf(zeros);
  const each = 32 / bits;
  return Uint8Array.from({ length: rows * groups }, (_, at) => {
    const row = Math.floor(at / groups);
    const word = words[Math.floor(row / each) * groups + (at % groups)]!;
    return (word >>> (bits * (row % each))) & (2 ** bits - 1);
  });
}
