/** From the tensors of a quantised checkpoint to its matrices, under the names that they had before they were quantised. */
import { z } from 'zod';
import { readConfig } from '../config-fields.js';
import { invalid } from '../invalid.js';
import type { StoredMatrix } from '../matrix.js';
import { toFloat32 } from '../numbers.js';
import type { StoredTensor } from '../safetensors.js';
import { AWQ_MARK, AWQ_PARTS, AwqFields, awqMatrix } from './awq.js';
import { COMPRESSED_MARK, COMPRESSED_PARTS, CompressedFields, compressedMatrix } from './compressed-tensors.js';
import { GPTQ_MARK, GPTQ_PARTS, GptqFields, gptqMatrix } from './gptq.js';
import { REMEDY } from './remedy.js';
import { Parts } from './tensors.js';

export interface ReadTensors {
  readonly tensors: ReadonlyMap<string, StoredTensor | StoredMatrix>;
  /** Those that change nothing where an architecture does not ask for them. */
  readonly spare: ReadonlySet<string>;
}

/** A way to quantise. */
interface Method {
  /** Below the name of a layer: that it is quantised, and the tensors that its matrix is made of. */
  readonly mark: string;
  readonly parts: readonly string[];
  matrix(parts: Parts): StoredMatrix;
}

const FIELD = 'quantization_config';

/** By `quant_method`: checks the settings, all of which are refused but those that are understood. */
const METHODS: Readonly<Record<string, (config: unknown) => Method>> = {
  gptq(config) {
    const { [FIELD]: settings } = readConfig(z.object({ [FIELD]: GptqFields }), config);
    return { mark: GPTQ_MARK, parts: GPTQ_PARTS, matrix: (parts) => gptqMatrix(parts, settings) };
  },
  awq(config) {
    const { [FIELD]: settings } = readConfig(z.object({ [FIELD]: AwqFields }), config);
    return { mark: AWQ_MARK, parts: AWQ_PARTS, matrix: (parts) => awqMatrix(parts, settings) };
  },
  'compressed-tensors'(config) {
    readConfig(z.object({ [FIELD]: CompressedFields }), config);
    return { mark: COMPRESSED_MARK, parts: COMPRESSED_PARTS, matrix: compressedMatrix };
  },
};

/** What else there is, and what to do with it. */
const REMEDIES: Readonly<Record<string, string>> = {
  bitsandbytes:
    'save it without (model.dequantize(), then model.save_pretrained) and import that with --dtype int4 or int8',
  fp8: 'import the model that it was made from, or a GPTQ, AWQ or compressed-tensors form of it',
};

const Named = z.object({ [FIELD]: z.looseObject({ quant_method: z.string().optional() }).nullish() });

/** Scales of activations and of caches, which stay floats here. */
const ACTIVATIONS = /\.((input|output|k|v|q)_(scale|zero_point|global_scale))$/;

/**
 * `config` is config.json. Without a quantization_config everything stays as it is.
 *
 * @throws ShoalError `model_invalid` naming the field that is not supported, with what to do, or the tensor that does not fit
 */
export function readQuantised(stored: ReadonlyMap<string, StoredTensor>, config: unknown): ReadTensors {
  const method = methodOf(config);
  if (method === undefined) {
    const packed = [...stored.keys()].find((name) => /\.(qweight|weight_packed)$/.test(name));
    if (packed === undefined) return { tensors: stored, spare: new Set() };
    throw invalid(
      `${packed} is quantised, but config.json has no ${FIELD}: take it from the tool that quantised the model`,
    );
  }
  const tensors = new Map<string, StoredTensor | StoredMatrix>(stored);
  const spare = new Set([...stored.keys()].filter((name) => ACTIVATIONS.test(name)));
  for (const marked of stored.keys()) {
    if (!marked.endsWith(`.${method.mark}`)) continue;
    const name = marked.slice(0, -method.mark.length - 1);
    for (const part of method.parts) tensors.delete(`${name}.${part}`);
    tensors.set(`${name}.weight`, method.matrix(new Parts(name, stored)));
    // Some tools store biases of zeros for layers that have none.
    const bias = stored.get(`${name}.bias`);
    if (bias && toFloat32(bias)?.every((value) => value === 0)) spare.add(`${name}.bias`);
  }
  return { tensors, spare };
}

function methodOf(config: unknown): Method | undefined {
  const named = Named.safeParse(config ?? {});
  if (!named.success) throw invalid(`config.json: ${FIELD} has to be an object with a quant_method`);
  const settings = named.data[FIELD];
  if (settings == null || Object.keys(settings).length === 0) return undefined;
  const name = settings.quant_method ?? '';
  if (Object.hasOwn(METHODS, name)) return METHODS[name]!(config);
  const remedy = Object.hasOwn(REMEDIES, name) ? REMEDIES[name] : REMEDY;
  throw invalid(
    `config.json: ${FIELD}.quant_method: ${JSON.stringify(name.slice(0, 60))} is not supported, only ${Object.keys(METHODS).join(', ')}: ${remedy}`,
  );
}
