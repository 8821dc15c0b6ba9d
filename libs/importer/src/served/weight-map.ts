/**
 * Which number of which tensor of a checkpoint stands where in the constants of a graph. Constants are transposed, packed, put into
 * another order, raised by one, and no file says how: the architecture itself is asked. It is built three times, from zeros and from
 * checkpoints whose every number says which one it is, and what has become of the numbers is looked up.
 */
import type { Model, TensorData } from '@shoal/onnx';
import type { Checkpoint } from '../checkpoint.js';
import { invalid } from '../invalid.js';
import { Asked, type AskedTensor, type KnownNames, MadeUpCheckpoint } from './made-up.js';

/**
 * Numbers are told by two digits of this base. As 4 · digit + 1 a digit, the sum of two of them, and either of these and one more
 * are whole numbers that float32 holds; modulo 4 they say how many numbers of the checkpoint were added.
 */
const BASE = 2 ** 20;

/** A constant that numbers of the checkpoint stand in. */
export interface PlacedConstant {
  readonly dims: readonly number[];
  /**
   * The number at [row, column] of the constant, its last dimension being the columns, is the one at `rows[row] + columns[column]`
   * in the row of all numbers of all tensors; none of them where that is NaN.
   */
  readonly rows: Float64Array;
  readonly columns: Float64Array;
  /** What is added to each. */
  readonly offset: number;
  /** The tensors that they are of. */
  readonly tensors: readonly string[];
}

export interface WeightMap {
  /** Those that the architecture asks a checkpoint for, in that order. */
  readonly tensors: ReadonlyMap<string, AskedTensor>;
  /** Of those constants that have numbers of a checkpoint in them; all others are of the architecture alone. */
  readonly constants: ReadonlyMap<string, PlacedConstant>;
  /** Tensors that are only added to others: their numbers cannot be told apart from those, and are taken to be zeros. */
  readonly silent: ReadonlySet<string>;
  /** The graph with zeros for all numbers of a checkpoint. */
  readonly blank: Model;

  /**
   * The numbers of a tensor, row-major, from those of constants. Numbers that are in no constant are -0, which changes no sum to the
   * bit. @throws RangeError where there is no such tensor
   */
  tensor(name: string, constantOf: (name: string) => Float32Array): Float32Array;

  /**
   * The numbers of a constant, row-major, from those of tensors, which are such as `tensor` gives (`silent` ones are not added).
   * @throws RangeError where there is no such constant
   */
  constant(name: string, tensorOf: (name: string) => Float32Array): Float32Array;
}

/**
 * `build` makes the graph, with weights as 32-bit floats, from the checkpoint that it is given, the same for each but for the
 * numbers. `known` says which names the checkpoint is to have.
 *
 * @throws ShoalError as `build` does; `model_invalid` where a constant is made in a way that cannot be looked through
 */
export function weightMap(build: (checkpoint: Checkpoint) => Model, known: KnownNames): WeightMap {
  const asked = new Asked();
  const silent = new Set<string>();
  const read = new Set<AskedTensor>();
  const built = (digit: ((number: number) => number) | undefined) =>
    build(
      new MadeUpCheckpoint(asked, known, (tensor) => {
        read.add(tensor);
        const values = new Float32Array(tensor.count);
        if (digit === undefined || silent.has(tensor.name)) return values;
        for (let n = 0; n < values.length; n++) values[n] = 4 * digit(tensor.first + n) + 1;
        return values;
      }),
    );
  const blank = built(undefined);
  const low = built((number) => number % BASE);
  const high = built((number) => Math.floor(number / BASE));
  const find = finder([...asked.tensors.values()]);
  const constants = new Map<string, PlacedConstant>();
  for (const [name, { type, dims, data }] of blank.graph.initializers) {
    if (type !== 'float32') continue;
    const look = () => {
      read.clear();
      const parts = [data, low.graph.initializers.get(name)!.data, high.graph.initializers.get(name)!.data] as const;
      return lookUp(dims, parts.map(floatsOf) as [Float32Array, Float32Array, Float32Array], find);
    };
    let found = look();
    if (found === 'sums') {
      const [, ...others] = [...read].sort((a, b) => b.count - a.count);
      for (const other of others) silent.add(other.name);
      found = look();
    }
    if (typeof found === 'string') throw untraceable(name);
    if (found !== undefined) constants.set(name, found);
  }
  const both = [...constants].find(([, { tensors }]) => tensors.some((tensor) => silent.has(tensor)));
  if (both !== undefined) throw untraceable(both[0]);
  return { tensors: asked.tensors, constants, silent, blank, ...directions(asked.tensors, constants, blank) };
}

function untraceable(name: string): Error {
  return invalid(`the constant ${name} is made of the checkpoint in a way that cannot be traced back`);
}

/** The tensor that has a number. */
function finder(tensors: readonly AskedTensor[]): (number: number) => AskedTensor {
  let last = tensors[0];
  const inside = (tensor: AskedTensor | undefined, number: number) =>
    tensor !== undefined && number >= tensor.first && number < tensor.first + tensor.count;
  return (number) => {
    if (inside(last, number)) return last!;
    let [from, to] = [0, tensors.length];
    while (to - from > 1) {
      const middle = (from + to) >> 1;
      if (tensors[middle]!.first <= number) from = middle;
      else to = middle;
    }
    last = tensors[from];
    return last!;
  };
}

/** Undefined where no number of a checkpoint is in the constant, `sums` where sums of several are, `other` where it is neither. */
function lookUp(
  dims: readonly number[],
  [blank, low, high]: readonly [Float32Array, Float32Array, Float32Array],
  find: (number: number) => AskedTensor,
): PlacedConstant | 'sums' | 'other' | undefined {
  /** NaN: none. */
  const numberAt = (at: number): number => {
    const [first, second] = [low[at]! - blank[at]!, high[at]! - blank[at]!];
    if (first === 0 && second === 0) return Number.NaN;
    if (first % 4 !== 1 || second % 4 !== 1) return -1;
    return ((second - 1) / 4) * BASE + (first - 1) / 4;
  };
  const start = low.findIndex((value, at) => value !== blank[at]);
  if (start < 0) return undefined;
  const width = dims.at(-1) ?? 1;
  const anchor = numberAt(start);
  const [top, left] = [Math.floor(start / width), start % width];
  const rows = Float64Array.from({ length: low.length / width }, (_, row) => numberAt(row * width + left));
  const columns = Float64Array.from({ length: width }, (_, column) => numberAt(top * width + column) - anchor);
  const tensors = new Set<string>();
  for (let at = 0; at < low.length; at++) {
    const number = numberAt(at);
    if (number < 0) return 'sums';
    if (!Object.is(number, rows[Math.floor(at / width)]! + columns[at % width]!)) return 'other';
    if (Number.isNaN(number)) continue;
    if (blank[at] !== blank[start]) return 'other';
    tensors.add(find(number).name);
  }
  return { dims, rows, columns, offset: blank[start]!, tensors: [...tensors] };
}

function directions(
  tensors: WeightMap['tensors'],
  constants: WeightMap['constants'],
  blank: Model,
): Pick<WeightMap, 'tensor' | 'constant'> {
  const holders = new Map<string, string[]>();
  for (const [name, placed] of constants) {
    for (const tensor of placed.tensors) holders.set(tensor, [...(holders.get(tensor) ?? []), name]);
  }
  return {
    tensor(name, constantOf) {
      const { first, count } = expect(tensors, name);
      const numbers = new Float32Array(count).fill(-0);
      for (const holder of holders.get(name) ?? []) {
        const { rows, columns, offset } = expect(constants, holder);
        const values = constantOf(holder);
        for (const [row, base] of rows.entries()) {
          for (let column = 0; column < columns.length; column++) {
            const at = base + columns[column]! - first;
            const value = values[row * columns.length + column]!;
            if (at >= 0 && at < count) numbers[at] = offset === 0 ? value : value - offset;
          }
        }
      }
      return numbers;
    },
    constant(name, tensorOf) {
      const { rows, columns, offset, tensors: own } = expect(constants, name);
      const values = floatsOf(blank.graph.initializers.get(name)!.data).slice();
      for (const tensor of own) {
        const { first, count } = expect(tensors, tensor);
        const numbers = tensorOf(tensor);
        for (const [row, base] of rows.entries()) {
          for (let column = 0; column < columns.length; column++) {
            const at = base + columns[column]! - first;
            if (at >= 0 && at < count)
              values[row * columns.length + column] = offset === 0 ? numbers[at]! : numbers[at]! + offset;
          }
        }
      }
      return values;
    },
  };
}

function expect<T>(all: ReadonlyMap<string, T>, name: string): T {
  const found = all.get(name);
  if (found === undefined) throw new RangeError(`there is no ${name}`);
  return found;
}

/** The numbers of a constant of 32-bit floats; not to be written to. */
export function floatsOf(data: TensorData): Float32Array {
  const bytes = data.bytes();
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  return new Float32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 4);
}

/** The names of a checkpoint that is there. */
export function namesOf(checkpoint: Checkpoint): KnownNames {
  return { names: checkpoint.names, has: (name) => checkpoint.has(name) };
}
