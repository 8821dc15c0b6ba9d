/** The tensors that one quantised matrix consists of, checked before they are used. */
import { invalid } from '../invalid.js';
import type { SafetensorsType, StoredTensor } from '../safetensors.js';

/** Of one matrix: what stands below its name in the checkpoint. */
export class Parts {
  /** Of the layer: `model.layers.0.mlp.up_proj`. */
  readonly name: string;
  readonly #tensors: ReadonlyMap<string, StoredTensor>;

  constructor(name: string, tensors: ReadonlyMap<string, StoredTensor>) {
    this.name = name;
    this.#tensors = tensors;
  }

  find(suffix: string): StoredTensor | undefined {
    return this.#tensors.get(`${this.name}.${suffix}`);
  }

  /** A tensor of two dimensions of at least 1 each. @throws ShoalError `model_invalid` where there is none, or none such */
  matrix(
    suffix: string,
    ...types: readonly SafetensorsType[]
  ): StoredTensor & { readonly rows: number; readonly columns: number } {
    const tensor = this.find(suffix);
    if (tensor === undefined) throw invalid(`the checkpoint has no tensor ${this.name}.${suffix}`);
    const { type, shape, data } = tensor;
    if (!types.includes(type)) {
      throw invalid(
        `${this.name}.${suffix} is of type ${type}; what quantization_config says needs ${types.join(' or ')}`,
      );
    }
    const [rows = 0, columns = 0] = shape;
    if (shape.length !== 2 || rows === 0 || columns === 0) throw this.shaped(suffix, shape);
    return { type, shape, data, rows, columns };
  }

  /** What is thrown where a shape does not fit the others, or the bits and groups of config.json. */
  shaped(suffix: string, shape: readonly number[], expected?: readonly number[]): Error {
    const needed =
      expected === undefined ? '' : `; bits and groups of quantization_config need ${expected.join(' × ')}`;
    return invalid(`${this.name}.${suffix} has the shape ${shape.join(' × ')}, which does not fit${needed}`);
  }

  /** @throws ShoalError `model_invalid` where the tensor has another shape */
  expect(suffix: string, shape: readonly number[], expected: readonly number[]): void {
    if (shape.length !== expected.length || shape.some((dim, n) => dim !== expected[n]))
      throw this.shaped(suffix, shape, expected);
  }
}

/** Of a tensor of 32-bit integers, as they are stored: in memory. */
export function wordsOf({ data }: StoredTensor): Uint32Array {
  const bytes = data.bytes();
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  return new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 4);
}

/** The group of each column, where that is stored. @throws ShoalError `model_invalid` where it names a group that is not there */
export function indexOf(parts: Parts, suffix: string, columns: number, groups: number): Uint32Array | undefined {
  const stored = parts.find(suffix);
  if (stored === undefined) return undefined;
  if (stored.type !== 'I32') throw invalid(`${parts.name}.${suffix} is of type ${stored.type}; it has to be I32`);
  parts.expect(suffix, stored.shape, [columns]);
  const index = wordsOf(stored);
  const beyond = index.find((own) => own >= groups);
  if (beyond !== undefined) throw invalid(`${parts.name}.${suffix} names the group ${beyond | 0} of ${groups}`);
  return index;
}
