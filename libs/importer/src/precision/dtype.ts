/** What `--dtype` can say. A dtype is also the name of the variant that it makes, so that a caller sees what answers. */
import { ShoalError } from '@shoal/contracts';
import { blockWeights } from './blocks.js';
import { float16 } from './float16.js';
import { float32 } from './float32.js';
import { keepBlocks } from './kept.js';
import { BLOCK_LENGTHS, type BlockFormat } from './quantise-blocks.js';
import { rowInt8 } from './rows.js';
import type { Precision, Tuning } from './types.js';

/** The dtype of checkpoints that are quantised already: what was rounded stays as it is, and nothing else is rounded. */
export const KEPT = 'kept';

/** Decoders read each weight for one token at a time, encoders for many: they gain from different formats. */
export type GraphKind = 'decoder' | 'encoder';

const GRAMMAR =
  'fp32, fp16, int8, int4 or kept (the bits that a quantised checkpoint came in); int8 and int4 may go on with -b16, -b32, -b64, ' +
  '-b128 or -b256 (weights that share a scale), -asym (a zero point for each block), -h8 (8 bits for embedding and head), int4 and ' +
  'kept with -l0 (activations stay floats): int4-b128, int4-b32-asym';

interface Options {
  block?: BlockFormat['block'];
  asymmetric?: boolean;
  headBits?: 8;
  level?: 0;
}

/**
 * The precision that a dtype names, for example `int4-b128-asym`. Without options int8 is blocks of 32 for decoders and
 * DynamicQuantizeMatMul for encoders, int4 blocks of 32. Matrices that came in blocks of as many bits, or fewer, stay as they are;
 * fp32 and fp16 make floats of them. `tuning` is taken by the formats that it is about.
 *
 * @throws ShoalError `invalid_request` with what can be said
 */
export function precisionOf(dtype: string, kind: GraphKind, tuning: Tuning = {}): Precision {
  const [base, ...parts] = dtype.split('-');
  if (base === 'fp32' && parts.length === 0) return float32;
  if (base === 'fp16' && parts.length === 0) return float16;
  if (base !== KEPT && base !== 'int8' && base !== 'int4') throw unknown(dtype);
  const options = readOptions(dtype, parts);
  const accuracyLevel = options.level ?? 4;
  if (base === KEPT) {
    if (Object.keys(options).some((option) => option !== 'level')) throw unknown(dtype);
    return keepBlocks({ ...float32, name: nameOf(KEPT, options) }, { bits: 8, accuracyLevel });
  }
  if (base === 'int8' && options.level === 0) throw slow(dtype);
  if (base === 'int8' && kind === 'encoder' && parts.length === 0) return rowInt8(base, tuning);
  const bits = base === 'int8' ? 8 : 4;
  const rounded = blockWeights(
    {
      name: nameOf(base, options),
      bits,
      headBits: options.headBits ?? bits,
      block: options.block ?? 32,
      symmetric: options.asymmetric !== true,
      accuracyLevel,
    },
    tuning,
  );
  return keepBlocks(rounded, { bits, accuracyLevel });
}

function readOptions(dtype: string, parts: readonly string[]): Options {
  const options: Options = {};
  for (const part of parts) {
    const block = BLOCK_LENGTHS.find((size) => part === `b${size}`);
    if (block !== undefined && options.block === undefined) options.block = block;
    else if (part === 'asym' && options.asymmetric === undefined) options.asymmetric = true;
    else if (part === 'h8' && options.headBits === undefined) options.headBits = 8;
    else if (part === 'l0' && options.level === undefined) options.level = 0;
    else throw unknown(dtype);
  }
  return options;
}

/** The same options in one order, so that one variant has one name. */
function nameOf(base: string, { block, asymmetric, headBits, level }: Options): string {
  const parts = [base, block && `b${block}`, asymmetric && 'asym', headBits && 'h8', level !== undefined && 'l0'];
  return parts.filter(Boolean).join('-');
}

/** ONNX Runtime has no kernel for 8-bit weights beside floats: it unpacks the whole weight again in each pass. */
function slow(dtype: string): ShoalError {
  return new ShoalError(
    'invalid_request',
    `--dtype ${dtype} would be many times slower than fp32: take int8, fp32 or int4-l0`,
  );
}

function unknown(dtype: string): ShoalError {
  return new ShoalError('invalid_request', `--dtype ${JSON.stringify(dtype.slice(0, 40))} is not one of: ${GRAMMAR}`);
}
