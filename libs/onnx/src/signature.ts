/** What an ONNX file says about itself, read without its weights. */
import { invalid } from './invalid.js';
import { readFile } from './load.js';
import { skimModel } from './skim.js';
import type { ValueInfo } from './types.js';

/** Inputs that a caller has to give, or outputs: decoders have two for each layer, tables one for each column. */
const MAX_VALUES = 10_000;

/** One input or output of a graph. */
export interface OnnxValue {
  readonly name: string;
  /** `float32`, `int64`, ...; `sequence`, `map`, `optional` or `sparse` for what is not a tensor. */
  readonly type: string;
  /** A string is a symbolic dimension (`?` where it has no name); null where the file does not give the rank. */
  readonly shape: readonly (number | string)[] | null;
}

export interface OnnxSignature {
  readonly irVersion: number;
  readonly producer: string;
  /** Operator-set domain → version; `''` is ONNX's own domain. */
  readonly opsets: Readonly<Record<string, number>>;
  /** What a caller has to give: initializers, which old files list as inputs too, are left out. */
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  /** Notes of whoever made the file, by name. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Paths of external data files as the file gives them: unchecked, relative to its folder. */
  readonly externalFiles: readonly string[];
  /** The bytes that each of them must have at least. */
  readonly externalBytes: ReadonlyMap<string, number>;
}

/**
 * Reads the signature of the ONNX file at `path` by positioned reads that skip all weights.
 *
 * @throws ShoalError `model_invalid`, naming the file and what is wrong, for anything that is not a whole ONNX model
 */
export function readSignature(path: string): OnnxSignature {
  const { irVersion, producer, opsets, metadata, inputs, outputs, initializers, externalBytes } = readFile(
    path,
    skimModel,
  );
  const asked = inputs.filter(({ name }) => !initializers.has(name));
  const problem = problemOf(opsets.size, asked.length, outputs.length);
  if (problem !== null) throw invalid(`${path} is not a usable ONNX file: ${problem}`);
  return {
    irVersion,
    producer,
    opsets: Object.fromEntries(opsets),
    inputs: asked.map((info) => toValue(info, path)),
    outputs: outputs.map((info) => toValue(info, path)),
    metadata,
    externalFiles: [...externalBytes.keys()],
    externalBytes,
  };
}

function problemOf(opsets: number, inputs: number, outputs: number): string | null {
  if (opsets === 0) return 'it imports no operator set';
  if (outputs === 0) return 'its graph has no outputs';
  return Math.max(inputs, outputs) > MAX_VALUES ? `its graph has more than ${MAX_VALUES} inputs or outputs` : null;
}

function toValue({ name, type, shape }: ValueInfo, path: string): OnnxValue {
  if (name === '') throw invalid(`${path} is not a usable ONNX file: an input or output of its graph has no name`);
  return { name, type, shape: shape === null ? null : shape.map((dim) => (dim === '' ? '?' : dim)) };
}
