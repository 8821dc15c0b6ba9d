/**
 * AWQ in the layout `gemm`, as AutoAWQ stores it: 8 outputs of one input in a word, the even ones in its lower half.
 *
 *   qweight  int32   [inputs, outputs / 8]
 *   scales   float16 [groups, outputs]
 *   qzeros   int32   [groups, outputs / 8]
 */
import { z } from 'zod';
import type { StoredMatrix } from '../matrix.js';
import { finiteFloats } from '../numbers.js';
import { transposed } from '../transposed.js';
import { matrixOfGroups } from './groups.js';
import { originOf } from './origin.js';
import { REMEDY } from './remedy.js';
import { type Parts, wordsOf } from './tensors.js';

export const AwqFields = z.object({
  bits: z.literal(4, { error: ({ input }) => `${JSON.stringify(input)} is not supported, only 4: ${REMEDY}` }),
  group_size: z.union([z.literal(-1), z.int().min(1)]).default(128),
  version: z.preprocess(
    (value) => (typeof value === 'string' ? value.toLowerCase() : value),
    z.literal('gemm', {
      error: ({ input }) => `${JSON.stringify(input)?.slice(0, 60)} is not supported, only "gemm": ${REMEDY}`,
    }),
  ),
});

export type AwqSettings = z.output<typeof AwqFields>;

export const AWQ_MARK = 'qweight';
export const AWQ_PARTS = [AWQ_MARK, 'qzeros', 'scales'];

const BITS = 4;
const EACH = 8;
/** Which of 8 outputs stands in each 4 bits of a word, from the lowest on. */
const ORDER = [0, 2, 4, 6, 1, 3, 5, 7] as const;

/** @throws ShoalError `model_invalid` naming the tensor that is missing or does not fit */
export function awqMatrix(parts: Parts, settings: AwqSettings): StoredMatrix {
  const packed = parts.matrix('qweight', 'I32');
  const [inputs, outputs] = [packed.rows, packed.columns * EACH];
  const scales = parts.matrix('scales', 'F16', 'BF16', 'F32');
  const zeros = parts.matrix('qzeros', 'I32');
  const group = settings.group_size === -1 ? inputs : Math.min(settings.group_size, inputs);
  const groups = Math.ceil(inputs / group);
  if (inputs % 2 !== 0) throw parts.shaped('qweight', packed.shape);
  parts.expect('scales', scales.shape, [groups, outputs]);
  parts.expect('qzeros', zeros.shape, [groups, packed.columns]);
  const matrix = matrixOfGroups({
    ...{ rows: outputs, columns: inputs, bits: BITS, group },
    levels: () => pairs(byOutput(wordsOf(packed), inputs, packed.columns)),
    scales: () => transposed(finiteFloats(scales, `${parts.name}.scales`), groups, outputs),
    zeros: () => byOutput(wordsOf(zeros), groups, packed.columns),
  });
  return { shape: [outputs, inputs], matrix, origin: originOf('AWQ', matrix, BITS, group, inputs) };
}

/** [count, outputs / 8] words → [outputs, count], a byte each. */
function byOutput(words: Uint32Array, count: number, stride: number): Uint8Array {
  const bytes = new Uint8Array(words.length * EACH);
  for (let at = 0; at < stride; at++) {
    for (let n = 0; n < count; n++) {
      const word = words[n * stride + at]!;
      for (let slot = 0; slot < EACH; slot++) {
        bytes[(at * EACH + ORDER[slot]!) * count + n] = (word >>> (BITS * slot)) & 15;
      }
    }
  }
  return bytes;
}

/** Two neighbours in a byte, the first in its low half. */
function pairs(levels: Uint8Array): Uint8Array {
  const packed = new Uint8Array(levels.length / 2);
  for (let n = 0; n < packed.length; n++) packed[n] = levels[2 * n]! | (levels[2 * n + 1]! << 4);
  return packed;
}
