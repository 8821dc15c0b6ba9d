/** Made-up inputs of a model: pools of rows of one shape, and of texts in different lengths. */
import type { ElementType, TensorSpec, TensorsItem, TextItem, WireTensor } from '@shoal/contracts';
import type { Model } from '../types.js';
import { madeUpTensor, ROWS_PER_POOL, randomOf, type Temper } from './made-up-values.js';
import type { MadeUpRow } from './pool.js';

/** Where config.json does not say how many tokens there are. */
const FEW_TOKENS = 32;

const FIRST_TOKENS = 256;

/** Texts of the given lengths in tokens, as far as the model takes them. */
export function madeUpTexts(model: Model, lengths: readonly number[]): readonly MadeUpRow[] {
  const vocabulary = model.text?.vocabSize ?? FEW_TOKENS;
  const segments = model.inputs.some(({ name }) => name === 'token_type_ids');
  return lengths.map((wanted, n) => {
    const length = Math.min(wanted, model.maxTokens ?? wanted);
    // The sixth row repeats the first, where they are as long.
    const random = randomOf(n === 5 ? 1 : n + 1);
    // Every other row stays among the first tokens: there may be fewer than config.json says, and such rows do not run.
    const token = () => Math.floor(random() * (n % 2 === 0 ? Math.min(vocabulary, FIRST_TOKENS) : vocabulary));
    const same = token();
    const ids = Uint32Array.from({ length }, n === 1 ? () => same : token);
    const typeIds = Uint8Array.from({ length }, (_, i) => Number(i > length / 2));
    const item: TextItem = { kind: 'text', ids, ...(segments && n % 2 === 1 && { typeIds }) };
    return { item, tame: true };
  });
}

/** How large dimensions are that the caller chooses, by their place among the graph's named ones. */
export type SizeOf = (name: number) => number;

/** Different for every name, then the same for all: small, and as pictures and signals have them. */
export const SIZES: readonly SizeOf[] = [
  (name) => 3 + 2 * name,
  (name) => 4 + name,
  () => 4,
  () => 1,
  () => 8,
  () => 16,
  () => 32,
  () => 64,
  () => 224,
];

/** Rows of all inputs of a graph. */
export function madeUpTensors(inputs: readonly TensorSpec[], sizeOf: SizeOf, temper: Temper): readonly MadeUpRow[] {
  const names = namesOf(inputs);
  const dimsOf = ({ shape }: TensorSpec) => [
    1,
    ...shape.slice(1).map((size) => (typeof size === 'number' ? size : sizeOf(names.indexOf(size)))),
  ];
  return Array.from({ length: ROWS_PER_POOL }, (_, n) => {
    const tensors: Record<string, WireTensor> = Object.fromEntries(
      inputs.map((spec) => [spec.name, madeUpTensor(spec.type as ElementType, dimsOf(spec), n, temper)]),
    );
    const item: TensorsItem = { kind: 'tensors', tensors };
    return { item, tame: temper === 'tame' || n < 2 };
  });
}

/** Dimensions beside the first that the caller chooses. */
export function namesOf(inputs: readonly TensorSpec[]): readonly string[] {
  const names = inputs.flatMap(({ shape }) => shape.slice(1).filter((size) => typeof size === 'string'));
  return [...new Set(names)];
}
