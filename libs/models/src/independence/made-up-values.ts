/** Values of made-up rows: each row of a pool contrasts with its neighbours. The same ones in every proof. */
import type { ElementType, WireTensor } from '@shoal/contracts';
import { float32ToBfloat16, float32ToFloat16 } from '@shoal/onnx';
import { copyBytes, ELEMENTS, elementCount, type FixedType } from '../tensors/elements.js';

/** Numbers from 0 to 1, evenly spread and always the same for one seed (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** `tame` rows are what models usually get; of `wild` rows only the first two are, for the others to disturb. */
export type Temper = 'tame' | 'wild';

export const ROWS_PER_POOL = 8;

type Draw = (random: () => number) => number;

const between = (low: number, high: number) => (random: () => number) => low + (high - low) * random();
const whole = (low: number, high: number) => (random: () => number) => Math.floor(between(low, high + 1)(random));
const always = (value: number) => () => value;
/** Mostly ordinary numbers, and `value` among them. */
const among = (value: number) => (random: () => number) => (random() < 0.4 ? value : between(-1, 1)(random));

/** One entry per row of a pool. The sixth repeats the first: equal rows must not be told apart or merged. */
const FLOATS: Readonly<Record<Temper, readonly Draw[]>> = {
  tame: [
    between(-1, 1),
    always(0),
    between(0, 10),
    between(-3, 0),
    whole(-3, 3),
    between(-1, 1),
    always(2.5),
    between(-100, 100),
  ],
  wild: [
    between(-1, 1),
    between(0, 2),
    between(-1e4, 1e4),
    between(1e29, 1e30),
    between(-1e-20, 1e-20),
    among(Number.NaN),
    among(Number.POSITIVE_INFINITY),
    between(-1e30, -1e29),
  ],
};

/** Small: an integer may be a size that the graph allocates, or how often it repeats something. */
const INTEGERS: Readonly<Record<Temper, readonly Draw[]>> = {
  tame: [whole(0, 1), always(0), whole(0, 9), always(1), whole(0, 3), whole(0, 1), always(2), whole(0, 99)],
  wild: [
    whole(0, 1),
    whole(0, 2),
    whole(-5, -1),
    whole(500, 1000),
    always(-1),
    whole(-5, 5),
    always(7),
    whole(0, 1000),
  ],
};

const BOOLS: readonly Draw[] = [
  whole(0, 1),
  always(0),
  always(1),
  whole(0, 1),
  always(0),
  whole(0, 1),
  always(1),
  whole(0, 1),
];

const WORDS: readonly string[] = ['', 'a', 'b', 'Zebra', '42', '-1.5', 'many small fish', 'é'];

/** Row `n` of a pool, of the given dimensions: the first and the sixth are equal. */
export function madeUpTensor(type: ElementType, dims: readonly number[], n: number, temper: Temper): WireTensor {
  const random = randomOf(temper === 'tame' && n === 5 ? 1 : n + 1);
  const count = elementCount(dims);
  if (type === 'string') {
    const pick = () => WORDS[Math.floor(random() * WORDS.length)]!;
    return { type, dims, data: Array.from({ length: count }, n === 1 ? () => 'a' : pick) };
  }
  const draws = type === 'bool' ? BOOLS : /^(b?float)/.test(type) ? FLOATS[temper] : INTEGERS[temper];
  const view = ELEMENTS[type].view(new ArrayBuffer(count * ELEMENTS[type].bytes));
  const store = storeOf(type);
  for (let i = 0; i < count; i++) (view as { [at: number]: number | bigint })[i] = store(draws[n]!(random));
  return { type, dims, data: copyBytes(view, 0, count) };
}

/** From a number to what a typed array of `type` holds; typed arrays cut what is out of range. */
function storeOf(type: FixedType): (value: number) => number | bigint {
  if (type === 'float16') return float32ToFloat16;
  if (type === 'bfloat16') return float32ToBfloat16;
  if (type === 'int64') return (value) => BigInt(value);
  if (type === 'uint64') return (value) => BigInt(Math.abs(value));
  return type.startsWith('uint') ? Math.abs : (value) => value;
}
