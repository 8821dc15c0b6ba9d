/** Small graphs for specs, and their gradients beside differences. */
import { type Graph, GraphBuilder, type Model, serialiseModel, type Value } from '@shoal/onnx';
import type { Runtime, Tensor, Tensors } from '@shoal/onnxruntime';
import { differentiate } from '../gradient/differentiate.js';
import { learnShapes } from '../graph/shapes.js';
import { seededRandom } from '../trainer/random.js';

export function emptyModel(opset = 21): Model {
  const graph: Graph = {
    ...{ name: 'case', nodes: [], inputs: [], outputs: [], valueInfos: [] },
    ...{ initializers: new Map(), extra: [] },
  };
  const opsets = new Map([
    ['', opset],
    ['com.microsoft', 1],
  ]);
  return { irVersion: 10, producer: 'test', opsets, metadata: new Map(), graph, extra: [] };
}

/** An output of whatever type and shape the value has. */
export function addOutput(model: Model, name: Value): void {
  model.graph.outputs.push({ name, type: 'unknown', shape: null, extra: [] });
}

export interface Floats {
  readonly type: 'float32';
  readonly dims: readonly number[];
  readonly data: Float32Array;
}

export function floats(dims: readonly number[], values: Iterable<number>): Floats {
  return { type: 'float32', dims, data: Float32Array.from(values) };
}

export function integers(dims: readonly number[], values: readonly number[]): Tensor {
  return { type: 'int64', dims, data: BigInt64Array.from(values, BigInt) };
}

export function countOf(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1);
}

/** Uniform between two numbers. */
export function randomFloats(random: () => number, dims: readonly number[], low = -1, high = 1): Float32Array {
  return Float32Array.from({ length: countOf(dims) }, () => low + (high - low) * random());
}

interface Input {
  readonly dims: readonly number[];
  /** Dimensions in another run: those that differ are dynamic. */
  readonly other?: readonly number[];
  readonly low?: number;
  readonly high?: number;
  /** In place of random ones: away from where a slope jumps. */
  readonly values?: readonly number[];
}

export interface Case {
  readonly inputs: Readonly<Record<string, Input | readonly number[]>>;
  readonly build: (g: GraphBuilder) => Value;
}

export interface Built {
  readonly model: Model;
  readonly y: Value;
  readonly feeds: Readonly<Record<string, Floats>>;
  readonly other: Tensors;
}

export function buildCase({ inputs, build }: Case): Built {
  const model = emptyModel();
  const g = new GraphBuilder(model);
  const random = seededRandom(12_345);
  const feeds: Record<string, Floats> = {};
  const others: Record<string, Tensor> = {};
  for (const [name, given] of Object.entries(inputs)) {
    const { dims, other = dims, low, high, values } = 'dims' in given ? given : ({ dims: given } as Input);
    g.input(
      name,
      'float32',
      dims.map((dim, n) => (dim === other[n] ? dim : `size ${dim} or ${other[n]}`)),
    );
    feeds[name] = floats(dims, values ?? randomFloats(random, dims, low, high));
    others[name] = floats(other, randomFloats(random, other, low, high));
  }
  const y = build(g);
  addOutput(model, y);
  return { model, y, feeds, other: others };
}

/** Beside a kink or not: a step that is large enough for 32 bits, and small enough for a difference of fourth order. */
const STEP = 1e-2;

/**
 * The largest difference between a gradient of Σ w·y, with random w, and central differences of fourth order of the same graph in
 * 32 bits, as a share of the largest number of the gradient; Infinity where an input has none.
 */
export async function worstError(runtime: Runtime, built: Built): Promise<number> {
  const { model, y, feeds, other } = built;
  const names = Object.keys(feeds);
  const shapes = await learnShapes(runtime, model, [feeds, other]);
  const { shape } = shapes.get(y)!;
  const dims = shape.map((dim) => Number.parseInt(String(dim), 10));
  const w = randomFloats(seededRandom(7), dims);
  model.graph.inputs.push({ name: 'w', type: 'float32', shape, extra: [] });
  const gradients = differentiate(model, { seeds: new Map([[y, 'w']]), by: names, shapes });
  if (gradients.size < names.length) return Number.POSITIVE_INFINITY;
  for (const gradient of gradients.values()) addOutput(model, gradient);
  const session = await runtime.createSession(serialiseModel(model), { intraOpThreads: 2 });
  try {
    const all = { ...feeds, w: floats(dims, w) };
    const loss = async () => {
      const { [y]: out } = await session.run(all, { outputs: [y] });
      return (out!.data as Float32Array).reduce((sum, value, n) => sum + value * w[n]!, 0);
    };
    const got = await session.run(all);
    let worst = 0;
    for (const [name, gradient] of gradients) {
      const { data } = feeds[name]!;
      const found = got[gradient]!;
      if (found.dims.join() !== feeds[name]!.dims.join()) return Number.POSITIVE_INFINITY;
      const values = found.data as Float32Array;
      const scale = Math.max(...values.map(Math.abs), 1e-3);
      for (const [n, value] of values.entries()) {
        worst = Math.max(worst, Math.abs((await slope(data, n, loss)) - value) / scale);
      }
    }
    return worst;
  } finally {
    await session.release();
  }
}

/** Of `loss`, by the n-th number of `data`. */
export async function slope(data: Float32Array, n: number, loss: () => Promise<number>): Promise<number> {
  const before = data[n]!;
  const at = async (steps: number) => {
    data[n] = before + steps * STEP;
    return await loss();
  };
  const near = (await at(1)) - (await at(-1));
  const far = (await at(2)) - (await at(-2));
  data[n] = before;
  return (8 * near - far) / (12 * STEP);
}
