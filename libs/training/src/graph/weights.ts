/** Weights: constants of a graph that become its inputs, so that a step of training changes them without a new session. */
import { dataOf, type Graph, type Model, type Tensor } from '@shoal/onnx';
import { refused } from '../errors.js';

/** Row-major. */
export interface Weight {
  readonly dims: readonly number[];
  readonly data: Float32Array;
}

export type Weights = ReadonlyMap<string, Weight>;

/** A copy of the numbers of a float32 tensor. */
export function floatsOf({ data }: Tensor): Float32Array {
  return new Float32Array(new Uint8Array(data.bytes()).buffer);
}

/** @throws ShoalError `invalid_request` naming one that is no constant of 32-bit floats of the graph */
export function checkTrainable(graph: Graph, names: readonly string[]): void {
  if (names.length === 0) throw refused('trainable: names no weights, so there is nothing to train');
  if (new Set(names).size < names.length) throw refused('trainable: names a weight twice');
  for (const name of names) {
    if (graph.initializers.get(name)?.type !== 'float32') {
      throw refused(`trainable: the graph has no constant of 32-bit floats named ${name}`);
    }
  }
}

/** Changes `graph`; returns what the constants were. ONNX Runtime then neither packs them nor folds what depends on them. */
export function freeWeights(graph: Graph, names: Iterable<string>): Map<string, Tensor> {
  const weights = new Map<string, Tensor>();
  for (const name of names) {
    const tensor = graph.initializers.get(name)!;
    graph.initializers.delete(name);
    graph.inputs.push({ name, type: 'float32', shape: tensor.dims, extra: [] });
    weights.set(name, tensor);
  }
  return weights;
}

/** Changes `model`, whose constants of these names get these numbers: copies, so that training may go on. */
export function setWeights(model: Model, weights: Weights): void {
  for (const [name, { dims, data }] of weights) {
    const there = model.graph.initializers.get(name);
    if (there?.type !== 'float32' || there.dims.join() !== dims.join()) {
      throw refused(`weights: the graph has no constant ${name} of 32-bit floats [${dims.join(', ')}]`);
    }
    model.graph.initializers.set(name, { type: 'float32', dims, data: dataOf(data.slice()) });
  }
}
