/**
 * GPTQ, as AutoGPTQ and GPTQModel store it. 32 / bits inputs of one output are packed in a word, the first in the lowest bits:
 *
 *   qweight  int32   [inputs · bits / 32, outputs]
 *   scales   float16 [groups, outputs]
 *   qzeros   int32   [groups, outputs · bits / 32], packed along the outputs; one less in the format `gptq`
 *   g_idx    int32   [inputs], the group of each input: with desc_act they were quantised in the order of their importance
 */
import { z } from 'zod';
import { only } from '../config-fields.js';
import { invalid } from '../invalid.js';
import type { StoredMatrix } from '../matrix.js';
import { finiteFloats } from '../numbers.js';
import { transposed } from '../transposed.js';
import { matrixOfGroups } from './groups.js';
import { originOf } from './origin.js';
import { REMEDY } from './remedy.js';
import { indexOf, type Parts, wordsOf } from './tensors.js';

export const GptqFields = z.object({
  bits: z.literal([4, 8], {
    error: ({ input }) => `${JSON.stringify(input)} is not supported, only 4 or 8: ${REMEDY}`,
  }),
  group_size: z.union([z.literal(-1), z.int().min(1)]).default(128),
  checkpoint_format: z
    .enum(['gptq', 'gptq_v2'], {
      error: ({ input }) =>
        `${JSON.stringify(input)?.slice(0, 60)} is not supported, only "gptq" or "gptq_v2": ${REMEDY}`,
    })
    .nullish(),
  is_marlin_format: only(false),
});

export type GptqSettings = z.output<typeof GptqFields>;

/** The tensor that says that a layer is quantised. */
export const GPTQ_MARK = 'qweight';
export const GPTQ_PARTS = [GPTQ_MARK, 'qzeros', 'scales', 'g_idx'];

/** @throws ShoalError `model_invalid` naming the tensor that is missing or does not fit */
export function gptqMatrix(parts: Parts, settings: GptqSettings): StoredMatrix {
  const { bits } = settings;
  const each = 32 / bits;
  const packed = parts.matrix('qweight', 'I32');
  const [inputs, outputs] = [packed.rows * each, packed.columns];
  const scales = parts.matrix('scales', 'F16', 'BF16', 'F32');
  const zeros = parts.matrix('qzeros', 'I32');
  const group = settings.group_size === -1 ? inputs : Math.min(settings.group_size, inputs);
  const groups = Math.ceil(inputs / group);
  parts.expect('scales', scales.shape, [groups, outputs]);
  parts.expect('qzeros', zeros.shape, [groups, Math.ceil(outputs / each)]);
  const groupOf = indexOf(parts, 'g_idx', inputs, groups);
  const added = settings.checkpoint_format === 'gptq_v2' ? 0 : 1;
  const matrix = matrixOfGroups({
    ...{ rows: outputs, columns: inputs, bits, group },
    ...(groupOf && { groupOf }),
    // The words of one output, one behind the other, are the bytes that MatMulNBits reads.
    levels: () => new Uint8Array(transposed(wordsOf(packed), packed.rows, outputs).buffer),
    scales: () => transposed(finiteFloats(scales, `${parts.name}.scales`), groups, outputs),
    zeros: () => zerosOf(parts, wordsOf(zeros), { groups, outputs, bits, added }),
  });
  return { shape: [outputs, inputs], matrix, origin: originOf('GPTQ', matrix, bits, group, inputs) };
}

interface ZeroLayout {
  readonly groups: number;
  readonly outputs: number;
  readonly bits: 4 | 8;
  /** 1 where one less is stored. */
  readonly added: number;
}

/** [outputs, groups], a byte each. */
function zerosOf(parts: Parts, words: Uint32Array, { groups, outputs, bits, added }: ZeroLayout): Uint8Array {
  const each = 32 / bits;
  const stride = Math.ceil(outputs / each);
  const top = 2 ** bits - 1;
  const zeros = new Uint8Array(outputs * groups);
  for (let group = 0; group < groups; group++) {
    for (let output = 0; output < outputs; output++) {
      const word = words[group * stride + Math.floor(output / each)]!;
      const zero = ((word >>> (bits * (output % each))) & top) + added;
      if (zero > top) {
        throw invalid(
          `${parts.name}.qzeros holds the zero point ${zero}, which does not fit into ${bits} bits: quantise the model in the format gptq_v2`,
        );
      }
      zeros[output * groups + group] = zero;
    }
  }
  return zeros;
}
