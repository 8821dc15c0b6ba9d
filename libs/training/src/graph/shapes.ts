/**
 * Types and shapes of all values of a graph, learnt by running it twice with sizes that differ: ONNX Runtime is the shape
 * inference. A dimension is a number where both runs agree, else a symbol for the pair of sizes.
 */
import { type Dim, indexGraph, type Model, type OnnxType, serialiseModel, type ValueInfo } from '@shoal/onnx';
import type { Runtime, Tensor, Tensors } from '@shoal/onnxruntime';
import { refused } from '../errors.js';

export interface Known {
  readonly type: OnnxType;
  /** Numbers, or symbols `a|b`: the sizes of the two runs. */
  readonly shape: readonly Dim[];
}

export type Shapes = ReadonlyMap<string, Known>;

/** Two sets of inputs, as the graph takes them, that differ in the size of every dynamic dimension; see `checkProbes`. */
export type Probes = readonly [Tensors, Tensors];

/**
 * Of inputs, constants, and every value that something reads.
 *
 * @throws ShoalError `invalid_request` where probes do not fit, `inference_failed` where the graph cannot run
 */
export async function learnShapes(runtime: Runtime, model: Model, probes: Probes): Promise<Shapes> {
  checkProbes(model.graph.inputs, probes);
  const names = readValues(model);
  const session = await runtime.createSession(serialiseModel(withOutputs(model, names)), { graphOptimization: 'none' });
  try {
    const [first, second] = [await session.run(probes[0]), await session.run(probes[1])];
    const known = new Map<string, Known>();
    for (const name of names) known.set(name, merged(first[name]!, second[name]!));
    for (const { name } of model.graph.inputs) known.set(name, merged(probes[0][name]!, probes[1][name]!));
    for (const [name, { type, dims }] of model.graph.initializers) known.set(name, { type, shape: dims });
    return known;
  } finally {
    await session.release();
  }
}

/** What nobody reads may not even be made: optional outputs of ONNX Runtime's own operators. */
function readValues({ graph }: Model): string[] {
  const { consumers } = indexGraph(graph);
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  return graph.nodes
    .flatMap((node) => node.outputs)
    .filter((name) => name !== '' && (outputs.has(name) || consumers(name).length > 0));
}

function withOutputs(model: Model, names: readonly string[]): Model {
  const there = new Map(model.graph.outputs.map((output) => [output.name, output]));
  const outputs = names.map((name): ValueInfo => there.get(name) ?? { name, type: 'unknown', shape: null, extra: [] });
  return { ...model, graph: { ...model.graph, outputs } };
}

function merged(first: Tensor, second: Tensor): Known {
  return {
    type: first.type,
    shape: first.dims.map((dim, n) => (dim === second.dims[n] ? dim : `${dim}|${second.dims[n]}`)),
  };
}

/** Sizes that are equal by chance would look like constants, or like each other; 1 would look like what is broadcast. */
function checkProbes(inputs: readonly ValueInfo[], [first, second]: Probes): void {
  const sizes = new Map<Dim, string>();
  for (const { name, shape } of inputs) {
    const [a, b] = [first[name], second[name]];
    if (a === undefined || b === undefined) throw refused(`probes: the input ${name} is missing`);
    for (const [n, dim] of (shape ?? []).entries()) {
      if (typeof dim === 'number' || dim === '') continue;
      const [x = 0, y = 0] = [a.dims[n], b.dims[n]];
      if (x === y || x < 2 || y < 2) {
        throw refused(`probes: ${dim} of ${name} is ${x} and ${y}: take two different sizes, from 2 on`);
      }
      sizes.set(dim, `${x}|${y}`);
    }
  }
  if (new Set(sizes.values()).size < sizes.size) {
    throw refused(`probes: ${[...sizes.keys()].join(', ')} must have sizes that tell them apart`);
  }
}

/** Rows, columns and texts of the two probes: all sizes that follow from them are different. */
const TEXTS = [
  { columns: 5, lengths: [5, 3] },
  { columns: 7, lengths: [7, 4, 2] },
] as const;

/**
 * Probes for a graph that takes texts: int64 inputs [batch, sequence], of which `…mask` are 1 where a token is, and padding is on
 * the right. Token ids are 0 and 1, types 0.
 *
 * @throws ShoalError `invalid_request` naming an input of another form, for which the caller has to make probes itself
 */
export function textProbes({ graph }: Model): Probes {
  const make = ({ columns, lengths }: (typeof TEXTS)[number]): Tensors =>
    Object.fromEntries(
      graph.inputs
        .filter(({ name }) => !graph.initializers.has(name))
        .map(({ name, type, shape }) => {
          if (type !== 'int64' || shape?.length !== 2) {
            throw refused(
              `probes: the input ${name} is not of texts (int64 [batch, sequence]); make probes of your own`,
            );
          }
          const value = (length: number, column: number) => {
            if (name.endsWith('mask')) return column < length ? 1 : 0;
            return name.includes('type') ? 0 : column % 2;
          };
          const values = lengths.flatMap((length) => Array.from({ length: columns }, (_, n) => value(length, n)));
          return [name, { type, dims: [lengths.length, columns], data: BigInt64Array.from(values, BigInt) }];
        }),
    );
  return [make(TEXTS[0]), make(TEXTS[1])];
}
